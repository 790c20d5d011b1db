"""Fills a model's variables from arrays that others wrote under other names."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np


class Source(NamedTuple):
    """Where the value of a variable comes from."""

    variable: keras.Variable
    names: tuple[str, ...]
    """The arrays' names there; several become rows of the variable."""
    shape: tuple[int, ...]
    """Of each array there; it may have more axes of length 1."""


def single(
    variable: keras.Variable, name: str, shape: Sequence[int] | None = None
) -> Source:
    """A variable that is one array there, of its own shape by default."""
    shape = variable.shape if shape is None else shape
    return Source(variable, (name,), tuple(shape))


def expected_shapes(sources: Sequence[Source]) -> dict[str, tuple[int, ...]]:
    """The arrays that `fill` will read, and their shapes."""
    return {name: source.shape for source in sources for name in source.names}


def problems(
    expected: Mapping[str, tuple[int, ...]],
    there: Mapping[str, tuple[int, ...]],
    all_of_it: bool = True,
) -> list[str]:
    """How two sets of named arrays differ, each difference in words.

    Args:
        expected: shapes by name, as `wanted` gives them.
        there: shapes by name of what there is.
        all_of_it: whether an array that is not expected is one.
    """
    if there and not expected.keys() & there.keys():
        return [
            f"none of the {len(expected)} names expected is there (such as "
            f"{next(iter(expected))}), but others (such as "
            f"{next(iter(there))})"
        ]
    found = []
    for name, shape in expected.items():
        if name not in there:
            found.append(f"{name} is missing")
        elif there[name] != shape:
            found.append(f"{name} has shape {there[name]}, expected {shape}")
    if all_of_it:
        extra = sorted(there.keys() - expected.keys())
        found += [f"{name} is left over" for name in extra]
    return found


def assign(
    sources: Sequence[Source], read: Callable[[str], np.ndarray]
) -> None:
    """Assigns every variable; after `problems` has found none.

    Every array is read before any is assigned: what cannot be read changes
    nothing.
    """
    values = [
        np.stack([read(name) for name in source.names]) for source in sources
    ]
    for source, value in zip(sources, values, strict=True):
        source.variable.assign(value.reshape(source.variable.shape))
