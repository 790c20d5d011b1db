"""Results without a paper's number: rendered people, other models."""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from tf_hmr.formats import atomic, file_names
from training import visualization
from training.evaluation import result_files
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
    "mpjpe_true_root_mm": "MPJPE, true root (mm)",
    "pve_mm": "PVE (mm)",
    "pck3d_150mm": "PCK@150 mm (%)",
    "auc3d": "AUC (%)",
    "pck2d_torso02": "2D PCK@0.2 (%)",
    "silhouette_iou": "silhouette IoU",
    "silhouette_f1": "silhouette F1",
    "part_accuracy": "part accuracy",
    "part_f1": "part F1",
}
# training.claims writes this file to the workdir of each of its networks.
CLAIM = "claims.json"
# More columns do not fit a page; the JSON has all of them.
MAX_COLUMNS = 10
WARNING = (
    "SYNTHETIC: rendered people of the open body. These numbers compare "
    "models of this repository with each other; they say nothing about "
    "photographs and stand for no number of a paper."
)


def synthetic(results: Sequence[Result], plots: Path) -> Iterator[Block]:
    """Tables of results on rendered people, with plots and figures."""
    synthetic_results = [
        result
        for result in _latest(results)
        if result.is_synthetic
        and not (result.path.parent.parent / CLAIM).is_file()
    ]
    yield Heading(2, "Synthetic results", "synthetic")
    yield Text(WARNING, "warning")
    if not synthetic_results:
        yield Text("No result yet.")
    for name, group in _by_protocol(synthetic_results):
        yield Heading(3, f"SYNTHETIC {name}", f"synthetic-{name}")
        yield from _description(group[-1])
        yield grid(group)
        yield _sources(group)
        for path, caption in _plots(name, group, plots):
            yield Figure(path, f"SYNTHETIC {name}: {caption}")
        for result in group:
            yield from _figure(result)


def other_results(
    results: Sequence[Result], tabulated: set[Path]
) -> Iterator[Block]:
    """Results on photographs that reproduce no number of a paper."""
    unused = [
        result
        for result in _latest(results)
        if not result.is_synthetic and result.path not in tabulated
    ]
    if not unused:
        return
    yield Heading(2, "Other results", "others")
    yield Text(
        "On photographs, but of another experiment than a paper's, not "
        "complete, or by a protocol of no table."
    )
    for name, group in _by_protocol(unused):
        yield Heading(3, name, f"others-{name}")
        yield from _description(group[-1])
        yield grid(group)
        yield _sources(group)


def grid(results: Sequence[Result]) -> Grid:
    """One line per result, with its baselines below it in grey."""
    keys = columns(results)
    head = [Entry("model", "label"), Entry("experiment", "words")]
    head += [Entry("people")]
    head += [Entry(title(key)) for key in keys]
    lines = []
    for result in results:
        content = result.content
        experiment = content.get("experiment") or "not recorded"
        count = f"{content.get('measured', 0):,}"
        if not content.get("complete"):
            count += " (not complete)"
        first = [Entry(_folder_of(result), "label"), Entry(experiment, "words")]
        row = [*first, Entry(count), *_numbers(content["metrics"], keys)]
        lines.append(Line(tuple(row), "paper"))
        for name, metrics in content.get("baselines", {}).items():
            label = Entry(f"baseline: {name.replace('_', ' ')}", "label", 2)
            row = [label, Entry(), *_numbers(metrics, keys)]
            lines.append(Line(tuple(row), "context"))
    return Grid((tuple(head),), tuple(lines))


def columns(results: Sequence[Result]) -> list[str]:
    """The metrics to show: the protocol's headline first, then TITLES."""
    available = dict.fromkeys(k for r in results for k in r.content["metrics"])
    headline = [k for r in results for k in r.content.get("headline", ())]
    ordered = dict.fromkeys([*headline, *TITLES, *available])
    return [key for key in ordered if key in available][:MAX_COLUMNS]


def title(metric: str) -> str:
    """The displayed name of a metric."""
    return TITLES.get(metric, metric.replace("_", " "))


