"""What an export costs: size, time and error in every precision, on one page.

    python -m edge.report --weights runs/demo --out edge/REPORT.md

Exports the model in all precisions (which lints each file and holds it
against Keras), asks LiteRT's GPU accelerator whether it takes them, exports
large encoders with random weights, for their time only, and times everything
in one run. Takes a quarter of an hour, on a machine that does nothing else.
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
    """What the command line says."""

    weights: Path = Path("runs/demo")
    """A trained model: its folder, or the workdir of training.fit."""
    out: Path = Path("edge/REPORT.md")
    """The page to write."""
    pictures: Path = Path("docs")
    """Folder for its plots."""
    files: Path = Path("build/edge-report")
    """Folder for the exported files."""
    beside: tuple[Path, ...] = ()
    """More .tflite files to time in the same run, as BlazePose's."""
    encoders: tuple[str, ...] = LARGE
    """Encoders of HMR to time with random weights."""
    rounds: int = 30
    """How often each model is timed at each number of threads."""


def report(args: Args) -> None:
    """Makes the files, measures, and writes the page with its plots.

    Raises:
        FileNotFoundError: there is no trained model.
        ValueError: a file broke a rule or its budget, or cannot be timed.
    """
    if not args.weights.is_dir():
        raise FileNotFoundError(
            f"No trained model in {args.weights}: `make demo` trains one in "
            "runs/demo; or name another with --weights."
        )
    args.files.mkdir(parents=True, exist_ok=True)
    cards = trained(args)
    random = [file for name in args.encoders for file in untrained(args, name)]
    files = [args.files / card["model"] for card in cards.values()]
    _say(f"Timing {len(files) + len(random)} models in turns")
    timed = benchmark.run(
        benchmark.Args(
            models=(*files, *random, *args.beside),
            rounds=args.rounds,
            out=args.files,
        )
    )
    timed["body_ratio"] = body_ratio()
    delegate = on_gpu(args, cards)
    text = json.dumps(timed, indent=1) + "\n"
    (args.files / "benchmark.json").write_text(text, encoding="utf-8")
    args.pictures.mkdir(parents=True, exist_ok=True)
    plots = [args.pictures / f"edge_{name}.png" for name in ("error", "time")]
    report_page.plot_errors(cards, plots[0])
    benchmark.plot(timed, plots[1])
    found = report_page.Found(
        str(args.weights), cards, delegate, timed, args.encoders
    )
    links = [os.path.relpath(path, args.out.parent) for path in plots]
    page = "\n".join(report_page.lines(found, links)) + "\n"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(page, encoding="utf-8")


def trained(args: Args) -> dict[str, dict]:
    """Cards of the trained model's files, by precision."""
    made = {}
    for precision in PRECISIONS:
        path = args.files / f"{args.weights.name}_{precision}.tflite"
        _say(f"Exporting {path.name}")
        made[precision] = export.export(
            export.Args(args.weights, path, precision)
        )
    return made


def untrained(args: Args, encoder: str) -> list[Path]:
    """Files of an HMR with random weights: right for time, for nothing else."""
    data = BodyData.load("open")
    model = method.create("hmr", Body(data, jit=False), encoder=encoder)
    folder = args.files / encoder
    method.save(model, folder)
    made = []
    for precision in PRECISIONS:
        path = args.files / f"{encoder}_{precision}.tflite"
        _say(f"Exporting {path.name} (random weights, for its time)")
        export.export(
            export.Args(folder, path, precision, crops=2, latency_only=True)
        )
        made.append(path)
    return made


def body_ratio() -> float:
    """How many times the textbook's body function takes of ours' time."""
    data = BodyData.load("open")
    contents = body_benchmark.converted(data, joints.COCOPLUS19)
    times = body_benchmark.measure(contents, BODY_ROUNDS)
    return float(np.median(times["textbook"] / times["ours"]))


def on_gpu(args: Args, cards: Mapping[str, dict]) -> dict:
    """Errors in mm on LiteRT's GPU accelerator, by precision.

    {} where this machine shows no GPU, or it takes none of them.
    """
    environment = vulkan.environment()
    if environment is None:
        return {}
    model = method.load(args.weights, jit=False)
    people = calibration.held_out(model, None, GPU_CROPS)
    keras = compare.run_keras(model, people.inputs)
    inputs, out = args.files / "inputs.npz", args.files / "gpu.npz"
    np.savez(inputs, **people.inputs)
    found = {"crops": GPU_CROPS}
    for precision, card in cards.items():
        found[precision] = {}
        for arithmetic, flags in {"float32": ["--float32"], "own": []}.items():
            words = [args.files / card["model"], inputs, out, "--gpu", *flags]
            _say(f"{card['model']} on the GPU, {arithmetic} arithmetic")
            done = subprocess.run(
                [sys.executable, "-m", "edge.targets.outputs", *words],
                env=os.environ | environment,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                _log.warning("%s: %s", words[0], done.stderr.splitlines()[-1:])
                continue
            measured = compare.compare(
                np.load(out), keras, people, model.joint_names
            )
            found[precision][arithmetic] = measured.vertices_mean_mm
            found["adapter"] = _adapter(done.stderr)
    return found if "adapter" in found else {}


def _adapter(log: str) -> str:
    """The GPU that LiteRT says it has taken."""
    mark = "Selected adapter: "
    told = [line.split(mark)[1] for line in log.splitlines() if mark in line]
    return told[0].split(", arch")[0] if told else "a GPU without a name"


def _say(text: str) -> None:
    print(text, flush=True)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        report(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    _say(f"{args.out}, plots in {args.pictures}")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m edge.report", description=__doc__))
    )
