"""Reads json of other programs; all damage ends in a ValueError."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LONG = 20  # characters of the longest number of 64 bits
_BYTE_ORDER_MARK = "\ufeff"


def read(path: Path, object_hook: Callable | None = None) -> Any:
    """Reads a json file.

    Args:
        path: the file, UTF-8, UTF-16 or UTF-32, with a byte order mark (as
            Notepad and PowerShell write it) or without.
        object_hook: as in json.loads.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not json, or is nested too deeply.
    """
    return loads(path.read_bytes(), object_hook)


def loads(text: str | bytes, object_hook: Callable | None = None) -> Any:
    """Parses a json text.

    Integers beyond 64 bits become floats, inf if need be: arithmetic with them
    would fail in unexpected ways.

    Args:
        text: content of a file; bytes as in `read`.
        object_hook: as in json.loads.

    Raises:
        ValueError: it is not json, or is nested too deeply.
    """
    if isinstance(text, str):
        text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        return json.loads(
            text, object_hook=object_hook, parse_int=_parse_integer
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_object(path: Path, kind: str) -> dict[str, Any]:
    """Reads a file that holds one json object.

    Args:
        path: the file.
        kind: what the file is, for messages.

    Raises:
        FileNotFoundError: there is none; OSError: it cannot be read.
        ValueError: it holds no object; the message names the file.
    """
    expected = f"Expected {kind}, a json object."
    try:
        content = loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}). {expected}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {content!r:.60}. {expected}")
    return content


def _parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONG else float(digits)
