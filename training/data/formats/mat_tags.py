"""Checks the tags of a Matlab file of version 5 before scipy reads it.

scipy 1.17 looks types up in a table without checking that they are in it: a
damaged file crashes the process. Layout: MAT-File Format, MathWorks, chapter 1,
and scipy: scipy/io/matlab/_mio5.py.
"""

import functools
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {*range(1, 8), 9, *range(12, 19)}
_CELL, _STRUCT, _OPAQUE = 1, 2, 17
_DEEPEST = 50


@functools.lru_cache(maxsize=4)  # One check for all variables of a file.
def check(path: Path, modified_ns: int) -> None:
    """Refuses a file that would crash scipy.

    Args:
        path: of the file.
        modified_ns: time of its last change, part of the cache's key.

    Raises:
        ValueError: the file is of version 5, and damaged.
    """
    del modified_ns
    data = memoryview(path.read_bytes())
    if len(data) < _HEADER or 0 in data[:4].tobytes():
        return  # version 4, or empty: scipy reads those with care
    order = ">" if data[126:128] == b"MI" else "<"
    for kind, content in _elements(data[_HEADER:], order):
        if kind == _COMPRESSED:
            ((kind, content),) = _elements(_inflated(content), order)
        if kind == _MATRIX:
            _check_matrix(content, order, 0)


def _inflated(content: memoryview) -> memoryview:
    try:
        return memoryview(zlib.decompress(content))
    except zlib.error as error:
        raise ValueError(f"a variable does not unpack ({error})") from None


def _elements(data: memoryview, order: str) -> Iterator:
    """(type, content) of consecutive elements."""
    offset = 0
    while offset + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, offset)
        start = offset + 8
        offset = start + size
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size = kind & 0xFFFF, kind >> 16
            start, offset = start - 4, start
        elif kind != _COMPRESSED:
            offset += -offset % 8
        if kind not in _TYPES or start + size > len(data):
            raise ValueError(f"an element has the type {kind}, {size} bytes")
        yield kind, data[start : start + size]


def _check_matrix(data: memoryview, order: str, depth: int) -> None:
    if not len(data):
        return
    parts = list(_elements(data, order))
    if depth > _DEEPEST or len(parts) < 2 or len(parts[0][1]) != 8:
        raise ValueError("an array without flags, or nested too deeply")
    flags = struct.unpack_from(f"{order}I", parts[0][1])[0]
    kind = flags & 0xFF
    if not 1 <= kind <= _OPAQUE:
        raise ValueError(f"an array has the class {kind}")
    if kind == _OPAQUE:
        return
    count = len(parts[1][1]) // 4
    sizes = struct.unpack_from(f"{order}{count}i", parts[1][1])
    is_nested = kind in (_CELL, _STRUCT)
    # Matlab's arrays have two dimensions or more.
    if (
        count < 2
        or min(sizes) < 0
        or (is_nested and math.prod(sizes) > len(data))
    ):
        raise ValueError(f"an array of the sizes {sizes} in {len(data)} bytes")
    for part_kind, content in parts[2:]:
        if part_kind == _MATRIX:
            _check_matrix(content, order, depth + 1)
