"""Fills a model's variables from arrays that others wrote under other names."""

from collections.abc import Callable, Collection, Mapping, Sequence
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


def whole(
    variable: keras.Variable, name: str, shape: Sequence[int] | None = None
) -> Source:
    """A variable that is one array there, of its own shape by default."""
    shape = variable.shape if shape is None else shape
    return Source(variable, (name,), tuple(shape))


def left_over(sources: Sequence[Source], names: Collection[str]) -> list[str]:
    """The arrays that no variable takes."""
    return sorted(set(names) - set(_names(sources)))


def problems(
    sources: Sequence[Source], shapes: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """What keeps `fill` from working, each as a line that names the array.

    Args:
        sources: what is wanted.
        shapes: what there is, by name.
    """
    names = _names(sources)
    if shapes and not set(names) & set(shapes):
        return [
            f"none of the {len(names)} names expected is there (such as "
            f"{names[0]}), but others (such as {next(iter(shapes))})"
        ]
    found = []
    for source in sources:
        for name in source.names:
            if name not in shapes:
                found.append(f"{name} is missing")
            elif tuple(shapes[name]) != source.shape:
                found.append(
                    f"{name} has shape {tuple(shapes[name])}, expected "
                    f"{source.shape}"
                )
    return found


def fill(sources: Sequence[Source], read: Callable[[str], np.ndarray]) -> None:
    """Assigns every variable; after `problems` has found none.

    Every array is read before any is assigned: what cannot be read changes
    nothing.
    """
    values = [
        np.stack([read(name) for name in source.names]) for source in sources
    ]
    for source, value in zip(sources, values, strict=True):
        source.variable.assign(value.reshape(source.variable.shape))


def _names(sources: Sequence[Source]) -> list[str]:
    return [name for source in sources for name in source.names]
