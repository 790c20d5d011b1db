"""Files of tf.train.Example read without TensorFlow.

Processes that prepare data start in a fraction of TensorFlow's time. A file
is a sequence of length (8 bytes), its checksum (4), data, its checksum (4)
(tensorflow/tensorflow: tensorflow/core/lib/io/record_writer.h); an Example is
a protocol buffer (tensorflow/core/example/feature.proto).
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
    found, place, size = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            header = file.read(_HEADER)
            length = int.from_bytes(header[:8], "little")
            end = place + _HEADER + length + _FOOTER
            if len(header) < _HEADER or end > size:
                raise ValueError(
                    f"{path} is cut short after {len(found)} records, or is "
                    "no TFRecord file. Fetch it again."
                )
            found.append((place + _HEADER, length))
            place = end
    return found


def read(path: Path, chosen: list[tuple[int, int]]) -> Iterator[Fields]:
    """The features of some records by name.

    Args:
        path: of the file.
        chosen: from `places`.

    Yields:
        float32 or int64 arrays, or lists of bytes; {} for a record that is
        no tf.train.Example.
    """
    with path.open("rb") as file:
        for start, length in chosen:
            file.seek(start)
            try:
                yield parse(file.read(length))
            except (ValueError, IndexError, struct.error):
                yield {}


def parse(data: bytes) -> Fields:
    """The features of a serialized tf.train.Example by name.

    Raises:
        ValueError: the bytes are none; also IndexError and struct.error.
    """
    found = {}
    for _, features in _blocks(data):
        for _, entry in _blocks(features):
            parts = dict(_blocks(entry))
            name = bytes(parts[1]).decode() if 1 in parts else ""
            for kind, values in _blocks(parts.get(2, b"")):
                found[name] = _values(kind, values)
    return found


def _values(kind: int, data: memoryview) -> np.ndarray | list[bytes]:
    if kind == _BYTES:
        return [bytes(each) for _, each in _blocks(data)]
    values = []
    for field, wire, each in _fields(data):
        if field != 1:
            continue
        if kind == _FLOATS:
            values.append(np.frombuffer(each, "<f4"))
        elif wire == _BLOCK:
            place = 0
            while place < len(each):
                value, place = _varint(each, place)
                values.append(value)
        else:
            values.append(each)
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
    data, place = memoryview(data), 0
    while place < len(data):
        key, place = _varint(data, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield field, wire, value
            continue
        if wire == _BLOCK:
            length, place = _varint(data, place)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if place + length > len(data):
            raise ValueError("a field longer than its message")
        yield field, wire, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits per byte, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value & (2**64 - 1), place
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
