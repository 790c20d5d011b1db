"""Quantizes a float32 .tflite, part by part.

The parts of a network tolerate different precisions: convolutions tolerate
int8, rotations and the body do not (measured: an int8 body is wrong by
centimetres). So encoder, regressor and the rest each have their own format.
Operators belong to a part by their names, which come from the layers in the
method's attributes.

Formats: "static", int8 with calibrated ranges of activations; "dynamic", int8
weights, with activations rounded at run time; "float16", weights stored as
float16 and computed in float (operators without weights: float).
"""

import contextlib
import dataclasses
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from edge.conversion import tflite as convert
from edge.conversion.precisions import PRECISIONS
from tf_hmr import method

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators with weights."""

_SIGNATURE = "serving_default"


class Recipe:
    """Formats of all operators: by part, with exceptions by operator."""

    def __init__(
        self,
        model: method.Method,
        precision: str,
        raised: Mapping[str, str] | None = None,
    ):
        """Names the parts of a method.

        Args:
            model: its attributes `encoder` and `regressor` are layers.
            precision: a key of PRECISIONS.
            raised: formats by patterns of operators' names, which override
                the format of their part.

        Raises:
            ValueError: the method lacks a layer that the precision names.
        """
        self._parts = {
            _names(model, part): form
            for part, form in PRECISIONS[precision].parts.items()
        }
        self._raised = dict(raised or {})

    def format_of(self, kind: str, name: str) -> str:
        """The format of an operator by kind and name; "" for float32."""
        choices = {".*": "float16", **self._parts, **self._raised}
        form = [f for p, f in choices.items() if re.search(p, name)][-1]
        return form if form == "static" or kind in WEIGHTED else ""

    def rules(self):
        """Rules of ai-edge-quantizer: the last that matches applies."""
        from ai_edge_quantizer import recipe_manager

        rules = recipe_manager.RecipeManager()
        _add(rules, ".*", "float16")
        for pattern, form in {**self._parts, **self._raised}.items():
            _add(rules, pattern, form)
        return rules


@dataclasses.dataclass(frozen=True)
class Only:
    """A recipe of one format for some operators; all others stay float32."""

    pattern: str
    form: str

    def rules(self):
        """Rules of ai-edge-quantizer, as in Recipe."""
        from ai_edge_quantizer import recipe_manager

        rules = recipe_manager.RecipeManager()
        _add(rules, self.pattern, self.form)
        return rules


def apply(content: bytes, recipe: Recipe | Only, tensor_ranges=None) -> bytes:
    """Converts a .tflite to the formats of a recipe.

    Args:
        content: the float32 .tflite.
        recipe: formats of its operators.
        tensor_ranges: of `ranges`; needed if a format is "static".
    """
    from ai_edge_quantizer import quantizer

    with _quiet():
        file_quantizer = quantizer.Quantizer(
            bytearray(content), recipe.rules().get_quantization_recipe()
        )
        quantized = file_quantizer.quantize(
            tensor_ranges, enable_progress_report=False
        )
    return bytes(quantized.quantized_model)


def ranges(
    content: bytes, recipe: Recipe, inputs: dict[str, np.ndarray]
) -> dict:
    """Measures the range of each tensor of an encoder over all crops.

    The library's default, a moving average, loses the extremes: its errors are
    three times as large, and grow with the number of images.

    Args:
        content: the float32 .tflite.
        recipe: the recipe whose static operators are measured.
        inputs: `inputs` of calibration.Images.
    """
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    with _quiet():
        tensor_calibrator = calibrator.Calibrator(
            bytearray(content),
            num_threads=2,
            qsv_update_func=qsv_utils.min_max_update,
        )
        rows = list(convert.one_by_one(inputs))
        tensor_calibrator.calibrate({_SIGNATURE: rows}, recipe.rules())
    return tensor_calibrator.get_model_qsvs()


def pattern_of(names: Iterable[str]) -> str:
    """Regular expression for the operators with these first names."""
    return "^(" + "|".join(re.escape(name) for name in names) + ")(;|$)"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the library's progress bars and its warning about memory."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore", UserWarning)
        yield


def _names(model: method.Method, part: str) -> str:
    """Regular expression for the operators of the layer in attribute `part`."""
    layer = getattr(model, part, None)
    if layer is None:
        raise ValueError(
            f"The method {model.name!r} has no layer in an attribute {part!r}, "
            "which w8 and int8 treat apart. Name that layer so, or export "
            "float16."
        )
    # Keras numbers the names of layers that are called again.
    return rf"/{re.escape(layer.name)}(_\d+)?/"


def _add(rules, pattern: str, form: str) -> None:
    """Adds a format for the operators whose names match a pattern."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    names = qtyping.TFLOperationName
    if form == "static":
        rules.add_static_config(
            pattern,
            names.ALL_SUPPORTED,
            activation_num_bits=8,
            weight_num_bits=8,
        )
        return
    # Cancels earlier rules for operators without weights.
    rules.add_quantization_config(
        regex=pattern,
        operation_name=names.ALL_SUPPORTED,
        algorithm_key=AlgorithmName.NO_QUANTIZE,
    )
    for name in WEIGHTED:
        if form == "float16":
            rules.add_quantization_config(
                regex=pattern,
                operation_name=names[name],
                op_config=_float16(),
                algorithm_key=AlgorithmName.FLOAT_CASTING,
            )
        elif name == "FULLY_CONNECTED":
            rules.add_quantization_config(pattern, names[name], _one_scale())
        else:
            rules.add_dynamic_config(pattern, names[name], num_bits=8)


def _one_scale():
    """Dynamic int8 with one scale for all weights of an operator.

    tflite-runtime 2.14 takes the first of many scales for all of them.
    """
    from ai_edge_quantizer import qtyping

    return qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, granularity=qtyping.QuantGranularity.TENSORWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )


def _float16():
    from ai_edge_quantizer import qtyping

    return qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
    )
