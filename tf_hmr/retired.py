"""Fields that a Config once had, as older files and commands name them."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field that its Config no longer has."""

    accepted: tuple[Any, ...]
    """Values that mean what the method does without the field."""
    instead: str
    """What to use where another value is wanted."""
    successors: Mapping[Any, str] = {}
    """Methods of today by the value that once chose them: stored Configs with
    this value are theirs."""


def drop(
    kind: type, values: Mapping[str, Any], retired: Mapping[str, Field]
) -> dict[str, Any]:
    """Values of a Config without its retired fields.

    Args:
        kind: class of the Config, for messages.
        values: by field.
        retired: those of `kind`.

    Raises:
        ValueError: a retired field has a value that is not possible any more.
    """
    for name, field in retired.items():
        if name in values and values[name] not in field.accepted:
            method = kind.__module__.rsplit(".", 1)[-1]
            raise ValueError(
                f"The method {method!r} no longer has {name}="
                f"{values[name]!r}. {field.instead}"
            )
    return {k: v for k, v in values.items() if k not in retired}
