"""Damages files: any bytes, and the structure of the formats that are known."""

import functools
import io
import json
import operator
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 2**63 - 1, 2**40, 0)
HARMLESS = ("file_of_systems", "pickled_member")
"""Kinds of damage that change nothing of what is read."""
_SYSTEM_FILE_SHARE = 0.05  # of the damages
_TRIES = 8  # for a structure that the format's writer can hold


def damage(rng: np.random.Generator, path: Path, canary: Path) -> str:
    """Changes the file; says how.

    Args:
        rng: decides on everything.
        path: the file.
        canary: a folder that code in the file would make.
    """
    if rng.random() < _SYSTEM_FILE_SHARE:
        return _file_of_systems(rng, path)
    kinds, before = STRUCTURES.get(_format(path), ()), path.read_bytes()
    if kinds and rng.random() < 0.6:
        for _ in range(_TRIES):
            kind = kinds[rng.integers(len(kinds))]
            try:
                kind(rng, path, canary)
            except Exception:  # the format cannot hold that: another one
                path.write_bytes(before)
                continue
            return kind.__name__.strip("_")
    kind = BYTES[rng.integers(len(BYTES))]
    path.write_bytes(kind(rng, before))
    return kind.__name__.strip("_")


def _file_of_systems(rng: np.random.Generator, path: Path) -> str:
    """Puts a file beside it as macOS and Windows do."""
    names = (f"._{path.name}", f"._{path.name}", ".DS_Store", "Thumbs.db")
    name = names[rng.integers(len(names))]
    apple = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(80)
    path.with_name(name).write_bytes(apple)
    return "file_of_systems"


