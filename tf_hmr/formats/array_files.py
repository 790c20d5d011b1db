"""Reads files of plain numpy arrays; all damage ends in one clear error.

A damaged file makes numpy, zipfile and zlib raise a dozen kinds of errors,
few of which name the file. Pickled arrays are never read, as that would let a
file run code; beside arrays that are read they do no harm.
"""

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tf_hmr.formats import system_limits

_SUFFIX = ".npy"
_ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# zlib makes at most 1032 bytes of one; some more for an end that is empty.
_MAX_EXPANSION, _EXPANSION_ROOM = 1032, 4096


class PickledError(ValueError):
    """The array consists of Python's objects, which are never read."""


class Form(NamedTuple):
    """Shape and type that an array's header states."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Arrays(Mapping[str, np.ndarray]):
    """Arrays of an `.npz` file by name, each read when it is looked up.

    An array that nobody looks up costs no memory and cannot refuse the file.
    Looking one up raises ValueError where it is damaged, PickledError where it
    is pickled.
    """

    def __init__(self, path: Path, expected: str, cure: str):
        """Lists the arrays; arguments as `read_npy`."""
        self._path, self._expected, self._cure = path, expected, cure
        self._read: dict[str, np.ndarray] = {}
        with zipfile.ZipFile(path) as archive:
            self._members = {
                name.removesuffix(_SUFFIX): name for name in archive.namelist()
            }

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            self._read[name] = self._opened(name, _array)
        return self._read[name]

    def form(self, name: str) -> Form:
        """Shape and type of an array, whose numbers are not read.

        Raises:
            ValueError: it is damaged, or pickled.
        """
        return self._opened(name, _form)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def _opened(self, name: str, read: Callable[[BinaryIO, int], Any]) -> Any:
        member = self._members[name]
        try:
            return self._read_member(member, read)
        except Exception as error:  # see the module's docstring
            raise _damaged(
                f"{name} of {self._path}", error, self._expected, self._cure
            ) from error

    def _read_member(self, member: str, read: Callable) -> Any:
        with zipfile.ZipFile(self._path) as archive:
            info = archive.getinfo(member)
            # A stored size may be anything; what lies in the file may not.
            most = info.compress_size * _MAX_EXPANSION + _EXPANSION_ROOM
            packed = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if info.compress_size > self._path.stat().st_size or (
                info.compress_type in packed and info.file_size > most
            ):
                raise ValueError(
                    f"{info.file_size} bytes cannot come of the "
                    f"{info.compress_size} that are stored"
                )
            with archive.open(info) as file:
                return read(file, info.file_size)


def read_npy(path: Path, expected: str, cure: str) -> np.ndarray:
    """Reads the array of an `.npy` file.

    Args:
        path: the file.
        expected: the content it should have, for the message.
        cure: sentence for the message: how to get a correct file.

    Raises:
        FileNotFoundError: there is none; OSError: it cannot be opened.
        ValueError: it holds no plain array.
    """
    if _is_archive(path, expected, cure):
        raise ValueError(
            f"{path} is an archive of arrays, an .npz whatever its name; "
            f"expected {expected}. {cure}"
        )
    with system_limits.told(path), path.open("rb") as file:
        try:
            return _array(file, path.stat().st_size)
        except Exception as error:  # see the module's docstring
            raise _damaged(str(path), error, expected, cure) from error


def read_npz(path: Path, expected: str, cure: str) -> Arrays:
    """Lists the arrays of an `.npz` file, to be read by name.

    Arguments as `read_npy`.

    Raises:
        FileNotFoundError: there is none; OSError: it cannot be opened.
        ValueError: it is no such file, or its list is damaged.
    """
    if not _is_archive(path, expected, cure):
        # Says what is wrong with it, if it is no array either.
        read_npy(path, expected, cure)
        raise ValueError(
            f"{path} is a single array, an .npy whatever its name; expected "
            f"{expected}. {cure}"
        )
    try:
        return Arrays(path, expected, cure)
    except Exception as error:  # see the module's docstring
        raise _damaged(str(path), error, expected, cure) from error


def _is_archive(path: Path, expected: str, cure: str) -> bool:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there; expected {expected}. {cure}"
        )
    with system_limits.told(path), path.open("rb") as file:
        return file.read(4) in _ARCHIVE_STARTS


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """Reads an array of `size` bytes with its header, which is checked first.

    Raises: as `_form`.
    """
    _form(file, size)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _form(file: BinaryIO, size: int) -> Form:
    """Reads the header of an array, which has `size` bytes with it.

    Raises:
        PickledError: the array is pickled.
        ValueError: its size is not that of the file. Other errors are
            possible in damaged files.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"an array in the format {version} is not read")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise PickledError("it is pickled")
    stated, actual = math.prod(shape) * dtype.itemsize, size - file.tell()
    if stated != actual:
        raise ValueError(
            f"an array {shape} of {dtype} has {stated} bytes, and {actual} are "
            "there"
        )
    return Form(shape, dtype)


def _damaged(
    subject: str, error: Exception, expected: str, cure: str
) -> ValueError:
    system_limits.check(error, subject)
    if isinstance(error, PickledError):
        return PickledError(
            f"{subject} is pickled; only plain arrays are read, as a pickle "
            f"could run code. Expected {expected}. {cure}"
        )
    return ValueError(
        f"{subject} could not be read as plain arrays ({error!r}); it may be "
        f"damaged. Expected {expected}. {cure}"
    )
