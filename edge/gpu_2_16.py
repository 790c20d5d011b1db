"""What the GPU delegate of TensorFlow Lite 2.16 leaves to the CPU.

It is the one of the Android app (edge/android), and of LiteRT 1. Its rules are
those of tensorflow/tensorflow: tensorflow/lite/tools/versioning/
gpu_compatibility.cc and tensorflow/lite/delegates/gpu/common/model_builder.cc
(CheckGpuDelegateCompatibility, NewOperationParser, GetOpsToReplace), as far as
libtensorflowlite_gpu_jni.so of org.tensorflow:tensorflow-lite-gpu:2.16.1 says
so itself: each refusal below is a message in that library. An app's delegate
runs the largest connected part of what it takes.
"""

from edge import operators
from edge.operators import Operator

OPERATORS = frozenset(
    """
    ABS ADD ATAN2 AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D COS
    CUMSUM DENSIFY DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL
    EXP FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GREATER GREATER_EQUAL
    HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG LOGISTIC LSTM MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD POW PRELU
    QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIN SLICE
    SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE
    STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV
    """.split()
)
"""Operators that it has at all."""

COMPARISONS = frozenset(
    "EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL NOT_EQUAL".split()
)
"""Operators that may answer booleans."""

_TYPES = {"FLOAT32", "FLOAT16", "INT8", "UINT8"}
_MAX_RANK = 4


def left_to_cpu(content: bytes) -> list[str]:
    """A line for each operator of a .tflite that the CPU computes.

    Raises:
        ValueError: it is no .tflite.
    """
    lines = []
    for operator in operators.read(content):
        reason = _reason(operator)
        if reason:
            lines.append(f"{operator.kind} {operator.name!r}: {reason}")
    return lines


def _reason(operator: Operator) -> str:
    """Why an operator is left to the CPU; "" if it is not."""
    if operator.kind not in OPERATORS:
        return "no operator of this delegate"
    for rule in (_rank, _types, _cast, _slice, _pad, _product, _batch_matmul):
        reason = rule(operator)
        if reason:
            return reason
    return ""


def _shape(tensor) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(n) for n in tensor.shape)


def _computed(operator: Operator) -> list:
    """Inputs that are not stored in the file."""
    return [
        tensor
        for tensor, stored in zip(
            operator.inputs, operator.constant, strict=True
        )
        if tensor is not None and not stored
    ]


def _rank(operator: Operator) -> str:
    for tensor in (*_computed(operator), *operator.outputs):
        if len(_shape(tensor)) > _MAX_RANK:
            return f"a tensor of {len(_shape(tensor))} axes"
    return ""


def _types(operator: Operator) -> str:
    """Rejects tensors of other types than those it computes with."""
    if operator.kind == "CAST":
        return ""
    for tensor in _computed(operator):
        name = operators.type_name(tensor)
        if name not in _TYPES:
            return f"it reads a tensor of {name}"
    booleans = {"BOOL"} if operator.kind in COMPARISONS else set()
    for tensor in operator.outputs:
        name = operators.type_name(tensor)
        if name not in _TYPES | booleans:
            return f"it answers a tensor of {name}"
    return ""


def _cast(operator: Operator) -> str:
    if operator.kind != "CAST":
        return ""
    source, target = (
        operators.type_name(tensor)
        for tensor in (operator.inputs[0], operator.outputs[0])
    )
    numbers, floats = {"FLOAT32", "INT32"}, {"FLOAT32", "FLOAT16"}
    is_supported = (
        source == "BOOL"
        and target in floats
        or source in floats
        and target == "BOOL"
        or {source, target} <= numbers
    )
    return "" if is_supported else f"from {source} to {target}"


def _slice(operator: Operator) -> str:
    if operator.kind not in ("SLICE", "STRIDED_SLICE"):
        return ""
    rank = len(_shape(operator.inputs[0]))
    if rank not in (3, 4):
        return f"a slice of {rank} axes; it takes 3 or 4"
    options = operator.options
    if operator.kind == "STRIDED_SLICE" and (
        options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask
    ):
        return "a slice that adds or drops axes"
    return ""


def _pad(operator: Operator) -> str:
    if operator.kind not in ("PAD", "MIRROR_PAD"):
        return ""
    shape = _shape(operator.inputs[1])
    is_supported = shape in ((3, 2), (4, 2))
    return "" if is_supported else f"a padding of {shape[0]} axes"


def _product(operator: Operator) -> str:
    """Rejects products in which each side is repeated along some axis."""
    if operator.kind != "MUL":
        return ""
    left, right = (_shape(tensor) for tensor in operator.inputs)
    if len(left) != len(right):
        return ""
    pairs = list(zip(left, right, strict=True))
    is_outer = any(a < b for a, b in pairs) and any(a > b for a, b in pairs)
    return "each side is repeated along an axis" if is_outer else ""


def _batch_matmul(operator: Operator) -> str:
    if operator.kind != "BATCH_MATMUL" or not any(operator.constant):
        return ""
    stored = _shape(operator.inputs[1])
    if operator.constant[1] and len(stored) == 2:
        return ""
    return "a constant factor that is not a matrix on the right"
