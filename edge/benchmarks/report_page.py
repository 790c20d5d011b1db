"""Writes the page of edge.report, and its plot of errors."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from edge.benchmarks import parts
from edge.conversion import compare
from edge.conversion.precisions import PRECISIONS
from training.engine import workdir


@dataclasses.dataclass(frozen=True)
class Measurements:
    """Measurements that the page shows.

    Attributes:
        weights: path of the trained model.
        cards: cards of its files, by precision.
        delegate: mean errors in mm on a GPU, by precision and arithmetic,
            the `adapter` and the number of `crops`; {} without a GPU.
        timings: content of benchmark.json.
        encoders: the encoders with random weights.
    """

    weights: str
    cards: Mapping[str, dict]
    delegate: Mapping
    timings: Mapping
    encoders: tuple[str, ...]


def lines(measurements: Measurements, figures: list[str]) -> Iterator[str]:
    """Lines of the page, with links to its figures."""
    float32_card = measurements.cards["float32"]
    environment = workdir.environment()
    arguments = " ".join(sys.argv[1:])
    yield "# Exported models: size, time, error"
    yield ""
    yield f"Made by `python -m edge.report {arguments}`,"
    yield f"commit {environment['commit']}, on {measurements.timings['cpu']},"
    versions = ", ".join(
        f"{k} {v}" for k, v in float32_card["versions"].items()
    )
    yield f"with {versions}. `make edge-report` makes it again."
    yield ""
    yield from error_lines(measurements)
    yield ""
    yield from time_lines(measurements)
    yield ""
    yield from goal_lines(measurements.timings)
    for link in figures:
        yield ""
        yield f"![{Path(link).stem.replace('_', ' ')}]({link})"


def error_lines(measurements: Measurements) -> Iterator[str]:
    """Section on the errors of the trained model's files against Keras."""
    cards, delegate = measurements.cards, measurements.delegate
    error = cards["float32"]["difference_to_keras"]
    yield f"## `{measurements.weights}`, in four precisions"
    yield ""
    yield (
        f"Distance of a vertex from float Keras' over {error['crops']} "
        f"{error['images']} that nothing was fitted to, by LiteRT on the CPU; "
        "MPJPE is of the same people. Every file passed `edge.lint`. Raised: "
        "groups of operators that the budget asked to keep above int8."
    )
    yield ""
    titles = ("precision", "MB", "mean mm", "worst mm", "budget", "MPJPE mm")
    gpu = ("GPU, float32", "GPU, its own") if delegate else ()
    rows = [_error_row(card, delegate) for card in cards.values()]
    yield from _table([*titles, "changes", "raised", *gpu], rows)
    if delegate:
        yield ""
        yield (
            "GPU: mean distance in mm from Keras' on LiteRT's accelerator, "
            "which took each file whole where a number stands, over "
            f"{delegate['crops']} of the people, on {delegate['adapter']}: "
            "with float32 enforced, and in the accelerator's own float16."
        )


def _error_row(card: dict, delegate: Mapping) -> list[str]:
    precision, error = card["precision"], card["difference_to_keras"]
    mpjpe = error["mpjpe_mm"]
    row = [
        precision,
        f"{card['bytes'] / 1e6:.1f}",
        f"{error['vertices_mean_mm']:.2g}",
        f"{error['vertices_max_mm']:.2g}",
        _budget(precision),
        f"{mpjpe['keras']:.2f} to {mpjpe['file']:.2f}",
        f"{error['mpjpe_percent']:.2g} %",
        str(len(card.get("raised", ()))),
    ]
    for arithmetic in ("float32", "own") if delegate else ():
        mean = delegate[precision].get(arithmetic)
        row += ["refused" if mean is None else f"{mean:.2g}"]
    return row


def _budget(precision: str) -> str:
    if precision == "float32":
        return f"{1000 * compare.LARGEST_FLOAT32_M:g} worst"
    return f"{PRECISIONS[precision].mean_mm:g} mean"


