"""The parts of an exported model as .tflite files of their own.

LiteRT's Python has no profiler. The operators of an export come in order,
encoder, regressor, body, and carry the names of their layers; so each part is
cut out of the flatbuffer and can be timed alone.
"""

import copy
from collections.abc import Iterable
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

NAMES = ("encoder", "regressor", "body")
STAGES = ("crop", *NAMES, "draw")
"""What is timed of a frame: cropping, the parts, the overlay."""
_STARTS = ("/regressor", "/body/")  # In the names of the later parts' first.


def write(path: Path, folder: Path) -> dict[str, Path]:
    """Cuts a model; returns the parts' files, {} of a model without parts.

    Args:
        path: a .tflite, of edge.export or not.
        folder: where the parts go.
    """
    graph = flatbuffer_utils.read_model(str(path)).subgraphs[0]
    first = [_first(graph, mark) for mark in _STARTS]
    bounds = [0, *first, len(graph.operators)]
    if None in first or bounds != sorted(set(bounds)):
        return {}
    made = {}
    for name, low, high in zip(NAMES, bounds, bounds[1:], strict=False):
        made[name] = folder / f"{path.stem}.{name}.tflite"
        model = flatbuffer_utils.read_model(str(path))
        _keep(model, low, high)
        flatbuffer_utils.write_model(model, str(made[name]))
    return made


def _first(graph, mark: str) -> int | None:
    """Index of the first operator of that name."""
    for index, operator in enumerate(graph.operators):
        # Weights that are made larger first bear their layer's name, too.
        name = graph.tensors[operator.outputs[0]].name.decode()
        if mark in name and not _is_weight(graph, operator):
            return index
    return None


def _is_weight(graph, operator) -> bool:
    """Whether an operator only unpacks weights that are stored."""
    made = {o for other in graph.operators for o in other.outputs}
    return len(operator.inputs) == 1 and not (
        {operator.inputs[0]} & (made | set(graph.inputs))
    )


def _keep(model, low: int, high: int) -> None:
    """Reduces a model to some operators and the weights that they unpack."""
    graph = model.subgraphs[0]
    everything = graph.operators
    kept = everything[low:high]
    needed = _used(kept)
    inside = set(range(low, high))
    for index, operator in enumerate(everything):
        if index not in inside and _is_weight(graph, operator):
            if operator.outputs[0] in needed:
                kept = [copy.copy(operator), *kept]
    made = {output for operator in kept for output in operator.outputs}
    elsewhere = {o for operator in everything for o in operator.outputs}
    later = _used(everything[high:]) | set(graph.outputs)
    graph.inputs = sorted(
        (_used(kept) - made) & (elsewhere | set(graph.inputs))
    )
    weights = {o.outputs[0] for o in kept if _is_weight(graph, o)}
    graph.outputs = sorted((made & later) - weights)
    graph.operators = kept
    model.signatureDefs = []
    model.metadata = []
    _drop_unused(model)


def _used(operators: Iterable[schema.OperatorT]) -> set[int]:
    """Tensors that operators read; -1 stands for none."""
    return {i for operator in operators for i in operator.inputs} - {-1}


def _drop_unused(model) -> None:
    """Empties the buffers of weights of other parts."""
    graph = model.subgraphs[0]
    used = _used(graph.operators) | set(graph.inputs) | set(graph.outputs)
    used |= {o for operator in graph.operators for o in operator.outputs}
    kept = {graph.tensors[index].buffer for index in used}
    for number, buffer in enumerate(model.buffers):
        if number not in kept:
            buffer.data = None
