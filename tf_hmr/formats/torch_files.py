"""Reads files of torch.save, without PyTorch and without running code.

Two layouts: since PyTorch 1.6 an uncompressed zip of a pickle and one member
for each storage of numbers; before, pickles one after the other, followed by
the storages (pytorch/pytorch: torch/serialization.py). Names in the pickle are
replaced by recorders (unpickle.py). Storages are read on demand; a size that
the file states is checked against the file before it is used.
"""

import collections
import io
import math
import operator
import struct
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tf_hmr.formats import system_limits, unpickle, wording

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP_START = b"PK"
_DEEPEST = 4  # dictionaries within each other that are searched
_USUAL_KEYS = {"model", "state_dict"}
_USUAL_PREFIXES = {"module", "model"}
_EXPECTED = (
    "a file of torch.save. It may be cut short or damaged; fetch it again "
    "from its publisher"
)


class _Storage(NamedTuple):
    """A block of numbers in the file."""

    dtype: np.dtype
    count: int
    read: Callable[[], bytes]


class Tensor:
    """An array of the file; read by `numpy`."""

    def __init__(self, storage, offset, shape, strides, *_):
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor is of no storage")
        self._storage = storage
        self._offset = operator.index(offset)
        self.shape = tuple(map(operator.index, shape))
        self._strides = tuple(map(operator.index, strides))
        self._check()

    def _check(self):
        steps = list(zip(self.shape, self._strides, strict=True))
        lowest = min((self._offset, *self.shape, *self._strides))
        last = self._offset + sum((n - 1) * step for n, step in steps)
        size = math.prod(self.shape)
        if (
            lowest < 0
            or size > self._storage.count
            or (size and last >= self._storage.count)
        ):
            raise ValueError(
                f"a tensor of the shape {self.shape} with the strides "
                f"{self._strides} from {self._offset} on does not lie in its "
                f"storage of {self._storage.count} numbers"
            )

    def numpy(self) -> np.ndarray:
        """Reads the numbers into a new array.

        Raises:
            ValueError: the numbers are damaged.
        """
        flat = np.frombuffer(self._storage.read(), self._storage.dtype)
        strides = [step * flat.itemsize for step in self._strides]
        window = np.lib.stride_tricks.as_strided(
            flat[self._offset :], self.shape, strides, writeable=False
        )
        return window.copy()


class _Parameter:
    """torch.nn.Parameter: its tensor alone."""

    def __new__(cls, tensor, *_):
        return tensor


class _StorageType:
    """Names the type of a storage's numbers; it has no instances."""

    dtype: np.dtype


class _Size:
    """torch.Size: a tuple."""

    def __new__(cls, numbers=()):
        return tuple(numbers)


_TYPES = {
    "Double": "<f8",
    "Float": "<f4",
    "Half": "<f2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "|i1",
    "Byte": "|u1",
    "Bool": "|b1",
}
_STAND_INS = {
    ("torch._utils", "_rebuild_tensor"): Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): Tensor,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
    ("torch", "Size"): _Size,
} | {
    ("torch", f"{name}Storage"): type(
        name, (_StorageType,), {"dtype": np.dtype(code)}
    )
    for name, code in _TYPES.items()
}


class _Unpickler(unpickle.ArrayUnpickler):
    stand_ins = _STAND_INS
    expected = "tensors and numpy arrays in dictionaries and lists"
    cure = "a network saved whole has to be saved as its state_dict instead"

    def __init__(self, file: BinaryIO, path: Path, storage: Callable):
        super().__init__(file, path)
        self._storage = storage

    def persistent_load(self, pid: Any) -> _Storage:
        tag, kind, key, _, count, *view = pid
        if tag != "storage" or not issubclass(kind, _StorageType):
            raise ValueError(f"an object {pid!r} that is no storage")
        return self._storage(kind.dtype, str(key), operator.index(count), *view)