def time_lines(measurements: Measurements) -> Iterator[str]:
    """Section on the times of all models."""
    timings = measurements.timings
    yield "## Time"
    yield ""
    names = ", ".join(f"`{name}`" for name in measurements.encoders) or "None"
    yield (
        f"Batch 1, milliseconds, {timings['rounds']} rounds in one run, all "
        "models in turns. Cold and cached: from nothing to the first answer, "
        "without and with XNNPACK's weight cache. Peak: what a process grew "
        f"by. {names}: HMR with RANDOM weights, for time only; its errors "
        "would mean nothing."
    )
    yield ""
    titles = ["model", "MB", "cold", "cached", "peak MB", "1 thread", "p95"]
    rows = []
    for name, model in timings["models"].items():
        row = [name, f"{model['mb']:.1f}", f"{model['cold_ms']:.0f}"]
        row += [f"{model['cached_ms']:.0f}", f"{model['peak_mb']:.0f}"]
        for key in ("threads_1", "threads_2"):
            row += [f"{model[key][k]:.2f}" for k in ("median_ms", "p95_ms")]
        rows.append(row)
    yield from _table([*titles, "2 threads", "p95"], rows)
    yield ""
    yield "By stage, one thread, milliseconds of processor time (crop and draw:"
    yield "a person of 600 pixels in a frame of 1920 x 1080):"
    yield ""
    rows = []
    for name, model in timings["models"].items():
        if model["stages"]:
            cpu = {k: f"{v['cpu_ms']:.2f}" for k, v in model["stages"].items()}
            rows.append([name, *(cpu.get(s, "") for s in parts.STAGES)])
    yield from _table(["model", *parts.STAGES], rows)


def goal_lines(timings) -> Iterator[str]:
    """Section on ratios with a goal, where both sides were timed."""
    models, rows = timings["models"], []

    def add_row(
        quantity: str, numerator: float, denominator: float, limit: float
    ) -> None:
        mark = "" if numerator <= limit * denominator else " MISSED"
        ratio = f"{numerator / denominator:.3f}{mark}"
        rows.append([quantity, ratio, f"at most {limit:g}"])

    def cpu_ms(name: str) -> float:
        return models[name]["threads_1"]["cpu_ms"]

    if "resnet50_slim_float32" in models:
        full_ms = cpu_ms("resnet50_slim_float32")
        body = models["resnet50_slim_float32"]["stages"]["body"]["cpu_ms"]
        int8 = cpu_ms("resnet50_slim_int8")
        add_row("int8 ResNet-50 over float32", int8, full_ms, 0.33)
        add_row("body in float32 ResNet-50", body, full_ms, 0.02)
    for name in models:
        if "pose_landmark" in name and "mobilenet_v3_float16" in models:
            ours = cpu_ms("mobilenet_v3_float16")
            add_row(f"float16 MobileNetV3 over {name}", ours, cpu_ms(name), 1)
    if "body_ratio" in timings:
        ratio = timings["body_ratio"]
        mark = "" if ratio >= 1.8 else " MISSED"
        quantity = "the textbook's body over ours"
        rows.append([quantity, f"{ratio:.2f}{mark}", "at least 1.8"])
    if not rows:
        return
    yield "## Goals, one thread, processor time"
    yield ""
    yield from _table(["what", "found", "goal"], rows)


def _table(titles, rows) -> Iterator[str]:
    for row in (titles, ["---"] * len(titles), *rows):
        yield "| " + " | ".join(row) + " |"


def plot_errors(cards: Mapping[str, dict], path: Path) -> None:
    """Plots the mean error of each precision and its budget over file size."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for precision, card in cards.items():
        mean = card["difference_to_keras"]["vertices_mean_mm"]
        (dot,) = axes.plot(card["bytes"] / 1e6, mean, "o", label=precision)
        if precision in PRECISIONS:
            budget = PRECISIONS[precision].mean_mm
            megabytes = card["bytes"] / 1e6
            axes.plot(
                megabytes, budget, "v", color=dot.get_color(), fillstyle="none"
            )
    axes.plot([], [], "v", color="0.4", fillstyle="none", label="its budget")
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("file, MB")
    axes.set_ylabel("mean distance of a vertex from Keras', mm")
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
