"""Reads pickles of arrays without letting them run code.

Official SMPL files are pickles of Python 2: numpy arrays, scipy sparse
matrices and chumpy objects. A pickle may name any function to call, so only
the (module, name) pairs of `_STAND_INS` are admitted; never a whole module,
because a module such as numpy holds functions that run code
(numpy.testing.runstring). Even those pairs are not called: each is replaced by
a class of this file that only records its arguments. The class is new for every
load, so that a file cannot alter anything that the process goes on using.
Arrays are built from the records afterwards. numpy's own reconstruction is not
used because a crafted dtype makes it read object pointers from raw bytes.

The names that occur in SMPL's pickles:
isarandi/smplfitter: src/smplfitter/common.py.
"""

import operator
import pickle
import pickletools
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse


def load(path: str | Path) -> dict[str, Any]:
    """Reads a pickled dict of arrays, refusing everything else.

    Args:
        path: a pickle of protocol 0 to 5, written by Python 2 or 3.

    Returns:
        The dict. Chumpy objects have become numpy arrays, sparse matrices
        scipy matrices of the same kind; other values are as stored.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a pickle, does not hold a dict, or names
            a callable that is not admitted; the message names it, and no
            code has been run. Also a sparse matrix whose indices lie outside
            its shape, and lists or matrices that would fill the memory.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            content = _Converter()(ArrayUnpickler(file, path).load())
        except RefusedError:
            raise
        except Exception as error:  # a damaged pickle raises almost anything
            raise ValueError(
                f"{path} could not be read as a pickle of arrays: {error!r}. "
                "Expected an SMPL model file; it may be damaged or another "
                "kind of file. Fetch it again from its publisher."
            ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, expected a dict of "
            "arrays as in SMPL's model files."
        )
    return {str(key): value for key, value in content.items()}


class RefusedError(ValueError):
    """The pickle names a callable that is not on the list."""


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler that admits only the names that arrays need.

    Its values are not yet converted. A subclass may admit more in `stand_ins`:
    classes that only record their arguments.
    """

    stand_ins: Mapping[tuple[str, str], type] = {}
    expected = "numpy arrays, scipy matrices and chumpy objects"
    cure = "a body of your own can be stored with BodyData.save"

    def __init__(self, file: BinaryIO, path: Path):
        # latin1 maps Python 2's byte strings to str without loss.
        super().__init__(file, encoding="latin1")
        self._file, self._path = file, path
        self._admitted = _HARMLESS | {
            pair: type(base.__name__, (base,), {})
            for pair, base in {**_STAND_INS, **self.stand_ins}.items()
        }

    def load(self) -> Any:
        """Loads the pickle at the file's position, which must be seekable.

        Raises:
            ValueError: it asks for more memory than its length accounts for.
            Other errors are those of pickle.
        """
        start = self._file.tell()
        _check_memo(self._file)
        self._file.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._admitted[module, name]
        except KeyError:
            raise RefusedError(
                f"{self._path} asks for {module}.{name}, which is not needed "
                "to rebuild arrays; nothing of the file was run. Expected "
                f"only {self.expected}. Do not use this file unless you know "
                f"who wrote it; {self.cure}."
            ) from None


def _check_memo(file: BinaryIO) -> None:
    """Refuses an index of the memo beyond the number of its entries.

    The unpickler's memo is an array as long as the largest index: seven bytes
    could take gigabytes.

    Raises:
        ValueError: there is one.
    """
    count = 0
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            count += 1
            if argument > count + _MEMO_GAPS:
                raise ValueError(f"entry {count} of the memo is {argument}")


class _Recorded:
    """Any object whose state is a dict of attributes."""


class _Array:
    """numpy's reconstruction of an array: its state holds the content."""

    def __init__(self, *_):
        self.state = None

    def __setstate__(self, state):
        _, self.shape, self.dtype, self.is_fortran, self.data = state


class _Buffer(_Array):
    """The form of protocol 5."""

    def __init__(self, data, dtype, shape, order):
        self.data, self.dtype, self.shape = data, dtype, shape
        self.is_fortran = order == "F"


class _Scalar:
    def __init__(self, dtype, data):
        self.dtype, self.data = dtype, data


class _Dtype:
    """numpy.dtype: a code such as f8; its state holds the byte order."""

    def __init__(self, code, *_):
        self.code, self.order = code, "="

    def __setstate__(self, state):
        self.order = state[1]


class _Csc(_Recorded):
    """scipy.sparse.csc_matrix."""


class _Csr(_Recorded):
    """scipy.sparse.csr_matrix."""


class _Coo(_Recorded):
    """scipy.sparse.coo_matrix."""


class _Chumpy(_Recorded):
    """chumpy.Ch: its value is the attribute `x`."""


class _Select(_Recorded):
    """chumpy's Select: a[idxs] in `preferred_shape`."""


class _Rebuild:
    """copyreg._reconstructor, for recorded objects only."""

    def __new__(cls, kind, base, state):
        if not issubclass(kind, _Recorded) or base is not object:
            raise ValueError(f"cannot rebuild {kind.__name__} on {base}")
        return object.__new__(kind)


class _Encode:
    """_codecs.encode: Python 3 writes bytes as latin1 text in protocol 2."""

    def __new__(cls, text, encoding):
        if encoding != "latin1":
            raise ValueError(f"bytes are encoded as {encoding}, not latin1")
        return text.encode("latin1")


