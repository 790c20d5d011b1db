"""Results that are no number of a paper: rendered people, other models."""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from training import visualization
from training.papers.parity import Result
from training.report.document import (
    Block,
    Entry,
    Figure,
    Fold,
    Grid,
    Heading,
    Items,
    Line,
    Text,
)

TITLES = {
    "mpjpe_mm": "MPJPE (mm)",
    "pa_mpjpe_mm": "PA-MPJPE (mm)",
    "pve_mm": "PVE (mm)",
    "pck3d_150mm": "PCK@150 mm (%)",
    "auc3d": "AUC (%)",
    "pck2d_torso02": "2D PCK@0.2 (%)",
    "silhouette_iou": "silhouette IoU",
    "silhouette_f1": "silhouette F1",
    "part_accuracy": "part accuracy",
    "part_f1": "part F1",
}
# training.claims leaves it in the workdir of each of its networks.
CLAIM = "claims.json"
# More columns than these do not fit a page; all are in the json.
MOST_COLUMNS = 10
WARNING = (
    "SYNTHETIC: rendered people of the open body. These numbers compare "
    "models of this repository with each other; they say nothing about "
    "photographs and stand for no number of a paper."
)


def synthetic(results: Sequence[Result], plots: Path) -> Iterator[Block]:
    """Tables of results on rendered people, their plots and pictures."""
    mine = [
        result
        for result in _latest(results)
        if result.is_synthetic
        and not (result.path.parent.parent / CLAIM).is_file()
    ]
    yield Heading(2, "Synthetic results", "synthetic")
    yield Text(WARNING, "warning")
    if not mine:
        yield Text("No result yet.")
    for name, group in _by_protocol(mine):
        yield Heading(3, f"SYNTHETIC {name}", f"synthetic-{name}")
        yield from _rule(group[-1])
        yield grid(group)
        yield _sources(group)
        for path, caption in _plots(name, group, plots):
            yield Figure(path, f"SYNTHETIC {name}: {caption}")
        for result in group:
            yield from _picture(result)


def others(results: Sequence[Result], used: set[Path]) -> Iterator[Block]:
    """Results on photographs that stand for no number of a paper."""
    rest = [
        result
        for result in _latest(results)
        if not result.is_synthetic and result.path not in used
    ]
    if not rest:
        return
    yield Heading(2, "Other results", "others")
    yield Text(
        "On photographs, but of another experiment than a paper's, not "
        "complete, or by a protocol of no table."
    )
    for name, group in _by_protocol(rest):
        yield Heading(3, name, f"others-{name}")
        yield from _rule(group[-1])
        yield grid(group)
        yield _sources(group)


def grid(results: Sequence[Result]) -> Grid:
    """One line for each result, its baselines below it in grey."""
    keys = columns(results)
    head = [Entry("model", "label"), Entry("experiment", "words")]
    head += [Entry("people")]
    head += [Entry(title(key)) for key in keys]
    lines = []
    for result in results:
        content = result.content
        said = content.get("experiment") or "not recorded"
        count = f"{content.get('measured', 0):,}"
        if not content.get("complete"):
            count += " (not complete)"
        first = [Entry(_name(result), "label"), Entry(said, "words")]
        row = [*first, Entry(count), *_numbers(content["metrics"], keys)]
        lines.append(Line(tuple(row), "paper"))
        for name, metrics in content.get("baselines", {}).items():
            said = Entry(f"baseline: {name.replace('_', ' ')}", "label", 2)
            row = [said, Entry(), *_numbers(metrics, keys)]
            lines.append(Line(tuple(row), "context"))
    return Grid((tuple(head),), tuple(lines))


def columns(results: Sequence[Result]) -> list[str]:
    """The metrics to show: what the protocol puts first, then the known."""
    there = dict.fromkeys(k for r in results for k in r.content["metrics"])
    first = [k for r in results for k in r.content.get("headline", ())]
    ranked = dict.fromkeys([*first, *TITLES, *there])
    return [key for key in ranked if key in there][:MOST_COLUMNS]


