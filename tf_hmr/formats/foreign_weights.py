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
    stored: Mapping[str, tuple[int, ...]],
    report_extra: bool = True,
) -> list[str]:
    """How two sets of named arrays differ, each difference in words.

    Args:
        expected: shapes by name, as `wanted` gives them.
        stored: shapes by name of what there is.
        report_extra: whether an array that is not expected is one.
    """
    if stored and not expected.keys() & stored.keys():
        return [
            f"none of the {len(expected)} names expected is there (such as "
            f"{next(iter(expected))}), but others (such as "
            f"{next(iter(stored))})"
        ]
    differences = []
    for name, shape in expected.items():
        if name not in stored:
            differences.append(f"{name} is missing")
        elif stored[name] != shape:
            differences.append(
                f"{name} has shape {stored[name]}, expected {shape}"
            )
    if report_extra:
        extra = sorted(stored.keys() - expected.keys())
        differences += [f"{name} is left over" for name in extra]
    return differences


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
