"""Fills a model's variables from arrays that have other names."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np

from tf_hmr.formats import wording


class Source(NamedTuple):
    """Source of the value of a variable."""

    variable: keras.Variable
    names: tuple[str, ...]
    """Names of the stored arrays; several become rows of the variable."""
    shape: tuple[int, ...]
    """Shape of each stored array; it may have more axes of length 1."""


def single(
    variable: keras.Variable, name: str, shape: Sequence[int] | None = None
) -> Source:
    """Source of a variable that is one array, by default of its shape."""
    shape = variable.shape if shape is None else shape
    return Source(variable, (name,), tuple(shape))


def expected_shapes(sources: Sequence[Source]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays that `assign` will read."""
    return {name: source.shape for source in sources for name in source.names}


def problems(
    expected: Mapping[str, tuple[int, ...]],
    stored: Mapping[str, tuple[int, ...]],
    report_extra: bool = True,
) -> list[str]:
    """Describes how two sets of named arrays differ, one text per difference.

    Args:
        expected: shapes by name, from `expected_shapes`.
        stored: shapes by name of the stored arrays.
        report_extra: whether an array that is not expected is a difference.
    """
    if not expected.keys() & stored.keys():
        unexpected = [f", but others (such as {name})" for name in stored]
        return [
            f"none of the {len(expected)} names expected is there (such as "
            f"{next(iter(expected))}){''.join(unexpected[:1])}"
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


def summary(differences: Sequence[str]) -> str:
    """Joins the texts of `problems` for a message: a few, and a count."""
    return wording.few(differences, "; ", "differences")


def assign(
    sources: Sequence[Source], read: Callable[[str], np.ndarray]
) -> None:
    """Assigns every variable; call it when `problems` has found none.

    Every array is read before any is assigned, so that an unreadable one
    changes nothing.
    """
    values = [
        np.stack([read(name) for name in source.names]) for source in sources
    ]
    for source, value in zip(sources, values, strict=True):
        source.variable.assign(value.reshape(source.variable.shape))
