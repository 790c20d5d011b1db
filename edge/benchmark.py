"""How fast and how large .tflite models are on this processor, side by side.

    python -m edge.benchmark hmr_float32.tflite hmr_int8.tflite
    python -m edge.benchmark ours.tflite pose_landmark_lite.tflite --rounds 100
    python -m edge.benchmark runs/*.tflite --threads 1 2 4 --out bench

Any .tflite may take part; its inputs are filled at random. All models, and
the parts of those that edge.export wrote, are loaded together and run in
turns, one run each per round, so that a noisy minute meets all of them alike.
Start and memory are those of fresh processes. Prints a table and writes
benchmark.json and benchmark.png.

median and p95: milliseconds of one run. cpu: what the calling thread worked
of them, all of it at one thread; other processes disturb it least. cold,
cached: from nothing to the first answer, without and with XNNPACK's weight
cache. peak: what the process grew by. encoder, regressor, body: cpu of each
alone; crop and draw: that of what edge.run does beside, on a person of 600
pixels in a film of 1080 lines.
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
import tqdm
import tyro

from edge import run as device
from edge.benchmarks import parts
from edge.benchmarks import process as benchmark_process

BOX = (660.0, 240.0, 300.0, 600.0)
"""Of the person that crop and draw are timed on, in FRAME."""

FRAME = (1920, 1080)
FIGURES = ("median_ms", "p95_ms", "cpu_ms")
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """What the command line says."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """The .tflite files."""
    threads: tuple[int, ...] = (1, 2)
    """Threads to time with, one after the other."""
    rounds: int = 30
    """How often each model runs at each number of threads."""
    starts: int = 3
    """Fresh processes per model for start and memory; their medians count."""
    out: Path = Path("benchmark")
    """Folder for benchmark.json and benchmark.png."""


def run(args: Args) -> dict:
    """Measures; returns what benchmark.json says.

    Raises:
        FileNotFoundError, ValueError: no such model, or LiteRT cannot read
            it, or two have the same name.
    """
    names = check(args)
    found = {
        name: {"path": str(path), "mb": path.stat().st_size / 1e6}
        for name, path in names.items()
    }
    for name, path in tqdm.tqdm(names.items(), "starts", disable=None):
        found[name] |= start_costs(path, args.starts)
    with tempfile.TemporaryDirectory() as folder:
        for number, threads in enumerate(args.threads):
            runs = {(n, ""): _loaded(p, threads) for n, p in names.items()}
            if number == 0:
                runs |= stages(names, Path(folder), threads)
            times = in_turns(runs, args.rounds, f"{threads} threads")
            with benchmark_process.quiet():
                runs.clear()
            for (name, stage), each in times.items():
                told = figures(each)
                where = found[name].setdefault("stages", {})
                if stage:
                    where[stage] = told
                else:
                    found[name][f"threads_{threads}"] = told
    return {
        "cpu": cpu_name(),
        "system": platform.platform(),
        "rounds": args.rounds,
        "models": found,
    }


def check(args: Args) -> dict[str, Path]:
    """The models by name.

    Raises:
        FileNotFoundError, ValueError: as `run`.
    """
    names = {path.stem: path for path in args.models}
    if not args.models or len(names) < len(args.models):
        raise ValueError(
            f"Models {[str(path) for path in args.models]}. Expected at least "
            "one, each of its own file name."
        )
    if args.rounds < 1 or args.starts < 1 or min(args.threads, default=0) < 1:
        raise ValueError("--rounds, --starts and --threads are 1 or more.")
    for path in args.models:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such model.")
    return names


def _loaded(path: Path, threads: int) -> Callable[[], None]:
    try:
        return benchmark_process.load(str(path), threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: LiteRT cannot run it ({error}).") from None


def stages(names: Mapping[str, Path], folder: Path, threads: int) -> dict:
    """Functions that run one stage, by (model, stage), where it has them."""
    made = {}
    cv2.setNumThreads(threads)  # Else threads that cpu does not count.
    frame = np.random.default_rng(0).integers(0, 256, (*FRAME[::-1], 3))
    frame = frame.astype(np.uint8)
    for name, path in names.items():
        for part, file in parts.write(path, folder).items():
            made[name, part] = _loaded(file, threads)
        if path.with_suffix(".card.json").is_file():
            model = device.Model(path, threads)
            square = device.square_box(BOX, model.crop_scale)
            made[name, "crop"] = _crop(frame, square, model.size)
            made[name, "draw"] = _draw(frame.copy(), model, square)
    return made


def _crop(frame, square, size) -> Callable[[], None]:
    return lambda: device.crop_image(frame, square, size)


def _draw(canvas, model, square) -> Callable[[], None]:
    found = model(device.crop_image(canvas, square, model.size))
    # Whatever the network answers, a body that fills the box.
    flat = found["vertices"][:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    pixels = BOX[:2] + (flat - low) * (BOX[3] / (high - low).max())
    return lambda: device.draw(canvas, found["vertices"], pixels, model.faces)


def in_turns(runs: Mapping, rounds: int, title: str) -> dict:
    """Milliseconds (rounds, 2) of each function, called once per round.

    The first column is what passed, the second what this thread worked.
    """
    for function in runs.values():
        function()
    times = {name: [] for name in runs}
    for _ in tqdm.trange(rounds, desc=title, disable=None):
        for name, function in runs.items():
            start, worked = time.perf_counter(), time.thread_time()
            function()
            worked = time.thread_time() - worked
            times[name].append((time.perf_counter() - start, worked))
    return {name: 1000 * np.array(each) for name, each in times.items()}


def figures(times: np.ndarray) -> dict[str, float]:
    """What benchmark.json says of the times (rounds, 2) of `in_turns`."""
    median, p95 = np.percentile(times[:, 0], (50, 95)).tolist()
    worked = float(np.median(times[:, 1]))
    return {"median_ms": median, "p95_ms": p95, "cpu_ms": worked}


def start_costs(path: Path, count: int) -> dict[str, float]:
    """Start, cold and cached, and peak memory, each of fresh processes.

    Raises:
        ValueError: a process failed; its last words are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "weights")
        cold = [_process(path) for _ in range(count)]
        _process(path, "--cache", cache)
        cached = [_process(path, "--cache", cache) for _ in range(count)]
    return {
        "cold_ms": float(np.median([each["first_ms"] for each in cold])),
        "cached_ms": float(np.median([each["first_ms"] for each in cached])),
        "peak_mb": float(np.median([each["peak_mb"] for each in cold])),
    }


