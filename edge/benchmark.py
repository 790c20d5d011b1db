"""Measures time, memory and size of .tflite models on this processor.

    python -m edge.benchmark hmr_float32.tflite hmr_int8.tflite
    python -m edge.benchmark ours.tflite pose_landmark_lite.tflite --rounds 100
    python -m edge.benchmark runs/*.tflite --threads 1 2 4 --out bench

Any .tflite can take part; its inputs are filled at random. All models, and
the parts of those that edge.export wrote, are loaded together and run in
turns, one run each per round, so that a noisy minute affects all of them
alike. Start and memory are measured in fresh processes. Prints a table and
writes benchmark.json and benchmark.png.

median and p95: milliseconds of one run. cpu: CPU time of the calling thread,
which is all CPU time at one thread; other processes disturb it least. cold,
cached: from process start to the first answer, without and with XNNPACK's
weight cache. peak: growth of the process's peak memory. encoder, regressor,
body: cpu of each part alone. crop, draw: cpu of these steps of edge.run, for a
person of 600 pixels in a video of 1080 lines.
"""

import dataclasses
import json
import logging
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import cv2
import matplotlib.pyplot as plt
import numpy as np
import tyro

from edge import run as device
from edge.benchmarks import parts
from edge.benchmarks import process as benchmark_process
from tf_hmr import progress

BOX = (660.0, 240.0, 300.0, 600.0)
"""Box (x, y, w, h) in FRAME of the person that crop and draw are timed on."""

FRAME = (1920, 1080)
FIGURES = ("median_ms", "p95_ms", "cpu_ms")
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """The .tflite files."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads to time with, one after the other."""
    rounds: int = 30
    """Runs of each model at each number of threads."""
    starts: int = 3
    """Fresh processes per model for start and memory, of which the median is
    reported."""
    out: Path = Path("benchmark")
    """Folder for benchmark.json and benchmark.png."""


def run(args: Args) -> dict:
    """Measures all models; returns the content of benchmark.json.

    Raises:
        FileNotFoundError: a model is missing.
        ValueError: LiteRT cannot read a model, or two have the same name.
    """
    paths = check(args)
    models = {
        name: {"path": str(path), "mb": path.stat().st_size / 1e6}
        for name, path in paths.items()
    }
    for name, path in progress.bar(paths.items(), "starts"):
        models[name] |= start_costs(path, args.starts)
    with tempfile.TemporaryDirectory() as folder:
        for number, threads in enumerate(args.threads):
            runs = {(n, ""): _loaded(p, threads) for n, p in paths.items()}
            if number == 0:
                runs |= stages(paths, Path(folder), threads)
            times = in_turns(runs, args.rounds, f"{threads} threads")
            with benchmark_process.quiet():
                runs.clear()
            for (name, stage), stage_times in times.items():
                stage_figures = models[name].setdefault("stages", {})
                if stage:
                    stage_figures[stage] = figures(stage_times)
                else:
                    models[name][f"threads_{threads}"] = figures(stage_times)
    return {
        "cpu": cpu_name(),
        "system": platform.platform(),
        "rounds": args.rounds,
        "models": models,
    }


def check(args: Args) -> dict[str, Path]:
    """The models' paths by name.

    Raises:
        FileNotFoundError: a model is missing.
        ValueError: an argument is out of range, or two have the same name.
    """
    paths = {path.stem: path for path in args.models}
    if not args.models or len(paths) < len(args.models):
        raise ValueError(
            f"Models {[str(path) for path in args.models]}. Expected at least "
            "one, each of its own file name."
        )
    if args.rounds < 1 or args.starts < 1 or min(args.threads, default=0) < 1:
        raise ValueError("--rounds, --starts and --threads are 1 or more.")
    for path in args.models:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such model.")
    return paths


