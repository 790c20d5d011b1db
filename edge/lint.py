"""Checks that a GPU delegate would accept all of a .tflite.

    python -m edge.lint model.tflite
    python -m edge.lint --for gpu-2.16 model.tflite

No delegate is needed. The rules exclude what LiteRT's GPU accelerator refuses,
computes wrongly or crashes on (google-ai-edge/LiteRT:
ml_drift_delegate/tflite/model_builder.cc), and weights that are not stored,
which no runtime can repair. Each fault names the operator and the remedy.

gpu-2.16 is the delegate of TensorFlow Lite 2.16 and LiteRT 1, that of the
Android app: it leaves to the CPU what it does not take. These operators are
listed; the exit status is 1 if they are all.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from edge import gpu_2_16
from edge import operators as graph
from edge.operators import Operator

MAX_RANK = 4

TYPES = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT32", "BOOL")
"""Types of tensors; INT32 are shapes and indices."""

REFUSED = {
    "CUSTOM": "it is no built-in operator; write it out in built-in ones",
    "VAR_HANDLE": "the weights are not stored; export by way of a SavedModel",
    "READ_VARIABLE": "the weights are not stored; export by way of a "
    "SavedModel",
    "WHILE": "delegates run no loops; unroll it in Python",
    "IF": "delegates do not branch; use tf.where",
    "GATHER_ND": "delegates refuse it; use slices, or a one-hot product",
    "L2_NORMALIZATION": "delegates refuse it; write x * rsqrt(sum(x * x))",
    "BROADCAST_TO": "delegates refuse it; let + and * broadcast",
    "RELU_0_TO_1": "delegates compute it wrongly; write relu6(6 x) / 6",
    "DENSIFY": "delegates refuse sparse weights; store them dense",
}
"""Refused operators, with the reason and the remedy."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """The .tflite files to check."""
    delegate: Annotated[
        Literal["litert", "gpu-2.16"], tyro.conf.arg(name="for")
    ] = "litert"
    """GPU delegate: LiteRT 2's, or that of TensorFlow Lite 2.16."""


def check(content: bytes) -> None:
    """Refuses a .tflite that breaks a rule.

    Raises:
        ValueError: names the first operators at fault, and the remedy.
    """
    messages = list(faults(content))
    if messages:
        more = f" (and {len(messages) - 3} more)" if len(messages) > 3 else ""
        raise ValueError(
            "Delegates would not take the file: "
            + "; ".join(messages[:3])
            + more
        )


def faults(content: bytes) -> Iterator[str]:
    """One line for each breach of a rule in a .tflite."""
    count = 0
    for operator in graph.read(content):
        count += 1
        for rule in RULES:
            message = rule(operator)
            if message:
                yield f"{operator.kind} {operator.name!r}: {message}"
    if not count:
        yield "the file has no operator; it is no exported model"


def _refused(operator: Operator) -> str:
    return REFUSED.get(operator.kind, "")


def _dynamic(operator: Operator) -> str:
    """Rejects a shape that is only known at run time."""
    for tensor in operator.outputs:
        signature = tensor.shapeSignature
        if signature is not None and np.min(signature, initial=1) < 0:
            return (
                f"its shape {_list(signature)} is not static; trace with a "
                "batch of 1 and no None"
            )
    return ""


def _deep(operator: Operator) -> str:
    for tensor in (*operator.inputs, *operator.outputs):
        shape = None if tensor is None else tensor.shape
        if shape is not None and len(shape) > MAX_RANK:
            return (
                f"a tensor of shape {_list(shape)} has more than {MAX_RANK} "
                "axes; reshape it to fewer"
            )
    return ""


def _slice(operator: Operator) -> str:
    """Rejects slices that change the rank, or have computed bounds."""
    if operator.kind != "STRIDED_SLICE":
        return ""
    masks = {
        "drops": operator.options.shrinkAxisMask,
        "adds": operator.options.newAxisMask,
    }
    for verb, mask in masks.items():
        if mask:
            return f"the slice {verb} an axis; write x[:, 0:1] and reshape"
    if operator.options.ellipsisMask:
        return "the slice has an ellipsis; write every axis"
    if not all(operator.constant[1:]):
        return "the slice's bounds are computed; give them as numbers"
    return ""