def _process(path: Path, *flags: str) -> dict[str, float]:
    command = [sys.executable, "-m", "edge.benchmarks.process", str(path)]
    done = subprocess.run(
        [*command, *flags], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.splitlines() or ["no word"])[-1]
        raise ValueError(f"{path}: LiteRT cannot run it ({last}).")
    return json.loads(done.stdout)


def cpu_name() -> str:
    """The processor, as the system names it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def table(result: dict) -> str:
    """The figures as lines of text."""
    some = next(iter(result["models"].values()))
    threads = [key for key in some if key.startswith("threads_")]
    titles = ["model", "MB", "cold", "cached", "peak MB"]
    for key in threads:
        titles += [f"{key[8:]}t median", "p95", "cpu"]
    rows = [[*titles, *parts.STAGES]]
    for name, told in result["models"].items():
        row = [name, f"{told['mb']:.1f}", f"{told['cold_ms']:.0f}"]
        row += [f"{told['cached_ms']:.0f}", f"{told['peak_mb']:.0f}"]
        for key in threads:
            row += [f"{told[key][k]:.2f}" for k in FIGURES]
        alone = told["stages"]
        row += [
            f"{alone[s]['cpu_ms']:.2f}" if s in alone else ""
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
    return "\n".join([f"{result['cpu']}; milliseconds", *lines])


def plot(result: dict, path: Path) -> None:
    """Bars of the medians, whiskers to p95, one colour per thread count."""
    names = list(result["models"])
    some = result["models"][names[0]]
    threads = [key for key in some if key.startswith("threads_")]
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.55 * len(names)))
    height = 0.8 / len(threads)
    for number, key in enumerate(threads):
        told = [result["models"][name][key] for name in names]
        median = np.array([each["median_ms"] for each in told])
        p95 = np.array([each["p95_ms"] for each in told])
        places = np.arange(len(names)) + (number - len(threads) / 2) * height
        axes.barh(
            places + height / 2,
            median,
            height,
            xerr=[0 * median, np.maximum(p95 - median, 0)],
            label=f"{key[8:]} thread" + "s" * (key != "threads_1"),
            ecolor="0.5",
        )
        for place, value, end in zip(places, median, p95, strict=True):
            where = (max(value, end), place + height / 2)
            axes.text(*where, f"  {value:.1f}", va="center", fontsize=8)
    sizes = [f"{n}\n{result['models'][n]['mb']:.1f} MB" for n in names]
    axes.set_yticks(np.arange(len(names)), sizes)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("milliseconds per run: median, whisker to p95")
    axes.set_title(result["cpu"], fontsize="medium")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        result = run(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print(table(result))
    text = json.dumps(result, indent=1) + "\n"
    (args.out / "benchmark.json").write_text(text, encoding="utf-8")
    plot(result, args.out / "benchmark.png")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(
            tyro.cli(Args, prog="python -m edge.benchmark", description=__doc__)
        )
    )
