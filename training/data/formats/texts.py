"""Texts of files that store them as text or as bytes."""

import os
from typing import Any


def text(value: Any) -> str:
    """Text of a value; bytes that are no UTF-8 stay a file's name in bytes."""
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)