def _format(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(520)
    if head[512:516] == b"\x89HDF" or head[:4] == b"\x89HDF":
        return "hdf5"
    return path.suffix


def _position(rng, data: bytes) -> int:
    # Heads of files decide on more than their middles.
    end = len(data) if rng.random() < 0.6 else min(len(data), 512)
    return int(rng.integers(max(end, 1)))


def _bits(rng, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        if changed:
            changed[_position(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(rng, data: bytes) -> bytes:
    return data[: _position(rng, data)]


def _over(rng, data: bytes, replacement: bytes) -> bytes:
    start = _position(rng, data)
    return data[:start] + replacement + data[start + len(replacement) :]


def _zeros(rng, data: bytes) -> bytes:
    return _over(rng, data, bytes(int(rng.integers(1, 400))))


def _noise(rng, data: bytes) -> bytes:
    return _over(rng, data, rng.bytes(int(rng.integers(1, 400))))


def _huge_length(rng, data: bytes) -> bytes:
    width = int(rng.choice([4, 8]))
    value = HUGE[rng.integers(len(HUGE))] & (2 ** (8 * width) - 1)
    return _over(rng, data, value.to_bytes(width, str(rng.choice(ORDERS))))


def _inserted(rng, data: bytes) -> bytes:
    start = _position(rng, data)
    return data[:start] + rng.bytes(int(rng.integers(1, 60))) + data[start:]


def _twice(rng, data: bytes) -> bytes:
    start, end = sorted((_position(rng, data), _position(rng, data)))
    return data[:end] + data[start:]


def _nothing(rng, data: bytes) -> bytes:
    del rng, data
    return b""


ORDERS = ("little", "big")
BYTES: tuple[Callable, ...] = (
    *(_bits, _bits, _cut, _zeros, _noise),
    *(_huge_length, _inserted, _twice, _nothing),
)


def changed(rng: np.random.Generator, tree: Any) -> Any:
    """A copy of nested containers in which one value is something else."""
    inner = isinstance(tree, (dict, list, tuple)) and len(tree)
    inner = inner or (isinstance(tree, np.ndarray) and _nested(tree))
    if not inner or rng.random() < 0.15:
        return _other_value(rng, tree)
    if isinstance(tree, dict):
        key = list(tree)[rng.integers(len(tree))]
        if rng.random() < 0.25:
            return {name: tree[name] for name in tree if name != key}
        return tree | {key: changed(rng, tree[key])}
    if isinstance(tree, np.ndarray):
        return _changed_array(rng, tree)
    copied, index = list(tree), int(rng.integers(len(tree)))
    if rng.random() < 0.2:
        del copied[index]
    else:
        copied[index] = changed(rng, copied[index])
    return copied


def _nested(array: np.ndarray) -> bool:
    return array.size > 0 and (array.dtype == object or bool(array.dtype.names))


def _changed_array(rng, array: np.ndarray) -> np.ndarray:
    copied = array.copy()
    index = tuple(int(rng.integers(size)) for size in array.shape)
    if array.dtype.names:
        name = array.dtype.names[rng.integers(len(array.dtype.names))]
        if rng.random() < 0.2:
            fields = [field for field in array.dtype.names if field != name]
            return copied[fields]
        value = changed(rng, copied[name][index])
        cell = np.empty((), object)
        cell[()] = value
        copied[name][index] = cell[()]
        return copied
    copied[index] = changed(rng, copied[index])
    return copied


def _other_value(rng, value: Any) -> Any:
    """Another type, shape or size in the place of a value."""
    if isinstance(value, np.ndarray) and rng.random() < 0.8:
        return _other_array(rng, value)
    choices = [
        *(None, "", "text", -1, 0, 1e308, float("nan"), float("inf"), True),
        *(2**31, 2**63, [], {}, [[[]]], [value] * 50, {"a": value}, "9" * 5000),
        -value if isinstance(value, (int, float)) else value,
    ]
    return choices[rng.integers(len(choices))]


def _other_array(rng, array: np.ndarray) -> np.ndarray:
    numbers = array.dtype.kind in "fiu"
    choices = [
        lambda: array.astype(str),
        lambda: array.astype(bool),
        lambda: array.astype(complex),
        lambda: array.ravel(),
        lambda: array.T,
        lambda: array[None],
        lambda: array[:0],
        lambda: array[:-1],
        lambda: array[..., :-1],
        lambda: np.concatenate([array, array]),
        lambda: np.array(7),
        lambda: np.full(array.shape, np.nan),
        lambda: array * 1e300 if numbers else array[:0],
        lambda: -array if numbers else array[:0],
    ]
    with np.errstate(all="ignore"):
        return choices[rng.integers(len(choices))]()


class Payload:
    """Makes a folder when it is unpickled by something that runs code."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def _other_json(rng, path: Path, canary: Path) -> None:
    tree = changed(rng, json.loads(path.read_text()))
    path.write_text(json.dumps(tree))


def _deep_json(rng, path: Path, canary: Path) -> None:
    text = path.read_text()
    start = text.index(":") + 1
    depth = int(rng.choice([500, 100_000]))
    path.write_text(text[:start] + "[" * depth + text[start:])


def _long_number(rng, path: Path, canary: Path) -> None:
    numbers = list(re.finditer(r"-?\d+(\.\d+)?", path.read_text()))
    number = numbers[rng.integers(len(numbers))]
    long = ("9" * 400, "9" * 5000, "-1e999", "1e-999", "NaN", "0x9", "")
    replacement = long[rng.integers(len(long))]
    text = path.read_text()
    path.write_text(text[: number.start()] + replacement + text[number.end() :])


def _leaves(tree: Any, keys: tuple = ()) -> Iterator[tuple]:
    """Keys of each number and text in nested dictionaries and lists."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*keys, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _leaves(value, (*keys, index))
    elif isinstance(tree, (int, float, str)):
        yield keys


def _text_ids(rng, path: Path, canary: Path) -> None:
    """One number as text, or text as a number; or all that are called so."""
    tree = json.loads(path.read_text())
    leaves = list(_leaves(tree))
    leaf = leaves[rng.integers(len(leaves))]
    if rng.random() < 0.5:
        alike = [keys for keys in leaves if keys[-1] == leaf[-1]]
    else:
        alike = [leaf]
    for *way, last in alike:
        parent = functools.reduce(operator.getitem, way, tree)
        value = parent[last]
        parent[last] = len(value) if isinstance(value, str) else f"{value}"
    path.write_text(json.dumps(tree))


def _read_npz(path: Path) -> dict:
    with np.load(path) as stored:
        return dict(stored)


def _other_npz(rng, path: Path, canary: Path) -> None:
    np.savez(path, **changed(rng, _read_npz(path)))


def _code_npz(rng, path: Path, canary: Path) -> None:
    stored = _read_npz(path)
    name = list(stored)[rng.integers(len(stored))]
    stored[name] = np.array([Payload(canary)], object)
    np.savez(path, **stored)


def _bytes_npz(rng, path: Path, canary: Path) -> None:
    """Bytes in the place of texts, as Python 2 and HDF5 have them."""
    stored = _read_npz(path)
    names = [name for name, array in stored.items() if array.dtype.kind == "U"]
    name = names[rng.integers(len(names))]
    stored[name] = np.char.encode(stored[name], "utf-8")
    if rng.random() < 0.2:
        stored[name] = np.full(stored[name].shape, b"\xff\xfe")
    np.savez(path, **stored)


def _pickled_member(rng, path: Path, canary: Path) -> None:
    """One more array, of objects, that nobody asks for."""
    stored = _read_npz(path)
    entry = Payload(canary) if rng.random() < 0.5 else {"more": [1, 2]}
    np.savez(path, **stored, extra_info=np.array(entry, object))


def _absurd_npz(rng, path: Path, canary: Path) -> None:
    """A header that claims terabytes."""
    stored = _read_npz(path)
    name = list(stored)[rng.integers(len(stored))]
    np.savez(path, **stored)
    with zipfile.ZipFile(path) as archive:
        members = {
            member: archive.read(member) for member in archive.namelist()
        }
    members[f"{name}.npy"] = _absurd_header()
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def _absurd_header() -> bytes:
    file = io.BytesIO()
    head = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**7)}
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue() + bytes(80)


def _other_npy(rng, path: Path, canary: Path) -> None:
    np.save(path, _other_array(rng, np.load(path)))


def _code_npy(rng, path: Path, canary: Path) -> None:
    np.save(path, np.array([Payload(canary)], object))


def _absurd_npy(rng, path: Path, canary: Path) -> None:
    path.write_bytes(_absurd_header())


def _other_pickle(rng, path: Path, canary: Path) -> None:
    tree = changed(rng, pickle.loads(path.read_bytes(), encoding="latin1"))
    path.write_bytes(pickle.dumps(tree, 2))


def _code_pickle(rng, path: Path, canary: Path) -> None:
    tree = pickle.loads(path.read_bytes(), encoding="latin1")
    if isinstance(tree, dict) and tree and rng.random() < 0.7:
        tree[list(tree)[rng.integers(len(tree))]] = Payload(canary)
    else:
        tree = Payload(canary)
    path.write_bytes(pickle.dumps(tree, int(rng.choice([0, 2, 4]))))


def _other_mat(rng, path: Path, canary: Path) -> None:
    content = scipy.io.loadmat(path)
    content = {k: v for k, v in content.items() if not k.startswith("__")}
    scipy.io.savemat(path, changed(rng, content), long_field_names=True)


def _other_hdf5(rng, path: Path, canary: Path) -> None:
    """Takes a dataset away, or puts another one in its place."""
    with h5py.File(path, "r+") as file:
        names = []
        file.visit(names.append)
        name = names[rng.integers(len(names))]
        before = file[name]
        value = before[()] if isinstance(before, h5py.Dataset) else None
        del file[name]
        choice = rng.integers(5)
        if choice == 1 and value is not None:
            file[name] = _other_array(rng, np.asarray(value))
        elif choice == 2:
            file.create_dataset(name, (10**7, 10**6), "f8", chunks=(1, 1000))
        elif choice == 3:
            file[name] = ["text", "and more"]
        elif choice == 4:
            file.create_group(name)


STRUCTURES: dict[str, tuple[Callable, ...]] = {
    ".json": (_other_json, _other_json, _text_ids, _deep_json, _long_number),
    ".npz": (
        *(_other_npz, _other_npz, _code_npz, _absurd_npz),
        *(_bytes_npz, _pickled_member),
    ),
    ".npy": (_other_npy, _code_npy, _absurd_npy),
    ".pkl": (_other_pickle, _other_pickle, _code_pickle),
    ".mat": (_other_mat,),
    "hdf5": (_other_hdf5,),
    ".calibration": (_long_number,),
    ".xml": (_long_number,),
    ".asf": (_long_number,),
    ".amc": (_long_number,),
}