def load(path: str | Path) -> Any:
    """Loads the saved object, with a Tensor for each tensor.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a file of torch.save, is damaged, or names a
            callable that is not admitted; none of its code has been run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}, or it is a folder. Expected a file of "
            "torch.save, a .pt or .pth."
        )
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP_START)) == _ZIP_START
        file.seek(0)
        try:
            return _load_zip(path) if is_zip else _load_pickles(file, path)
        except unpickle.RefusedError:
            raise
        except Exception as error:  # a damaged pickle raises almost anything
            raise _damaged(path, error) from error


class StateDict(NamedTuple):
    """The tensors of a network in a file, which may hold other things.

    Attributes:
        tensors: by the network's own names; those that do not begin with
            `prefix` by the names in the file.
        prefix: what the file puts before the network's names, such as
            "module." of DataParallel.
        other_entries: names of what lies beside the network.
    """

    tensors: dict[str, Tensor]
    prefix: str
    other_entries: list[str]

    def note(self) -> str:
        """Says in brackets which prefix was dropped; "" if none was."""
        return f" (after {self.prefix!r} in the file)" if self.prefix else ""


class _Candidate(NamedTuple):
    """A dictionary of the file that holds some of a network's tensors."""

    keys: tuple[str, ...]
    """Where it lies in the saved object."""
    prefix: str
    count: int
    """Number of the network's names that it holds."""
    tensors: dict[str, Tensor]

    def is_usual(self) -> bool:
        prefixes = self.prefix.split(".")[:-1]
        return _USUAL_KEYS.issuperset(self.keys) and (
            _USUAL_PREFIXES.issuperset(prefixes)
        )

    def label(self) -> str:
        return " ".join((*map(repr, self.keys), repr(self.prefix)))


def state_dict(path: str | Path, names: Collection[str]) -> StateDict:
    """Finds a network's tensors in a file, under any key or prefix.

    Args:
        path: a file of torch.save.
        names: the network's own names of its tensors.

    Raises:
        FileNotFoundError, ValueError: as `load`; or the file holds no tensors
            by name, or the network several times.
    """
    content = load(path)
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, expected the dictionary "
            "of a checkpoint, with the network as 'model' or 'state_dict'."
        )
    candidates = [
        candidate
        for keys, tensors in _dictionaries(content)
        for candidate in _candidates(keys, tensors, frozenset(names))
    ]
    if not candidates:
        entries = [
            f"{key!r} is a {type(entry).__name__}"
            for key, entry in content.items()
        ]
        raise ValueError(
            f"{path} holds no tensors by name ({wording.few(entries)}), "
            "expected a state_dict, plain or as 'model' or 'state_dict'."
        )
    best = _best(candidates, path)
    stripped = {
        name.removeprefix(best.prefix): tensor
        for name, tensor in best.tensors.items()
        if name.startswith(best.prefix)
    }
    other_tensors = {
        name: tensor
        for name, tensor in best.tensors.items()
        if not name.startswith(best.prefix)
    }
    return StateDict(
        other_tensors | stripped,
        best.prefix,
        _sibling_names(content, best.keys),
    )


def _dictionaries(
    content: Mapping,
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Yields the keys and the tensors of each dictionary with some."""
    visited: set[int] = set()
    left = [((), content)]
    while left:
        keys, entries = left.pop(0)
        if id(entries) in visited or len(keys) > _DEEPEST:
            continue
        visited.add(id(entries))
        tensors = {
            str(name): value
            for name, value in entries.items()
            if isinstance(value, Tensor)
        }
        if tensors:
            yield keys, tensors
        left += [
            ((*keys, str(name)), value)
            for name, value in entries.items()
            if isinstance(value, Mapping)
        ]


def _candidates(
    keys: tuple[str, ...], tensors: dict[str, Tensor], names: frozenset[str]
) -> Iterator[_Candidate]:
    """Yields each prefix of which the dictionary holds names; "" always."""
    counts = collections.Counter({"": 0})
    for name in tensors:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in names:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    for prefix, count in counts.items():
        yield _Candidate(keys, prefix, count, tensors)


def _best(candidates: list[_Candidate], path: str | Path) -> _Candidate:
    most = max(candidate.count for candidate in candidates)
    fullest = [c for c in candidates if c.count == most]
    usual = [c for c in fullest if c.is_usual()] or fullest[:1]
    if most and len(fullest) > 1 and not usual[0].is_usual():
        labels = [candidate.label() for candidate in fullest]
        raise ValueError(
            f"{path} holds the network {len(fullest)} times: as "
            f"{wording.few(labels)}. Save one of them alone, as its "
            "state_dict."
        )
    # nkolot/SPIN's own form first.
    return min(usual, key=lambda c: (c.keys != ("model",), c.prefix != ""))


def _sibling_names(content: Mapping, keys: tuple[str, ...]) -> list[str]:
    """Names of the entries beside those that lead to a dictionary."""
    names, entries = [], content
    for depth, key in enumerate(keys):
        parents = "".join(f"{name}." for name in keys[:depth])
        names += [f"{parents}{name}" for name in entries if str(name) != key]
        entries = next(v for k, v in entries.items() if str(k) == key)
    return sorted(names)


def shape_there(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape that PyTorch gives to a kernel, or to a vector, of this shape."""
    if len(shape) == 4:
        height, width, inputs, outputs = shape
        return outputs, inputs, height, width
    return shape[::-1]


def weights_of(
    path: str | Path, tensors: Mapping[str, Tensor]
) -> Callable[[str], np.ndarray]:
    """Reads the tensors of a file for foreign_weights.assign.

    PyTorch's kernels have outputs first and inputs second; they are transposed
    to Keras' order. The returned function raises ValueError for numbers that
    are damaged or not finite.
    """

    def read(name: str) -> np.ndarray:
        value = tensors[name].numpy()
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} of {path} is not finite: the file is damaged or its "
                "training had failed. Fetch it again, or give another one."
            )
        return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T

    return read


