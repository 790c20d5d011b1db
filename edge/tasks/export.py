"""Converts, checks and writes a file for devices: the work of edge.export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge import gpu_2_16, lint
from edge.conversion import calibration as images
from edge.conversion import card, mixed_precision, quantize
from edge.conversion import compare as check
from edge.conversion import onnx as convert_onnx
from edge.conversion import tflite as convert
from edge.conversion.precisions import PRECISIONS
from tf_hmr import method, progress
from tf_hmr.formats import atomic

if TYPE_CHECKING:
    from edge.export import Args

CALIBRATION = 64
"""Number of crops that w8 and int8 are calibrated on."""


def export(args: Args) -> dict:
    """Converts, checks and writes; returns the card.

    Raises:
        FileNotFoundError: the model, the records or the photos are missing.
        ValueError: a package is missing, the topologies differ, an operator
            breaks a rule, or the file disagrees with Keras.
    """
    with progress.steps("export", 3) as next_step:
        next_step("converting")
        model = method.load(args.weights, args.body, jit=False)
        if not args.all_inputs:
            model.input_names = convert.required_inputs(model)
        held_out = images.held_out(model, args.calibration, args.crops)
        content, fitted = _converted(model, args)
        next_step("comparing with Keras")
        measured = _measured(content, args.format, model, held_out)
        excess = check.excess(measured, args.precision)
        if excess and not args.latency_only:
            raise ValueError(
                f"{excess} Nothing was written. For a network that is not "
                "trained, --latency-only writes it all the same."
            )
        next_step("writing")
        model_card = (
            card.make(model, args.format, args.precision, measured) | fitted
        )
        return _write(args, model, content, model_card, held_out)


def _write(args: Args, model, content, model_card: dict, held_out) -> dict:
    """Writes the three files; returns the card with what is known of them."""
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
    if not PRECISIONS[precision].parts:
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
    model_card = card.read(args.check)
    model = method.load(args.weights, args.body, jit=False)
    model.input_names = tuple(model_card["inputs"])
    held_out = images.held_out(model, args.calibration, args.crops)
    content = args.check.read_bytes()
    card.check_content(args.check, content, model_card)
    measured = _measured(content, model_card["format"], model, held_out)
    excess = check.excess(measured, model_card["precision"])
    if excess and not args.latency_only:
        raise ValueError(f"{args.check}: {excess}")
    return model_card | {"difference_to_keras": card.difference(measured)}
