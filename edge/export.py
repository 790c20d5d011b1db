"""Exports a model folder to one file for devices, checked against Keras.

    python -m edge.export --weights runs/demo --out hmr.tflite
    python -m edge.export --weights runs/demo --precision int8 --out hmr8.tflite
    python -m edge.export --weights runs/demo --check hmr8.tflite
    python -m edge.export --weights runs/demo --format onnx --out hmr.onnx
    python -m edge.export --weights runs/hund --all-inputs --out hund.tflite

The first writes hmr.tflite (batch 1, built-in operators only), hmr.card.json,
which describes inputs and outputs, and hmr.mesh.npz, the triangles. Before
the file gets its name it is linted, run and compared with Keras: if it differs
by more than its precision's budget, nothing is written. It contains the body's
arrays: the card names their licence.
"""

import collections
import dataclasses
import logging
import sys
from pathlib import Path
from typing import Literal

import tyro

from edge.conversion.precisions import PRECISIONS
from tf_hmr.formats import model_files

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    weights: Path
    """Model folder, or the workdir of `python -m training.fit`."""
    out: Path | None = None
    """The file to write: .tflite, or .onnx with --format onnx."""
    precision: Literal["float32", *PRECISIONS] = "float32"
    """float16: half the size. w8: int8 weights in the encoder. int8: the
    encoder in int8, and the regressor's weights. The body stays at float16,
    and so do operators that would take the file over its budget."""
    calibration: Path | None = None
    """Source of the crops for the calibration of w8 and int8, and of other
    crops for the check of every file: a records folder, or a folder of photos
    of one person each. By default people are rendered."""
    check: Path | None = None
    """Only compares this file with Keras; writes nothing."""
    format: Literal["tflite", "onnx"] = "tflite"
    """onnx, for TensorRT: float32; needs pip install -e '.[onnx]'."""
    body: str = "open"
    """Body that the weights were trained on: 'open', a path to its file, or
    FEMALE,MALE for SMPLR trained on two."""
    all_inputs: bool = False
    """Whether the file also reads what its method can do without: HUND's file
    then asks for the crop's intrinsics, which it assumes otherwise."""
    crops: int = 64
    """Number of crops that the file is compared with Keras on."""
    latency_only: bool = False
    """Write the plain recipe whatever its error. For timing untrained networks,
    whose errors have no meaning; the card says so."""


def check_args(args: Args) -> None:
    """Refuses arguments that would fail only after minutes of conversion.

    Raises:
        FileNotFoundError: the file to check is missing.
        ValueError: a package is missing, or the arguments conflict.
    """
    try:
        import ai_edge_litert  # noqa: F401  Tests that it is installed.
        import ai_edge_quantizer  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"The export needs {error.name}, which is not installed. In the "
            "checkout: pip install -e '.[edge]'"
        ) from None
    if (args.out is None) == (args.check is None):
        raise ValueError(
            "Give either --out, the file to write, or --check, a file to hold "
            "against Keras."
        )
    if args.check is not None and not args.check.is_file():
        raise FileNotFoundError(f"--check {args.check}: no such file.")
    if args.crops < 1:
        raise ValueError(
            f"--crops {args.crops} leaves nothing to compare with Keras. "
            "Expected 1 or more."
        )
    path = args.out or args.check
    if args.out is not None and path.suffix != f".{args.format}":
        raise ValueError(f"--out {path} must end in .{args.format}.")
    if path.suffix == ".onnx":
        from edge.conversion import onnx as convert_onnx

        convert_onnx.check_packages()
        if args.precision != "float32":
            raise ValueError(
                f"--format onnx is float32, not {args.precision}; TensorRT "
                "makes other precisions itself (trtexec --fp16)."
            )
    model_files.find_folder(args.weights)


def summary(path: Path, model_card: dict) -> str:
    """One line about a file and its errors, from its card."""
    error = model_card["difference_to_keras"]
    text = (
        f"{path}: {model_card['precision']}, "
        f"{path.stat().st_size / 1e6:.1f} MB; "
        f"vertices are {error['vertices_mean_mm']:.2g} mm from Keras' in the "
        f"mean, {error['vertices_max_mm']:.2g} mm at most"
    )
    if "mpjpe_percent" in error:
        text += f"; MPJPE differs by {error['mpjpe_percent']:.2g} %"
    text += f" ({error['crops']} crops: {error['images']})"
    if model_card.get("raised"):
        text += f"; {len(model_card['raised'])} groups of operators raised"
    return text + ("; FOR LATENCY ONLY" if model_card["latency_only"] else "")


def delegates(model_card: dict) -> str:
    """One line about what GPU delegates leave to the CPU, from its card."""
    lines = model_card["left_to_cpu"]["gpu-2.16"]
    kinds = collections.Counter(line.split()[0] for line in lines)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return (
        "LiteRT's GPU delegate takes every operator; TensorFlow Lite 2.16's "
        f"leaves to the CPU: {counts or 'none'} (the card names them)"
    )


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        check_args(args)
        # Not at the top: it imports TensorFlow.
        from edge.tasks import export as task

        work = task.export if args.check is None else task.check_file
        model_card = work(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print(summary(args.check or args.out, model_card))
    if "left_to_cpu" in model_card:
        print(delegates(model_card))
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parsed = tyro.cli(Args, prog="python -m edge.export", description=__doc__)
    sys.exit(main(parsed))
