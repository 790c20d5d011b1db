"""One float32 .tflite in other precisions, part by part.

Which numbers a part of the network bears differs: convolutions bear int8,
rotations and the body do not (measured: an int8 body is centimetres off). So
an encoder, a regressor and the rest get a format each, by the names of their
operators, which are those of the layers in the method's attributes.
"""

import re
from collections.abc import Iterable

import numpy as np

from edge import convert
from tf_hmr import method

PRECISIONS = ("float32", "float16", "w8", "int8")
"""w8: int8 weights in the encoder, whose activations are rounded to int8 as
they come (dynamic); float16 weights elsewhere. int8: activations of the
encoder by ranges that are measured beforehand (static), dynamic int8 in the
regressor, float16 elsewhere."""

_SIGNATURE = "serving_default"


def needs_calibration(precision: str) -> bool:
    """Whether ranges of activations must be measured on images."""
    return precision == "int8"


def quantize(
    content: bytes,
    model: method.Method,
    precision: str,
    images: np.ndarray | None = None,
) -> bytes:
    """A .tflite in one of PRECISIONS.

    Args:
        content: the float32 .tflite of `model`.
        model: says which layers are its encoder and its regressor.
        precision: of PRECISIONS.
        images: (N, S, S, 3) uint8 to measure ranges on, where needed.

    Raises:
        ValueError: the method lacks a part that the precision treats apart.
    """
    from ai_edge_quantizer import quantizer

    if precision == "float32":
        return content
    recipe = _recipe(model, precision)
    work = quantizer.Quantizer(
        bytearray(content), recipe.get_quantization_recipe()
    )
    ranges = None
    if needs_calibration(precision):
        ranges = _ranges(content, recipe, images)
    return bytes(
        work.quantize(ranges, enable_progress_report=False).quantized_model
    )


def _recipe(model: method.Method, precision: str):
    """Rules of ai-edge-quantizer; where several match, the last holds."""
    from ai_edge_quantizer import qtyping, recipe_manager

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    rules = recipe_manager.RecipeManager()
    _add_float16(rules)
    if precision == "float16":
        return rules
    encoder = _names(model, "encoder")
    if precision == "w8":
        rules.add_dynamic_config(encoder, every, num_bits=8)
        return rules
    rules.add_static_config(
        encoder, every, activation_num_bits=8, weight_num_bits=8
    )
    rules.add_dynamic_config(
        _names(model, "regressor"),
        qtyping.TFLOperationName.FULLY_CONNECTED,
        num_bits=8,
    )
    return rules


def _add_float16(rules) -> None:
    """Weights of everything as float16, computed in float32 or float16."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    kind = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
    )
    names = qtyping.TFLOperationName
    # Given to each kind, since a later rule for all kinds would not override
    # one for all kinds of another algorithm.
    for name in (names.CONV_2D, names.DEPTHWISE_CONV_2D, names.FULLY_CONNECTED):
        rules.add_quantization_config(
            regex=".*",
            operation_name=name,
            op_config=kind,
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )


def _names(model: method.Method, part: str) -> str:
    """Regular expression of the operators of the layer in an attribute."""
    layer = getattr(model, part, None)
    if layer is None:
        raise ValueError(
            f"The method {model.name!r} has no layer in an attribute {part!r}, "
            "which w8 and int8 treat apart. Name that layer so, or export "
            "float16."
        )
    # Keras numbers the names of layers that are called again.
    return rf"/{re.escape(layer.name)}(_\d+)?/"


def _ranges(content: bytes, recipe, images: np.ndarray):
    """Least and largest value of each tensor over all images.

    The library's default, a moving average, forgets the extremes: it is three
    times as far off, and worse with more images.
    """
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    work = calibrator.Calibrator(
        bytearray(content),
        num_threads=2,
        qsv_update_func=qsv_utils.min_max_update,
    )
    work.calibrate({_SIGNATURE: _fed(images)}, recipe)
    return work.get_model_qsvs()


def _fed(images: np.ndarray) -> Iterable[dict[str, np.ndarray]]:
    return [{convert.INPUT: image[None]} for image in images]