def title(metric: str) -> str:
    """A metric's name for people."""
    return TITLES.get(metric, metric.replace("_", " "))


def shown(value: float) -> str:
    """Fractions with three decimals, counts with none, all else with one."""
    if abs(value) >= 10_000 or not math.isfinite(value):
        return f"{value:,.0f}"
    return f"{value:.{3 if abs(value) < 1 else 1}f}"


def _numbers(metrics, keys: Sequence[str]) -> list[Entry]:
    return [
        Entry(shown(metrics[key]) if metrics.get(key) is not None else "")
        for key in keys
    ]


def _latest(results: Sequence[Result]) -> list[Result]:
    """Of each model by each protocol the last one measured."""
    found = {}
    for result in results:
        content = result.content
        whose = content.get("weights") or content.get("predictions")
        key = whose or result.path, content["protocol"]
        # So that it stands where the last one would.
        found.pop(key, None)
        found[key] = result
    return list(found.values())


def _by_protocol(
    results: Sequence[Result],
) -> Iterator[tuple[str, list[Result]]]:
    def name(result: Result) -> str:
        return result.content["protocol"]

    for protocol, group in itertools.groupby(sorted(results, key=name), name):
        yield protocol, list(group)


def _name(result: Result) -> str:
    """The folder of what was measured: the workdir, mostly."""
    return str(result.path.parent.parent)


def _rule(result: Result) -> Iterator[Block]:
    """The protocol in words; older results have one text."""
    rule = result.content.get("rule", "")
    if isinstance(rule, str):
        yield Text(rule, "small")
        return
    said = [f"{name}: {text}" for name, text in rule.items() if text]
    yield Fold("The rule of this protocol", (Items(tuple(said), "small"),))


def _sources(results: Sequence[Result]) -> Items:
    told = []
    for result in results:
        content = result.content
        notes = "".join(f"; {text}" for text in content.get("deviations", ()))
        told.append(
            f"`{_name(result)}`: commit {result.commit}, body "
            f"{content.get('body')}: `{result.command}`{notes}"
        )
    return Items(tuple(told), "small")


def _picture(result: Result) -> Iterator[Block]:
    name = result.content.get("picture", "")
    path = result.path.parent / name
    if name and path.is_file():
        yield Figure(
            path,
            f"SYNTHETIC {result.content['protocol']}, `{_name(result)}`: "
            "people from good to bad, at percentiles of the error.",
            half=True,
        )


def _plots(
    name: str, results: Sequence[Result], folder: Path
) -> Iterator[tuple[Path, str]]:
    """Error by percentile and by joint, of all models in one picture."""
    # Figure, not pyplot: no display is touched and no global state is left.
    from matplotlib.figure import Figure as Plot

    drawn = [r for r in results if r.content.get("percentiles_mpjpe_mm")]
    if not drawn:
        return
    plot = Plot(figsize=(9, 3.6), layout="constrained")
    left, right = plot.subplots(1, 2, width_ratios=(1, 1.5))
    left.set(xlabel="percentile", ylabel="MPJPE (mm)")
    right.set(ylabel="error (mm)")
    for place, result in enumerate(drawn):
        points = result.content["percentiles_mpjpe_mm"]
        ranks = [float(rank) for rank in points]
        label = _name(result)
        left.plot(ranks, list(points.values()), "o-", ms=3, label=label)
        joints = result.content.get("per_joint_mm", {})
        width = 0.8 / len(drawn)
        places = [i + (place + 0.5) * width - 0.4 for i in range(len(joints))]
        right.bar(places, list(joints.values()), width, label=label)
        names = [joint.replace("_", " ") for joint in joints]
        right.set_xticks(range(len(joints)), names, rotation=60, ha="right")
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    path = folder / f"{name}.png"
    folder.mkdir(parents=True, exist_ok=True)
    plot.savefig(path, dpi=150)
    ranks = ", ".join(f"{rank:g}" for rank in visualization.PERCENTILES)
    yield path, f"error at the percentiles {ranks}, and of each joint."
