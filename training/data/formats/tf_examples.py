"""Reads files of tf.train.Example without TensorFlow.

Processes that prepare data then start in a fraction of TensorFlow's time. A
file is a sequence of length (8 bytes), its checksum (4), data, its checksum
(4) (tensorflow/tensorflow: tensorflow/core/lib/io/record_writer.h); an Example
is a protocol buffer (tensorflow/core/example/feature.proto).
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_HEADER, _FOOTER = 12, 4
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3  # fields of Feature
_VARINT, _FIXED64, _BLOCK, _FIXED32 = 0, 1, 2, 5  # wire types

Fields = dict[str, np.ndarray | list[bytes]]


def places(path: Path) -> list[tuple[int, int]]:
    """Start and length of each record's data.

    Raises:
        ValueError: the file is cut short or holds something else.
    """
    spans, is_whole = whole_places(path)
    if not is_whole:
        raise ValueError(
            f"{path} is cut short after {len(spans)} records, or is no "
            "TFRecord file. Fetch it again."
        )
    return spans


def whole_places(path: Path) -> tuple[list[tuple[int, int]], bool]:
    """Start and length of the data of each record that lies within a file.

    Lengths beyond the file's end are those of a file that is cut short or
    damaged; TensorFlow's reader takes memory for any length.

    Returns:
        The records up to the first that does not, and whether all do.
    """
    spans, offset, size = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER)
            length = int.from_bytes(header[:8], "little")
            end = offset + _HEADER + length + _FOOTER
            if len(header) < _HEADER or end > size:
                return spans, False
            spans.append((offset + _HEADER, length))
            offset = end
    return spans, True


def read(path: Path, spans: list[tuple[int, int]]) -> Iterator[Fields]:
    """Reads the features of some records, by name.

    Args:
        path: of the file.
        spans: start and length of each record, from `places`.

    Yields:
        float32 or int64 arrays, or lists of bytes; {} for a record that is
        not a tf.train.Example.
    """
    with path.open("rb") as file:
        for start, length in spans:
            file.seek(start)
            try:
                yield parse(file.read(length))
            except (ValueError, IndexError, struct.error):
                yield {}


def parse(data: bytes) -> Fields:
    """Parses the features of a serialized tf.train.Example, by name.

    Raises:
        ValueError, IndexError, struct.error: the bytes are no Example.
    """
    fields = {}
    for _, features in _blocks(data):
        for _, entry in _blocks(features):
            parts = dict(_blocks(entry))
            name = bytes(parts[1]).decode() if 1 in parts else ""
            for kind, values in _blocks(parts.get(2, b"")):
                fields[name] = _values(kind, values)
    return fields


def _values(kind: int, data: memoryview) -> np.ndarray | list[bytes]:
    if kind == _BYTES:
        return [bytes(payload) for _, payload in _blocks(data)]
    values = []
    for field, wire, payload in _fields(data):
        if field != 1:
            continue
        if kind == _FLOATS:
            values.append(np.frombuffer(payload, "<f4"))
        elif wire == _BLOCK:
            offset = 0
            while offset < len(payload):
                value, offset = _varint(payload, offset)
                values.append(value)
        else:
            values.append(payload)
    if kind == _FLOATS:
        return np.concatenate(values) if values else np.zeros(0, np.float32)
    if kind != _INTEGERS:
        raise ValueError(f"a feature of kind {kind}")
    return np.array(values, np.uint64).astype(np.int64)


def _blocks(data) -> Iterator[tuple[int, memoryview]]:
    """The length-delimited fields of a message."""
    for field, wire, value in _fields(data):
        if wire == _BLOCK:
            yield field, value


def _fields(data) -> Iterator[tuple[int, int, memoryview | int]]:
    """Number, wire type and value of each field of a message."""
    data, offset = memoryview(data), 0
    while offset < len(data):
        key, offset = _varint(data, offset)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, offset = _varint(data, offset)
            yield field, wire, value
            continue
        if wire == _BLOCK:
            length, offset = _varint(data, offset)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if offset + length > len(data):
            raise ValueError("a field longer than its message")
        yield field, wire, data[offset : offset + length]
        offset += length


def _varint(data: memoryview, offset: int) -> tuple[int, int]:
    """Decodes seven bits per byte: the number, and the offset after it."""
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return value & (2**64 - 1), offset
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
