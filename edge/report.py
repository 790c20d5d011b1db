"""Writes a page on exported models: size, time and error in every precision.

    python -m edge.report --weights runs/demo --out edge/REPORT.md

Exports the model in all precisions, which lints each file and compares it with
Keras; runs the files on LiteRT's GPU accelerator; exports large encoders with
random weights, for timing only; and times everything in one run. Takes a
quarter of an hour on an idle machine.
"""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tyro

from edge import benchmark, body_benchmark, export
from edge.benchmarks import report_page
from edge.conversion import calibration, compare, quantize
from edge.targets import vulkan
from tf_hmr import joints, method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body

PRECISIONS = ("float32", *quantize.PARTS)
LARGE = ("resnet50_slim", "mobilenet_v3")
GPU_CROPS = 16
BODY_ROUNDS = 300
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    weights: Path = Path("runs/demo")
    """A trained model: its folder, or the workdir of training.fit."""
    out: Path = Path("edge/REPORT.md")
    """The page to write."""
    pictures: Path = Path("docs")
    """Folder for its plots."""
    files: Path = Path("build/edge-report")
    """Folder for the exported files."""
    beside: tuple[Path, ...] = ()
    """More .tflite files to time in the same run, such as BlazePose's."""
    encoders: tuple[str, ...] = LARGE
    """Encoders of HMR to time with random weights."""
    rounds: int = 30
    """Runs of each model at each number of threads."""


def report(args: Args) -> None:
    """Makes the files, measures, and writes the page with its plots.

    Raises:
        FileNotFoundError: the trained model is missing.
        ValueError: a file breaks a rule or its budget, or cannot be timed.
    """
    if not args.weights.is_dir():
        raise FileNotFoundError(
            f"No trained model in {args.weights}: `make demo` trains one in "
            "runs/demo; or name another with --weights."
        )
    args.files.mkdir(parents=True, exist_ok=True)
    cards = trained(args)
    random_files = [
        file for name in args.encoders for file in untrained(args, name)
    ]
    files = [args.files / card["model"] for card in cards.values()]
    _log_progress(f"Timing {len(files) + len(random_files)} models in turns")
    timings = benchmark.run(
        benchmark.Args(
            models=(*files, *random_files, *args.beside),
            rounds=args.rounds,
            out=args.files,
        )
    )
    timings["body_ratio"] = body_ratio()
    delegate = on_gpu(args, cards)
    text = json.dumps(timings, indent=1) + "\n"
    (args.files / "benchmark.json").write_text(text, encoding="utf-8")
    args.pictures.mkdir(parents=True, exist_ok=True)
    plots = [args.pictures / f"edge_{name}.png" for name in ("error", "time")]
    report_page.plot_errors(cards, plots[0])
    benchmark.plot(timings, plots[1])
    measurements = report_page.Measurements(
        str(args.weights), cards, delegate, timings, args.encoders
    )
    links = [os.path.relpath(path, args.out.parent) for path in plots]
    page = "\n".join(report_page.lines(measurements, links)) + "\n"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(page, encoding="utf-8")


def trained(args: Args) -> dict[str, dict]:
    """Cards of the trained model's files, by precision."""
    cards = {}
    for precision in PRECISIONS:
        path = args.files / f"{args.weights.name}_{precision}.tflite"
        _log_progress(f"Exporting {path.name}")
        cards[precision] = export.export(
            export.Args(args.weights, path, precision)
        )
    return cards


def untrained(args: Args, encoder: str) -> list[Path]:
    """Files of an HMR with random weights, meaningful only for timing."""
    data = BodyData.load("open")
    model = method.create("hmr", Body(data, jit=False), encoder=encoder)
    folder = args.files / encoder
    method.save(model, folder)
    files = []
    for precision in PRECISIONS:
        path = args.files / f"{encoder}_{precision}.tflite"
        _log_progress(f"Exporting {path.name} (random weights, for its time)")
        export.export(
            export.Args(folder, path, precision, crops=2, latency_only=True)
        )
        files.append(path)
    return files


def body_ratio() -> float:
    """Time of the textbook's body function divided by the time of ours."""
    data = BodyData.load("open")
    contents = body_benchmark.converted(data, joints.COCOPLUS19)
    times = body_benchmark.measure(contents, BODY_ROUNDS)
    return float(np.median(times["textbook"] / times["ours"]))


def on_gpu(args: Args, cards: Mapping[str, dict]) -> dict:
    """Errors in mm on LiteRT's GPU accelerator, by precision.

    {} if this machine has no GPU, or the GPU refuses all files.
    """
    environment = vulkan.environment()
    if environment is None:
        return {}
    model = method.load(args.weights, jit=False)
    people = calibration.held_out(model, None, GPU_CROPS)
    keras = compare.run_keras(model, people.inputs)
    inputs, outputs = args.files / "inputs.npz", args.files / "gpu.npz"
    np.savez(inputs, **people.inputs)
    errors = {"crops": GPU_CROPS}
    for precision, card in cards.items():
        errors[precision] = {}
        for arithmetic, flags in {"float32": ["--float32"], "own": []}.items():
            arguments = [
                args.files / card["model"],
                inputs,
                outputs,
                "--gpu",
                *flags,
            ]
            _log_progress(
                f"{card['model']} on the GPU, {arithmetic} arithmetic"
            )
            process = subprocess.run(
                [sys.executable, "-m", "edge.targets.outputs", *arguments],
                env=os.environ | environment,
                capture_output=True,
                text=True,
            )
            if process.returncode:
                _log.warning(
                    "%s: %s", arguments[0], process.stderr.splitlines()[-1:]
                )
                continue
            measured = compare.compare(
                np.load(outputs), keras, people, model.joint_names
            )
            errors[precision][arithmetic] = measured.vertices_mean_mm
            errors["adapter"] = _adapter(process.stderr)
    return errors if "adapter" in errors else {}


def _adapter(log: str) -> str:
    """Name of the GPU in LiteRT's log."""
    mark = "Selected adapter: "
    names = [line.split(mark)[1] for line in log.splitlines() if mark in line]
    return names[0].split(", arch")[0] if names else "a GPU without a name"


def _log_progress(text: str) -> None:
    print(text, flush=True)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        report(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    _log_progress(f"{args.out}, plots in {args.pictures}")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m edge.report", description=__doc__))
    )
