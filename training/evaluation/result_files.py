"""Reads results that training.evaluate wrote, and checks what they hold."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_hmr.formats import json_files

_CURE = "Remove it, or measure again with `python -m training.evaluate`."


def read(path: Path) -> dict[str, Any] | None:
    """Reads a result; returns None for other JSON files.

    Raises:
        ValueError: the file cannot be read, or an entry is of another kind
            than training.evaluate writes; the message names both.
    """
    try:
        content = json_files.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}). {_CURE}") from error
    if not isinstance(content, dict):
        return None
    if not {"protocol", "metrics"} <= content.keys():
        return None
    for key, expected, is_right in _ENTRIES:
        if key in content and not is_right(content[key]):
            raise ValueError(
                f"{path}: {key} is {content[key]!r:.60}, expected {expected}. "
                f"{_CURE}"
            )
    return content


def inside(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder; None if it is elsewhere or missing.

    Args:
        folder: of the file that holds the name.
        name: of a file, as data says it.
    """
    try:
        path = (folder / name).resolve()
        is_inside = path.is_relative_to(folder.resolve())
        return path if name and is_inside and path.is_file() else None
    except (OSError, ValueError):  # a name too long, or with a null
        return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number or value is None


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_numbers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_number, value.values()))


def _are_ranks(value: Any) -> bool:
    try:
        ranks = [float(rank) for rank in value]
    except (TypeError, ValueError):
        return False
    return _are_numbers(value) and all(map(math.isfinite, ranks))


def _are_baselines(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_are_numbers, value.values()))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(t, str) for t in value)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, Mapping)
        and _is_text(entry.get("records"))
        and all(isinstance(text, str) for text in entry.values())
        for entry in value
    )


def _is_description(value: Any) -> bool:
    return isinstance(value, (str, Mapping))


_ENTRIES = (
    ("protocol", "a name", _is_text),
    ("metrics", "numbers by name", _are_numbers),
    ("measured", "a count", _is_count),
    ("expected", "a count", _is_count),
    ("baselines", "numbers by name of each baseline", _are_baselines),
    ("percentiles_mpjpe_mm", "numbers by percentile", _are_ranks),
    ("per_joint_mm", "numbers by joint", _are_numbers),
    ("headline", "names", _are_texts),
    ("deviations", "a list of texts", _are_texts),
    ("truth", "numbers by source of true joints", _are_numbers),
    ("topology", "a text", lambda value: isinstance(value, str)),
    ("output", "a text", lambda value: isinstance(value, str)),
    ("metrics_about_own_pelvis", "numbers by name", _are_numbers),
    ("training_records", "texts by name of each source", _are_records),
    ("rule", "texts by name", _is_description),
    ("environment", "values by name", lambda value: isinstance(value, Mapping)),
)