def _stand_ins() -> dict[tuple[str, str], type]:
    table: dict[tuple[str, str], type] = {
        ("numpy", "ndarray"): _Recorded,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _Encode,
        ("copy_reg", "_reconstructor"): _Rebuild,
        ("copyreg", "_reconstructor"): _Rebuild,
        ("chumpy", "Ch"): _Chumpy,
        ("chumpy.ch", "Ch"): _Chumpy,
        ("chumpy.reordering", "Select"): _Select,
    }
    for core in ("numpy.core", "numpy._core"):  # renamed by numpy 2
        table[f"{core}.multiarray", "_reconstruct"] = _Array
        table[f"{core}.multiarray", "scalar"] = _Scalar
        table[f"{core}.numeric", "_frombuffer"] = _Buffer
    for kind, base in (("csc", _Csc), ("csr", _Csr), ("coo", _Coo)):
        for module in ("", f".{kind}", f"._{kind}"):  # renamed by scipy 1.8
            table[f"scipy.sparse{module}", f"{kind}_matrix"] = base
    return table


_STAND_INS = _stand_ins()
_RECORDS = (_Array, _Scalar, _Chumpy, _Select, _Csc, _Csr, _Coo)
# Types without side effects that cannot be altered; `__builtin__` is what
# Python 2 called `builtins`.
_HARMLESS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
}


# Room for writers that do not number the entries of the memo one by one.
_MEMO_GAPS = 2**16
# Most numbers of an array that a file may ask for without storing them: a
# matrix over all pairs of SMPL's 6890 vertices has fewer.
_MAX_NUMBERS = 2**26


class _Converter:
    """Converts records to the arrays they describe; keeps other values.

    Each object is converted once: a pickle of a few hundred bytes can hold
    lists that share their entries so often that copies would fill any memory.
    The size of an expanded container is bounded, too, because numpy expands it.
    """

    def __init__(self):
        self._done: dict[int, Any] = {}  # By the id of the record.
        self._begun: set[int] = set()
        self._sizes: dict[int, int] = {}  # By the id of the result.

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, (*_RECORDS, dict, list, tuple)):
            return value
        key = id(value)
        if key in self._begun:
            raise ValueError("a container holds itself")
        if key not in self._done:
            self._begun.add(key)
            self._done[key] = self._checked(self._convert(value))
            self._begun.remove(key)
        return self._done[key]

    def _convert(self, value: Any) -> Any:
        if isinstance(value, _Array):
            if isinstance(value.data, list):  # an array of objects
                return self(value.data)
            return _array(value)
        if isinstance(value, _Scalar):
            return np.frombuffer(_bytes(value.data), _dtype(value.dtype))[0]
        if isinstance(value, dict):
            return {self(key): self(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self(entry) for entry in value)
        state = {name: self(entry) for name, entry in vars(value).items()}
        if isinstance(value, _Chumpy):
            return np.asarray(state["x"])
        if isinstance(value, _Select):
            picked = np.ravel(state["a"])[np.asarray(state["idxs"])]
            return picked.reshape(state.get("preferred_shape", picked.shape))
        return _sparse(type(value), state)

    def _checked(self, plain: Any) -> Any:
        """Refuses a container whose expansion would fill the memory."""
        entries = plain.values() if isinstance(plain, dict) else plain
        if isinstance(plain, (dict, list, tuple)):
            size = 1 + sum(map(self._size, entries))
            if size > _MAX_NUMBERS:
                raise ValueError(
                    f"a container amounts to {size} values, expected at most "
                    f"{_MAX_NUMBERS}"
                )
            self._sizes[id(plain)] = size
        return plain

    def _size(self, plain: Any) -> int:
        if isinstance(plain, np.ndarray):
            return plain.size
        return self._sizes.get(id(plain), 1)


def _array(record: _Array) -> np.ndarray:
    flat = np.frombuffer(_bytes(record.data), _dtype(record.dtype))
    order = "F" if record.is_fortran else "C"
    return flat.reshape(record.shape, order=order).copy()


def _dtype(record: _Dtype) -> np.dtype:
    """Builds dtypes of numbers, booleans and text, never of object pointers."""
    if not re.fullmatch(r"[biufcSUV]\d+", record.code):
        raise ValueError(f"an array has the dtype {record.code!r}")
    if record.order not in ("<", ">", "=", "|"):
        raise ValueError(f"an array has the byte order {record.order!r}")
    return np.dtype(record.code).newbyteorder(record.order)


def _bytes(data: Any) -> bytes:
    return data.encode("latin1") if isinstance(data, str) else data


def _sparse(kind: type, state: dict[str, Any]) -> Any:
    # `_shape` in every scipy that wrote an SMPL file, `shape` before.
    shape = state["_shape"] if "_shape" in state else state["shape"]
    rows, columns = map(operator.index, shape)
    if rows * columns > _MAX_NUMBERS:
        raise ValueError(
            f"a sparse matrix has the shape {(rows, columns)}, expected at "
            f"most {_MAX_NUMBERS} entries"
        )
    if issubclass(kind, _Coo):
        coordinates = state.get("coords") or (state["row"], state["col"])
        return scipy.sparse.coo_matrix(
            (state["data"], coordinates), shape=(rows, columns)
        )
    make = (
        scipy.sparse.csc_matrix
        if issubclass(kind, _Csc)
        else scipy.sparse.csr_matrix
    )
    parts = (state["data"], state["indices"], state["indptr"])
    matrix = make(parts, shape=(rows, columns))
    # The constructor does not look at the indices, and toarray() writes
    # wherever they point, outside the array too.
    matrix.check_format(full_check=True)
    return matrix
