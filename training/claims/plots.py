"""Plots of measured claims."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.figure
import numpy as np

from tf_hmr.formats import atomic
from training.claims import rules
from training.evaluation import occluders

Runs = Mapping[str, Sequence[Mapping[str, float]]]
COLOURS = ("#4477aa", "#cc6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def draw(
    name: str, runs: Runs, constants: Mapping[str, float], out: Path
) -> list[str]:
    """Draws the plots that suit the claim; returns their file names.

    Args:
        name: the claim.
        runs: configuration -> metrics of each seed.
        constants: errors of always predicting the mean pose, by metric.
        out: folder of the plots.
    """
    comparisons = rules.get(name).comparisons
    metrics = sorted({side[1] for c in comparisons for side in (c.a, c.b)})
    figure = _bars(metrics, runs, constants)
    file_names = [_save(figure, out / f"{name}.png")]
    if any(rules.lost(p) in metrics for p in occluders.PATTERNS):
        figure = _degrees(runs)
        file_names.append(_save(figure, out / f"{name}_degrees.png"))
    return file_names


def _bars(
    metrics: Sequence[str], runs: Runs, constants: Mapping[str, float]
) -> matplotlib.figure.Figure:
    """One panel for each metric: a bar per configuration, a dot per seed."""
    figure, panels = _panels(len(metrics))
    for metric, panel in zip(metrics, panels, strict=True):
        for index, seeds in enumerate(runs.values()):
            values = [seed[metric] for seed in seeds]
            colour = COLOURS[index % len(COLOURS)]
            panel.bar(index, np.mean(values), color=colour, alpha=0.6)
            panel.plot([index] * len(values), values, "k.", markersize=4)
        panel.set_xticks(range(len(runs)), runs, rotation=20, ha="right")
        if metric in rules.CONSTANTS:
            # What always predicting the mean pose costs.
            constant = rules.constant_of(metric, constants)
            panel.axhline(constant, color="k", linestyle="--", linewidth=1)
        panel.set_title(metric)
    return figure


def _degrees(runs: Runs) -> matplotlib.figure.Figure:
    """HKMR's Figure 6: error against the degree of occluders."""
    figure, panels = _panels(len(occluders.PATTERNS))
    degrees = (0, *occluders.DEGREES)
    for pattern, panel in zip(occluders.PATTERNS, panels, strict=True):
        for colour, (name, seeds) in zip(COLOURS, runs.items(), strict=False):
            keys = [rules.UNOCCLUDED] + [
                rules.error_behind(pattern, degree)
                for degree in occluders.DEGREES
            ]
            values = np.array([[seed[key] for key in keys] for seed in seeds])
            mean = values.mean(axis=0)
            panel.plot(degrees, mean, "o-", color=colour, label=name)
            low, high = values.min(axis=0), values.max(axis=0)
            panel.fill_between(degrees, low, high, color=colour, alpha=0.15)
        panel.set_title(pattern)
        panel.set_xlabel("degree of occlusion (0: none)")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("MPJPE (mm), true root, mean over the occluded joint")
    panels[0].legend()
    return figure


def _panels(count: int):
    figure = matplotlib.figure.Figure(
        figsize=(4.2 * count, 3.6), layout="constrained"
    )
    return figure, list(np.ravel(figure.subplots(1, count)))


def _save(figure: matplotlib.figure.Figure, path: Path) -> str:
    with atomic.replacing(path) as part:
        figure.savefig(part, dpi=110)
    return path.name