def _loaded(path: Path, threads: int) -> Callable[[], None]:
    try:
        return benchmark_process.load(str(path), threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: LiteRT cannot run it ({error}).") from None


def stages(paths: Mapping[str, Path], folder: Path, threads: int) -> dict:
    """Functions that run one stage, by (model, stage)."""
    runs = {}
    cv2.setNumThreads(threads)  # thread_time misses OpenCV's threads.
    frame = np.random.default_rng(0).integers(0, 256, (*FRAME[::-1], 3))
    frame = frame.astype(np.uint8)
    for name, path in paths.items():
        for part, file in parts.write(path, folder).items():
            runs[name, part] = _loaded(file, threads)
        if path.with_suffix(".card.json").is_file():
            model = device.Model(path, threads)
            square = device.square_box(BOX, model.crop_scale)
            runs[name, "crop"] = _crop(frame, square, model.size)
            runs[name, "draw"] = _draw(frame.copy(), model, square)
    return runs


def _crop(frame, square, size) -> Callable[[], None]:
    return lambda: device.crop_image(frame, square, size)


def _draw(canvas, model, square) -> Callable[[], None]:
    prediction = model(device.crop_image(canvas, square, model.size))
    # Scales the mesh to fill the box, whatever the network predicts.
    points = prediction["vertices"][:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    pixels = BOX[:2] + (points - low) * (BOX[3] / (high - low).max())
    return lambda: device.draw(
        canvas, prediction["vertices"], pixels, model.faces
    )


def in_turns(runs: Mapping, rounds: int, title: str) -> dict:
    """Milliseconds (rounds, 2) of each function, called once per round.

    The first column is wall clock time, the second CPU time of this thread.
    """
    for function in runs.values():
        function()
    times = {name: [] for name in runs}
    for _ in progress.bar(range(rounds), title):
        for name, function in runs.items():
            start, cpu_start = time.perf_counter(), time.thread_time()
            function()
            cpu = time.thread_time() - cpu_start
            times[name].append((time.perf_counter() - start, cpu))
    return {name: 1000 * np.array(pairs) for name, pairs in times.items()}


def figures(times: np.ndarray) -> dict[str, float]:
    """Entry of benchmark.json for the times (rounds, 2) of `in_turns`."""
    median, p95 = np.percentile(times[:, 0], (50, 95)).tolist()
    cpu_ms = float(np.median(times[:, 1]))
    return {"median_ms": median, "p95_ms": p95, "cpu_ms": cpu_ms}


def start_costs(path: Path, count: int) -> dict[str, float]:
    """Start times, cold and cached, and peak memory, in fresh processes.

    Raises:
        ValueError: a process failed; quotes its last line of errors.
    """
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "weights")
        cold = [_process(path) for _ in range(count)]
        _process(path, "--cache", cache)
        cached = [_process(path, "--cache", cache) for _ in range(count)]
    return {
        "cold_ms": float(np.median([start["first_ms"] for start in cold])),
        "cached_ms": float(np.median([start["first_ms"] for start in cached])),
        "peak_mb": float(np.median([start["peak_mb"] for start in cold])),
    }


def _process(path: Path, *flags: str) -> dict[str, float]:
    command = [sys.executable, "-m", "edge.benchmarks.process", str(path)]
    process = subprocess.run(
        [*command, *flags], capture_output=True, text=True, check=False
    )
    if process.returncode:
        error_message = (process.stderr.splitlines() or ["no word"])[-1]
        raise ValueError(f"{path}: LiteRT cannot run it ({error_message}).")
    return json.loads(process.stdout)


def cpu_name() -> str:
    """Name of the processor, from the system."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def table(report: dict) -> str:
    """The measurements as lines of text."""
    first_model = next(iter(report["models"].values()))
    threads = [key for key in first_model if key.startswith("threads_")]
    titles = ["model", "MB", "cold", "cached", "peak MB"]
    for key in threads:
        titles += [f"{key[8:]}t median", "p95", "cpu"]
    rows = [[*titles, *parts.STAGES]]
    for name, model in report["models"].items():
        row = [name, f"{model['mb']:.1f}", f"{model['cold_ms']:.0f}"]
        row += [f"{model['cached_ms']:.0f}", f"{model['peak_mb']:.0f}"]
        for key in threads:
            row += [f"{model[key][k]:.2f}" for k in FIGURES]
        stage_figures = model["stages"]
        row += [
            f"{stage_figures[s]['cpu_ms']:.2f}" if s in stage_figures else ""
            for s in parts.STAGES
        ]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0])]
            + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    )
    return "\n".join([f"{report['cpu']}; milliseconds", *lines])


def plot(report: dict, path: Path) -> None:
    """Draws bars of the medians, whiskers to p95, a colour per thread count."""
    names = list(report["models"])
    first_model = report["models"][names[0]]
    threads = [key for key in first_model if key.startswith("threads_")]
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.55 * len(names)))
    height = 0.8 / len(threads)
    for number, key in enumerate(threads):
        timings = [report["models"][name][key] for name in names]
        median = np.array([timing["median_ms"] for timing in timings])
        p95 = np.array([timing["p95_ms"] for timing in timings])
        bar_edges = np.arange(len(names)) + (number - len(threads) / 2) * height
        axes.barh(
            bar_edges + height / 2,
            median,
            height,
            xerr=[0 * median, np.maximum(p95 - median, 0)],
            label=f"{key[8:]} thread" + "s" * (key != "threads_1"),
            ecolor="0.5",
        )
        for bar_edge, median_ms, p95_ms in zip(
            bar_edges, median, p95, strict=True
        ):
            label_xy = (max(median_ms, p95_ms), bar_edge + height / 2)
            axes.text(*label_xy, f"  {median_ms:.1f}", va="center", fontsize=8)
    sizes = [f"{n}\n{report['models'][n]['mb']:.1f} MB" for n in names]
    axes.set_yticks(np.arange(len(names)), sizes)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("milliseconds per run: median, whisker to p95")
    axes.set_title(report["cpu"], fontsize="medium")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        report = run(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print(table(report))
    text = json.dumps(report, indent=1) + "\n"
    (args.out / "benchmark.json").write_text(text, encoding="utf-8")
    plot(report, args.out / "benchmark.png")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(
            tyro.cli(Args, prog="python -m edge.benchmark", description=__doc__)
        )
    )
