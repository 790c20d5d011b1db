"""Exports, measures and writes the page."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge import benchmark, export
from edge.benchmarks import report_page
from edge.conversion import calibration, compare
from edge.conversion.precisions import PRECISIONS
from edge.targets import vulkan
from edge.tasks import body_benchmark
from edge.tasks import export as task
from tf_hmr import joints, method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body

if TYPE_CHECKING:
    from edge.report import Args

ALL_PRECISIONS = ("float32", *PRECISIONS)
GPU_CROPS = 16
BODY_ROUNDS = 300
_log = logging.getLogger(__name__)


def report(args: Args) -> None:
    """Makes the files, measures, and writes the page with its plots.

    Raises:
        FileNotFoundError: the trained model is missing.
        ValueError: a file breaks a rule or its budget, or cannot be timed.
    """
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


def _log_progress(text: str) -> None:
    print(text, flush=True)


def trained(args: Args) -> dict[str, dict]:
    """Cards of the trained model's files, by precision."""
    cards = {}
    for precision in ALL_PRECISIONS:
        path = args.files / f"{args.weights.name}_{precision}.tflite"
        _log_progress(f"Exporting {path.name}")
        cards[precision] = task.export(
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
    for precision in ALL_PRECISIONS:
        path = args.files / f"{encoder}_{precision}.tflite"
        _log_progress(f"Exporting {path.name} (random weights, for its time)")
        task.export(
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
