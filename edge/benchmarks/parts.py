"""Splits an exported model into one .tflite file per part.

LiteRT has no profiler in Python. The operators of an export are in the order
encoder, regressor, body, and have the names of their layers, so each part can
be copied from the flatbuffer and timed alone.
"""

import copy
from collections.abc import Iterable
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

NAMES = ("encoder", "regressor", "body")
STAGES = ("crop", *NAMES, "draw")
"""Timed stages of a frame: cropping, the parts, the overlay."""
# In the names of the first operators of regressor and body.
_STARTS = ("/regressor", "/body/")


def write(path: Path, folder: Path) -> dict[str, Path]:
    """Splits a model; returns the parts' files, {} for one without parts.

    Args:
        path: a .tflite, of edge.export or any other.
        folder: folder to write the parts to.
    """
    graph = flatbuffer_utils.read_model(str(path)).subgraphs[0]
    starts = [_first(graph, mark) for mark in _STARTS]
    bounds = [0, *starts, len(graph.operators)]
    if None in starts or bounds != sorted(set(bounds)):
        return {}
    files = {}
    for name, low, high in zip(NAMES, bounds, bounds[1:], strict=False):
        files[name] = folder / f"{path.stem}.{name}.tflite"
        model = flatbuffer_utils.read_model(str(path))
        _keep(model, low, high)
        flatbuffer_utils.write_model(model, str(files[name]))
    return files


def _first(graph, mark: str) -> int | None:
    """Index of the first operator with `mark` in its name, or None."""
    for index, operator in enumerate(graph.operators):
        # Operators that unpack weights carry their layer's name, too.
        name = graph.tensors[operator.outputs[0]].name.decode()
        if mark in name and not _is_weight(graph, operator):
            return index
    return None


def _is_weight(graph, operator) -> bool:
    """Whether an operator only unpacks stored weights."""
    computed = {o for producer in graph.operators for o in producer.outputs}
    return len(operator.inputs) == 1 and not (
        {operator.inputs[0]} & (computed | set(graph.inputs))
    )


def _keep(model, low: int, high: int) -> None:
    """Reduces a model to some operators and the weights that they unpack."""
    graph = model.subgraphs[0]
    all_operators = graph.operators
    operators = all_operators[low:high]
    tensors_read = _tensors_read(operators)
    indices = set(range(low, high))
    for index, operator in enumerate(all_operators):
        if index not in indices and _is_weight(graph, operator):
            if operator.outputs[0] in tensors_read:
                operators = [copy.copy(operator), *operators]
    outputs = {output for operator in operators for output in operator.outputs}
    elsewhere = {o for operator in all_operators for o in operator.outputs}
    later = _tensors_read(all_operators[high:]) | set(graph.outputs)
    graph.inputs = sorted(
        (_tensors_read(operators) - outputs) & (elsewhere | set(graph.inputs))
    )
    weights = {o.outputs[0] for o in operators if _is_weight(graph, o)}
    graph.outputs = sorted((outputs & later) - weights)
    graph.operators = operators
    model.signatureDefs = []
    model.metadata = []
    _drop_unused(model)


def _tensors_read(operators: Iterable[schema.OperatorT]) -> set[int]:
    """Tensors that operators read, without -1, an omitted input."""
    return {i for operator in operators for i in operator.inputs} - {-1}


def _drop_unused(model) -> None:
    """Empties the buffers of tensors that no operator uses."""
    graph = model.subgraphs[0]
    tensors = (
        _tensors_read(graph.operators) | set(graph.inputs) | set(graph.outputs)
    )
    tensors |= {o for operator in graph.operators for o in operator.outputs}
    buffers = {graph.tensors[index].buffer for index in tensors}
    for number, buffer in enumerate(model.buffers):
        if number not in buffers:
            buffer.data = None
