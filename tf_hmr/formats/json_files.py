"""Reads json that somebody else wrote; all damage ends in a ValueError."""

import json
from collections.abc import Callable
from typing import Any

_LONG = 20  # characters of the longest number of 64 bits


def loads(text: str | bytes, object_hook: Callable | None = None) -> Any:
    """What a json text says.

    Whole numbers that no computer counts with become floats, of which inf is
    one: arithmetic with them fails in ways that few expect.

    Args:
        text: of the file.
        object_hook: as of json.loads.

    Raises:
        ValueError: it is no json, or is nested too deeply to be anything.
    """
    try:
        return json.loads(
            text, object_hook=object_hook, parse_int=_parse_integer
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONG else float(digits)