def _int8_stride(operator: Operator) -> str:
    """Rejects a convolution that LiteRT's GPU silently computes wrongly."""
    from ai_edge_litert import schema_py_generated as schema

    if operator.kind != "CONV_2D":
        return ""
    weights, options = operator.inputs[1], operator.options
    strides = (options.strideH, options.strideW)
    is_1x1 = tuple(weights.shape[1:3]) == (1, 1)
    if is_1x1 and strides != (1, 1) and weights.type == schema.TensorType.INT8:
        return (
            "GPU delegates compute an int8 1x1 convolution of stride 2 "
            "wrongly; slice x[:, ::2, ::2, :] before it, or keep it float16"
        )
    return ""


def _int8_scales(operator: Operator) -> str:
    """Rejects many scales, of which tflite-runtime 2.14 uses the first only."""
    from ai_edge_litert import schema_py_generated as schema

    if operator.kind != "FULLY_CONNECTED":
        return ""
    data, weights = operator.inputs[:2]
    kinds = (data.type, weights.type)
    if kinds == (schema.TensorType.FLOAT32, schema.TensorType.INT8):
        count = np.size(weights.quantization.scale)
        if count > 1:
            return (
                f"its int8 weights have {count} scales, of which old "
                "runtimes take the first; give them one, or keep it float16"
            )
    return ""


def _types(operator: Operator) -> str:
    """Rejects tensors of other types than TYPES."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.TensorType).items()}
    for tensor in (*operator.inputs, *operator.outputs):
        if tensor is not None and names[tensor.type] not in TYPES:
            return (
                f"a tensor of {names[tensor.type]}; delegates know "
                f"{', '.join(TYPES)}"
            )
    return ""


def _gather(operator: Operator) -> str:
    if operator.kind == "GATHER" and not operator.constant[1]:
        return "its indices are computed; give them as numbers"
    return ""


def _product(operator: Operator) -> str:
    """Rejects products of two tensors that delegates do not support."""
    if operator.kind != "BATCH_MATMUL":
        return ""
    left, right = operator.indices[:2]
    if left == right:
        return (
            "a product of a tensor with itself ends the GPU delegate's "
            "process; add 0 to one side, or write it as sums"
        )
    if operator.constant[0]:
        return "the constant is on the left; delegates take it on the right"
    return ""


def _quotient(operator: Operator) -> str:
    divides_itself = (
        operator.kind == "DIV" and operator.indices[0] == operator.indices[1]
    )
    return (
        "a tensor is divided by itself; write the constant 1"
        if divides_itself
        else ""
    )


def _constants(operator: Operator) -> str:
    """Rejects an operator of two stored tensors."""
    takes_two = operator.kind in ("ADD", "SUB", "MUL", "DIV", "BATCH_MATMUL")
    if takes_two and all(operator.constant[:2]):
        return "both inputs are constants; compute the result before tracing"
    return ""


RULES: tuple[Callable[[Operator], str], ...] = (
    _refused,
    _dynamic,
    _deep,
    _slice,
    _int8_stride,
    _int8_scales,
    _types,
    _gather,
    _product,
    _quotient,
    _constants,
)
"""Each returns the fault of an operator with its remedy, or ""."""


def _list(shape) -> list[int]:
    return [int(side) for side in shape]


def main(args: Args) -> int:
    """Prints the faults of each file; returns 1 if there are any."""
    if args.delegate == "gpu-2.16":
        return _print_left_to_cpu(args.files)
    fault_count = 0
    for path in args.files:
        try:
            messages = list(faults(path.read_bytes()))
        except (OSError, ValueError) as error:
            messages = [str(error)]
        for message in messages:
            print(f"{path}: {message}")
        fault_count += len(messages)
    if not fault_count:
        print(f"{len(args.files)} files, no fault")
    return int(fault_count > 0)


def _print_left_to_cpu(files: tuple[Path, ...]) -> int:
    """Prints what each file leaves to the CPU; 1 if one leaves all of it."""
    status = 0
    for path in files:
        try:
            content = path.read_bytes()
            lines = gpu_2_16.left_to_cpu(content)
            total = sum(1 for _ in graph.read(content))
        except (OSError, ValueError) as error:
            print(f"{path}: {error}")
            status = 1
            continue
        for line in lines:
            print(f"{path}: {line}")
        print(f"{path}: {len(lines)} of {total} operators on the CPU")
        status |= len(lines) == total
    return int(status)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, prog="edge.lint", description=__doc__)))