def _damaged(path: Path, error: Exception) -> ValueError:
    system_limits.check(error, path)
    return ValueError(
        f"{path} could not be read ({error or type(error).__name__}): expected "
        f"{_EXPECTED}."
    )


def _load_zip(path: Path) -> Any:
    # Stays open as long as one of its tensors exists.
    archive = zipfile.ZipFile(path)
    names = [n for n in archive.namelist() if n.endswith("data.pkl")]
    if len(names) != 1:
        raise ValueError(f"{len(names)} members are called data.pkl, not one")
    root = names[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist():
        order = _member(archive, f"{root}byteorder")()
        if order != b"little":
            raise ValueError(f"its numbers are stored {order!r} end first")

    def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
        name = f"{root}data/{key}"
        read = _member(archive, name, count * dtype.itemsize)
        return _Storage(dtype, count, read)

    file = io.BytesIO(_member(archive, names[0])())
    return _Unpickler(file, path, storage).load()


def _member(
    archive: zipfile.ZipFile, name: str, size: int | None = None
) -> Callable[[], bytes]:
    """Returns a reader of an uncompressed member of `size` bytes."""
    info = archive.getinfo(name)
    packed = info.compress_type != zipfile.ZIP_STORED
    if packed or size not in (None, info.file_size):
        raise ValueError(
            f"{name} has {info.file_size} bytes, "
            f"{'compressed' if packed else f'expected {size}'}"
        )

    def read() -> bytes:
        try:
            return archive.read(name)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise _damaged(Path(archive.filename), error) from error

    return read


def _load_pickles(file: BinaryIO, path: Path) -> Any:
    offsets: dict[str, int] = {}  # Start of each storage, in bytes.
    storages: dict[str, _Storage] = {}

    def storage(dtype, key, count, view=None) -> _Storage:
        def read() -> bytes:
            with path.open("rb") as reopened:
                reopened.seek(offsets[key])
                return reopened.read(count * dtype.itemsize)

        if view is not None:
            raise ValueError("a storage is part of another one")
        return storages.setdefault(key, _Storage(dtype, count, read))

    unpickler = lambda: _Unpickler(file, path, storage)  # noqa: E731
    if (magic := unpickler().load()) != _MAGIC:
        raise ValueError(f"it begins with {str(magic)[:40]!r}")
    if (protocol := unpickler().load()) != _PROTOCOL:
        raise ValueError(f"its protocol is {protocol!r}, not {_PROTOCOL}")
    if not unpickler().load().get("little_endian"):
        raise ValueError("its numbers are stored big end first")
    content = unpickler().load()
    keys = unpickler().load()
    if sorted(keys) != sorted(storages):
        raise ValueError("it lists other storages than its tensors have")
    end = path.stat().st_size
    for key in keys:
        count = struct.unpack("<q", file.read(8))[0]
        offsets[key] = file.tell()
        stop = offsets[key] + count * storages[key].dtype.itemsize
        if count != storages[key].count or stop > end:
            raise ValueError(
                f"the storage {key} of {storages[key].count} numbers is stated "
                f"to have {count}, and {end - offsets[key]} bytes are left"
            )
        file.seek(stop)
    return content