def format_metric(value: float) -> str:
    """Fractions with three decimals, counts with none, others with one."""
    if abs(value) >= 10_000 or not math.isfinite(value):
        return f"{value:,.0f}"
    return f"{value:.{3 if abs(value) < 1 else 1}f}"


def _numbers(metrics, keys: Sequence[str]) -> list[Entry]:
    return [
        Entry(
            format_metric(metrics[key]) if metrics.get(key) is not None else ""
        )
        for key in keys
    ]


def _latest(results: Sequence[Result]) -> list[Result]:
    """The last result of each model by each protocol."""
    latest = {}
    for result in results:
        content = result.content
        source = content.get("weights") or content.get("predictions")
        output = content.get("output", "")
        key = source or result.path, content["protocol"], output
        # Removed first, so that the order is that of the last results.
        latest.pop(key, None)
        latest[key] = result
    return list(latest.values())


def _by_protocol(
    results: Sequence[Result],
) -> Iterator[tuple[str, list[Result]]]:
    def name(result: Result) -> str:
        return result.content["protocol"]

    for protocol, group in itertools.groupby(sorted(results, key=name), name):
        yield protocol, list(group)


def _folder_of(result: Result) -> str:
    """The folder of the measured model, usually its workdir, and its part."""
    output = result.content.get("output")
    folder = str(result.path.parent.parent)
    return f"{folder} ({output})" if output else folder


def _description(result: Result) -> Iterator[Block]:
    """The protocol in words; older results have a single text."""
    description = result.content.get("rule", "")
    if isinstance(description, str):
        yield Text(description, "small")
        return
    lines = [f"{name}: {text}" for name, text in description.items() if text]
    yield Fold("The rule of this protocol", (Items(tuple(lines), "small"),))


def _sources(results: Sequence[Result]) -> Items:
    lines = []
    for result in results:
        content = result.content
        notes = "".join(f"; {text}" for text in content.get("deviations", ()))
        lines.append(
            f"`{_folder_of(result)}`: commit {result.commit}, body "
            f"{content.get('body')}: `{result.command}`{notes}"
        )
    return Items(tuple(lines), "small")


def _figure(result: Result) -> Iterator[Block]:
    name = str(result.content.get("picture", ""))
    path = result_files.inside(result.path.parent, name)
    if path:
        yield Figure(
            path,
            f"SYNTHETIC {result.content['protocol']}, `{_folder_of(result)}`: "
            "people from good to bad, at percentiles of the error.",
            half=True,
        )


def _plots(
    name: str, results: Sequence[Result], folder: Path
) -> Iterator[tuple[Path, str]]:
    """Error by percentile and by joint, of all models in one figure."""
    # Figure, not pyplot: no display is touched and no global state is left.
    from matplotlib.figure import Figure as Plot

    plotted = [r for r in results if r.content.get("percentiles_mpjpe_mm")]
    if not plotted:
        return
    plot = Plot(figsize=(9, 3.6), layout="constrained")
    left, right = plot.subplots(1, 2, width_ratios=(1, 1.5))
    left.set(xlabel="percentile", ylabel="MPJPE (mm)")
    right.set(ylabel="error (mm)")
    for index, result in enumerate(plotted):
        points = result.content["percentiles_mpjpe_mm"]
        ranks = [float(rank) for rank in points]
        label = _folder_of(result)
        left.plot(ranks, list(points.values()), "o-", ms=3, label=label)
        joints = result.content.get("per_joint_mm", {})
        width = 0.8 / len(plotted)
        positions = [
            i + (index + 0.5) * width - 0.4 for i in range(len(joints))
        ]
        right.bar(positions, list(joints.values()), width, label=label)
        names = [joint.replace("_", " ") for joint in joints]
        right.set_xticks(range(len(joints)), names, rotation=60, ha="right")
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    path = folder / f"{file_names.path_component(name)}.png"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as part:
        plot.savefig(part, dpi=150)
    ranks = ", ".join(f"{rank:g}" for rank in visualization.PERCENTILES)
    yield path, f"error at the percentiles {ranks}, and of each joint."
