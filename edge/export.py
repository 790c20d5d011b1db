"""Model folder to one file for devices, checked against Keras.

    python -m edge.export --weights runs/demo --out hmr.tflite
    python -m edge.export --weights runs/demo --precision int8 --out hmr8.tflite
    python -m edge.export --weights runs/demo --check hmr8.tflite
    python -m edge.export --weights runs/demo --format onnx --out hmr.onnx

The first writes hmr.tflite (batch 1, built-in operators only), hmr.card.json,
which says what goes in and comes out, and hmr.mesh.npz, the triangles. Before
the file gets its name it is linted, run and held against Keras: if it differs
by more than its precision's budget, nothing is written. It holds the body's
arrays: the card names their licence.
"""

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from edge import lint
from edge.conversion import calibration as images
from edge.conversion import card, mixed_precision, quantize
from edge.conversion import compare as check
from edge.conversion import onnx as convert_onnx
from edge.conversion import tflite as convert
from tf_hmr import method

CALIBRATION = 64
"""Crops that w8 and int8 are fitted to."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """What the command line says."""

    weights: Path
    """Model folder, or the workdir of `python -m training.fit`."""
    out: Path | None = None
    """The file to write: .tflite, or .onnx with --format onnx."""
    precision: Literal["float32", "float16", "w8", "int8"] = "float32"
    """float16: half the size. w8: int8 weights in the encoder. int8: the
    encoder in int8, and the regressor's weights. The body is never below
    float16, nor are operators that would take the file over its budget."""
    calibration: Path | None = None
    """Where the crops come from that w8 and int8 are fitted to, and the others
    that every file is checked on: a records folder, or a folder of photos of
    one person each. Without it people are rendered."""
    check: Path | None = None
    """Writes nothing: holds this file against Keras."""
    format: Literal["tflite", "onnx"] = "tflite"
    """onnx, for TensorRT: float32; needs pip install -e '.[onnx]'."""
    body: str = "open"
    """Body that the weights were trained on: 'open', or a path to its file."""
    crops: int = 64
    """How many crops the file is compared with Keras on."""
    latency_only: bool = False
    """For networks that are not trained, whose errors mean nothing: writes
    the plain recipe whatever its error is; its card says so."""


def export(args: Args) -> dict:
    """Converts, checks and writes; returns the card.

    Raises:
        FileNotFoundError: no model there, no records, no photos.
        ValueError: a package is missing, the topologies differ, an operator
            breaks a rule, or the file does not give what Keras gives.
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
    made = card.make(model, args.format, args.precision, measured) | fitted
    made |= {"model": args.out.name, "latency_only": args.latency_only}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    made["mesh"] = card.write_mesh(model, args.out)
    part = args.out.with_name("part." + args.out.name)
    try:
        first = next(convert.one_by_one(held_out.inputs))
        _write_with_card(content, made, part, first)
        made["bytes"] = part.stat().st_size
        card.write(args.out, made)
        part.replace(args.out)
    finally:
        part.unlink(missing_ok=True)
    return made


def _converted(model: method.Method, args: Args) -> tuple[bytes, dict]:
    """The file's content without its card, and what the card adds on it."""
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
    """Lints a .tflite; holds it, or an .onnx, against Keras.

    Raises:
        ValueError: it breaks a rule of the lint.
    """
    if kind == "tflite":
        lint.check(content)
    found = _run(content, kind, held_out.inputs)
    expected = check.run_keras(model, held_out.inputs)
    return check.compare(found, expected, held_out, model.joint_names)


def _write_with_card(
    content: bytes, made: dict, part: Path, inputs: dict[str, np.ndarray]
) -> None:
    """Writes content and card in one file, which is the same to run.

    Raises:
        ValueError: it is not.
    """
    kind = made["format"]
    embed = convert_onnx.embed if kind == "onnx" else card.embed
    part.write_bytes(embed(content, made))
    before = _run(content, kind, inputs)
    after = _run(part.read_bytes(), kind, inputs)
    for name in before:
        if not np.array_equal(before[name], after[name], equal_nan=True):
            raise ValueError(
                f"With its card inside, the file gives other {name}. This is "
                "a bug of edge/conversion/card.py; please report it."
            )


def check_file(args: Args) -> dict:
    """Lints an exported file and holds it against Keras; returns its card.

    The card has the errors that were measured now.

    Raises:
        FileNotFoundError, ValueError: as `export`.
    """
    check_args(args)
    found = card.read(args.check)
    model = method.load(args.weights, args.body, jit=False)
    held_out = images.held_out(model, args.calibration, args.crops)
    content = args.check.read_bytes()
    measured = _measured(content, found["format"], model, held_out)
    excess = check.excess(measured, found["precision"])
    if excess and not args.latency_only:
        raise ValueError(f"{args.check}: {excess}")
    return found | {"difference_to_keras": card.difference(measured)}


def check_args(args: Args) -> None:
    """Refuses what would only fail after minutes of conversion.

    Raises:
        FileNotFoundError: no file to check.
        ValueError: a package is missing, or the words do not fit together.
    """
    try:
        import ai_edge_litert  # noqa: F401  Only whether it is there.
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


def summary(path: Path, made: dict) -> str:
    """A line on a file and its errors, from its card."""
    error = made["difference_to_keras"]
    text = (
        f"{path}: {made['precision']}, {path.stat().st_size / 1e6:.1f} MB; "
        f"vertices are {error['vertices_mean_mm']:.2g} mm from Keras' in the "
        f"mean, {error['vertices_max_mm']:.2g} mm at most"
    )
    if "mpjpe_percent" in error:
        text += f"; MPJPE differs by {error['mpjpe_percent']:.2g} %"
    text += f" ({error['crops']} crops: {error['images']})"
    if made.get("raised"):
        text += f"; {len(made['raised'])} groups of operators raised"
    return text + ("; FOR LATENCY ONLY" if made["latency_only"] else "")


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        made = export(args) if args.check is None else check_file(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print(summary(args.check or args.out, made))
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parsed = tyro.cli(Args, prog="python -m edge.export", description=__doc__)
    sys.exit(main(parsed))
