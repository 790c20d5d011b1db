"""Exports a model folder to one file for devices, checked against Keras.

    python -m edge.export --weights runs/demo --out hmr.tflite
    python -m edge.export --weights runs/demo --precision int8 --out hmr8.tflite
    python -m edge.export --weights runs/demo --check hmr8.tflite
    python -m edge.export --weights runs/demo --format onnx --out hmr.onnx

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

import numpy as np
import tyro

from edge import gpu_2_16, lint
from edge.conversion import calibration as images
from edge.conversion import card, mixed_precision, quantize
from edge.conversion import compare as check
from edge.conversion import onnx as convert_onnx
from edge.conversion import tflite as convert
from tf_hmr import method
from tf_hmr.formats import atomic

CALIBRATION = 64
"""Number of crops that w8 and int8 are calibrated on."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    weights: Path
    """Model folder, or the workdir of `python -m training.fit`."""
    out: Path | None = None
    """The file to write: .tflite, or .onnx with --format onnx."""
    precision: Literal["float32", "float16", "w8", "int8"] = "float32"
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
    """Body that the weights were trained on: 'open', or a path to its file."""
    crops: int = 64
    """Number of crops that the file is compared with Keras on."""
    latency_only: bool = False
    """Write the plain recipe whatever its error. For timing untrained networks,
    whose errors have no meaning; the card says so."""


def export(args: Args) -> dict:
    """Converts, checks and writes; returns the card.

    Raises:
        FileNotFoundError: the model, the records or the photos are missing.
        ValueError: a package is missing, the topologies differ, an operator
            breaks a rule, or the file disagrees with Keras.
    """
    check_args(args)
    model = method.load(args.weights, args.body, jit=False)
    held_out = images.held_out(model, args.calibration, args.crops)
    content, fitted = _converted(model, args)
    measured = _measured(content, args.format, model, held_out)
    excess = check.excess(measured, args.precision)
    if excess and not args.latency_only:
        raise ValueError(
            f"{excess} Nothing was written. For a network that is not "
            "trained, --latency-only writes it all the same."
        )
    model_card = (
        card.make(model, args.format, args.precision, measured) | fitted
    )
    model_card |= {"model": args.out.name, "latency_only": args.latency_only}
    if args.format == "tflite":
        # The lint has refused what LiteRT's would leave to the CPU.
        model_card["left_to_cpu"] = {
            "litert": [],
            "gpu-2.16": gpu_2_16.left_to_cpu(content),
        }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    mesh = card.mesh_path(args.out)
    # All are written before one is renamed: a full disk leaves the old three.
    with atomic.replacing(mesh) as mesh_part:
        digest = card.write_mesh(model, mesh_part)
        model_card["mesh"] = {"file": mesh.name, "sha256": digest}
        with atomic.replacing(args.out) as partial_file:
            first_person = next(convert.one_by_one(held_out.inputs))
            _write_with_card(content, model_card, partial_file, first_person)
            model_card |= card.of_content(partial_file.read_bytes())
            card.write(args.out, model_card)
    return model_card


def _converted(model: method.Method, args: Args) -> tuple[bytes, dict]:
    """The file's content without its card, and the card's entries on it."""
    edge_form, precision = convert.edge_form(model), args.precision
    if args.format == "onnx":
        return convert_onnx.to_onnx(edge_form), {}
    content = convert.to_tflite(edge_form)
    if precision == "float32":
        return content, {}
    if not quantize.PARTS[precision]:
        return quantize.apply(content, quantize.Recipe(model, precision)), {}
    fitted_to = images.for_calibration(
        model, args.calibration, CALIBRATION, skip=args.crops
    )
    inputs, raised = fitted_to.inputs, {}
    if not args.latency_only:
        raised = mixed_precision.search(content, model, precision, inputs)
    recipe = quantize.Recipe(model, precision, raised)
    ranges = quantize.ranges(content, recipe, inputs)
    return quantize.apply(content, recipe, ranges), {
        "calibration": {"crops": fitted_to.count, "images": fitted_to.source},
        "raised": raised,
    }


def _run(content: bytes, kind: str, inputs: dict[str, np.ndarray]):
    run = convert_onnx.run if kind == "onnx" else check.run_tflite
    return run(content, inputs)


def _measured(
    content: bytes, kind: str, model: method.Method, held_out: images.Images
) -> check.Measured:
    """Lints a .tflite; compares it, or an .onnx, with Keras.

    Raises:
        ValueError: it breaks a rule of the lint.
    """
    if kind == "tflite":
        lint.check(content)
    outputs = _run(content, kind, held_out.inputs)
    expected = check.run_keras(model, held_out.inputs)
    return check.compare(outputs, expected, held_out, model.joint_names)


def _write_with_card(
    content: bytes,
    model_card: dict,
    partial_file: Path,
    inputs: dict[str, np.ndarray],
) -> None:
    """Writes content and card in one file, which must give the same outputs.

    Raises:
        ValueError: its outputs differ.
    """
    kind = model_card["format"]
    embed = convert_onnx.embed if kind == "onnx" else card.embed
    partial_file.write_bytes(embed(content, model_card))
    before = _run(content, kind, inputs)
    after = _run(partial_file.read_bytes(), kind, inputs)
    for name in before:
        if not np.array_equal(before[name], after[name], equal_nan=True):
            raise ValueError(
                f"With its card inside, the file gives other {name}. This is "
                "a bug of edge/conversion/card.py; please report it."
            )


def check_file(args: Args) -> dict:
    """Lints an exported file, compares it with Keras, and returns its card.

    The errors in the card are replaced by those measured here.

    Raises:
        FileNotFoundError, ValueError: as `export`.
    """
    check_args(args)
    model_card = card.read(args.check)
    model = method.load(args.weights, args.body, jit=False)
    held_out = images.held_out(model, args.calibration, args.crops)
    content = args.check.read_bytes()
    card.check_content(args.check, content, model_card)
    measured = _measured(content, model_card["format"], model, held_out)
    excess = check.excess(measured, model_card["precision"])
    if excess and not args.latency_only:
        raise ValueError(f"{args.check}: {excess}")
    return model_card | {"difference_to_keras": card.difference(measured)}


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
        convert_onnx.check_packages()
        if args.precision != "float32":
            raise ValueError(
                f"--format onnx is float32, not {args.precision}; TensorRT "
                "makes other precisions itself (trtexec --fp16)."
            )


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
        model_card = export(args) if args.check is None else check_file(args)
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
