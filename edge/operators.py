"""Operators of a .tflite, with their tensors."""

import dataclasses
import functools
import struct
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        kind: name of the operation, as CONV_2D.
        name: name of its first output.
        options: options of the operation, or None.
        inputs: tensors of the schema; None for an omitted one.
        outputs: tensors of the schema.
        indices: indices of the input tensors; -1 for an omitted one.
        constant: whether each input is stored in the file.
    """

    kind: str
    name: str
    options: object
    inputs: list
    outputs: list
    indices: list[int]
    constant: list[bool]


def read(content: bytes) -> Iterator[Operator]:
    """The operators of all graphs of a .tflite, in order.

    Raises:
        ValueError: it is no .tflite.
    """
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise ValueError("not a .tflite file (it does not say TFL3)")
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"a .tflite that is cut off or damaged ({error})"
        ) from error
    kinds = {
        number: name
        for name, number in vars(schema.BuiltinOperator).items()
        if isinstance(number, int)
    }
    stored = [
        buffer.size > 0 or buffer.data is not None and len(buffer.data) > 0
        for buffer in model.buffers
    ]
    for graph in model.subgraphs:
        for entry in graph.operators:
            code = model.operatorCodes[entry.opcodeIndex]
            kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
            indices = [int(i) for i in entry.inputs]
            inputs = [graph.tensors[i] if i >= 0 else None for i in indices]
            outputs = [graph.tensors[i] for i in entry.outputs]
            name = outputs[0].name.decode() if outputs else ""
            if kind == "CUSTOM":
                name = f"{(code.customCode or b'').decode()} {name}"
            yield Operator(
                kind=kind,
                # A fused operator lists the names of all its parts.
                name=name.split(";")[0],
                options=entry.builtinOptions,
                inputs=inputs,
                outputs=outputs,
                indices=indices,
                constant=[t is not None and stored[t.buffer] for t in inputs],
            )


def type_name(tensor) -> str:
    """The name of a tensor's type, as FLOAT32."""
    from ai_edge_litert import schema_py_generated as schema

    return _type_names(schema)[tensor.type]


@functools.cache
def _type_names(schema) -> dict[int, str]:
    return {
        number: name
        for name, number in vars(schema.TensorType).items()
        if isinstance(number, int)
    }
