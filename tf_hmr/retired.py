"""Retired fields of Configs, which older files and commands still name."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field that was removed from its Config."""

    accepted: tuple[Any, ...]
    """Values that mean what the method now does without the field."""
    instead: str
    """Sentence for the error: what to use for other values."""
    successors: Mapping[Any, str] = {}
    """Method by the value that once selected it: stored Configs with this
    value now belong to that method."""


def drop(
    kind: type, values: Mapping[str, Any], retired: Mapping[str, Field]
) -> dict[str, Any]:
    """Drops the retired fields from the values of a Config.

    Args:
        kind: class of the Config, for messages.
        values: by field.
        retired: the retired fields of `kind`.

    Raises:
        ValueError: a retired field has a value that is no longer possible.
    """
    for name, field in retired.items():
        if name in values and values[name] not in field.accepted:
            method = kind.__module__.rsplit(".", 1)[-1]
            raise ValueError(
                f"The method {method!r} no longer has {name}="
                f"{values[name]!r}. {field.instead}"
            )
    return {k: v for k, v in values.items() if k not in retired}
