"""Types and ranges of the fields of configurations, checked in one place.

A field says what its values may be by its type: `hidden: Count = 1024`. The
same check serves command lines, files and code.
"""

import dataclasses
import math
import numbers
import typing
from typing import Annotated, Any, Literal


@dataclasses.dataclass(frozen=True)
class Range:
    """Values that a number may have."""

    low: float
    """Smallest value."""
    high: float = math.inf
    """Largest value."""
    above: bool = False
    """Whether `low` itself is not allowed."""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and not (
            self.above and value == self.low
        )

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"from {self.low} to {self.high}"
        return f"over {self.low}" if self.above else f"of {self.low} or more"


@dataclasses.dataclass(frozen=True)
class Rising:
    """A pair whose first number is not larger than its second."""


Count = Annotated[int, Range(1)]
"""One or more."""
CountOrNone = Annotated[int, Range(0)]
"""Zero or more."""
Repeats = Annotated[int, Range(1, 1000)]
"""Passes of a network that are unrolled in its graph."""
Pixels = Annotated[int, Range(1, 8192)]
"""Side of an image."""
Positive = Annotated[float, Range(0, above=True)]
"""Over 0."""
NonNegative = Annotated[float, Range(0)]
"""Zero or more: weights of losses, rates."""
Dropout = Annotated[float, Range(0, 0.999)]
"""Share of units that are dropped; not all of them."""
Share = Annotated[float, Range(0, 1)]
"""From none to all."""


def check(config: Any, prefix: str = "") -> None:
    """Checks every field of a dataclass, also of the dataclasses inside it.

    Args:
        config: its fields have the types that this module knows (int, float,
            str, bool, Literal, tuples and dataclasses of such, Annotated with
            a Range); others are not looked at.
        prefix: of the fields' names in the message, such as "config.".

    Raises:
        ValueError: names the first field with a value of another type, a
            number that is not finite, or one out of its range.
    """
    types = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        _check_value(
            f"{prefix}{field.name}",
            getattr(config, field.name),
            types[field.name],
        )


def _check_value(name: str, value: Any, kind: Any) -> None:
    marks: tuple = ()
    while typing.get_origin(kind) is Annotated:
        marks += kind.__metadata__
        kind = kind.__origin__
    if typing.get_origin(kind) is tuple:
        _check_tuple(name, value, kind)
    elif dataclasses.is_dataclass(kind):
        if not isinstance(value, kind):
            raise _wrong(name, value, f"a {kind.__name__}")
        check(value, f"{name}.")
    elif typing.get_origin(kind) is Literal:
        if not isinstance(value, str) or value not in typing.get_args(kind):
            choices = ", ".join(map(repr, typing.get_args(kind)))
            raise _wrong(name, value, f"one of {choices}")
    elif kind in _TYPES:
        _check_plain(name, value, kind, marks)
    if Rising() in marks and value[0] > value[1]:
        raise _wrong(name, value, "the smaller number first")


# The type of values by the type of the field, and its words in messages.
_TYPES = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a finite number"),
    str: (str, "text"),
}


def _check_plain(name: str, value: Any, kind: type, marks: tuple) -> None:
    value_type, words = _TYPES[kind]
    ranges = [mark for mark in marks if isinstance(mark, Range)]
    expected = " ".join([words, *map(str, ranges)])
    right_type = isinstance(value, value_type)
    if isinstance(value, bool) and kind is not bool:
        right_type = False
    if not right_type:
        raise _wrong(name, value, expected)
    if kind is float and not math.isfinite(value):
        raise _wrong(name, value, expected)
    if any(value not in allowed for allowed in ranges):
        raise _wrong(name, value, expected)


def _check_tuple(name: str, value: Any, kind: Any) -> None:
    item_types = typing.get_args(kind)
    if not isinstance(value, tuple | list):
        raise _wrong(name, value, "a list")
    if item_types[-1] is Ellipsis:
        item_types = (item_types[0],) * len(value)
    if len(value) != len(item_types):
        raise _wrong(name, value, f"a list of {len(item_types)}")
    for number, (item, item_type) in enumerate(
        zip(value, item_types, strict=True)
    ):
        _check_value(f"{name}.{number}", item, item_type)


def _wrong(name: str, value: Any, expected: str) -> ValueError:
    text = repr(value)
    if len(text) > 60:
        text = f"{text[:60]}..."
    return ValueError(f"{name} is {text}, expected {expected}.")
