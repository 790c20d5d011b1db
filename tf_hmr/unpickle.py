"""Reads pickles of arrays without letting them run anything.

Official SMPL files are pickles of Python 2: numpy arrays, scipy sparse
matrices and chumpy objects. A pickle may name any function to call, so only
the (module, name) pairs below are admitted; never a whole module, because a
module such as numpy holds functions that run code
(numpy.testing.runstring). Everything that is implemented in Python is
replaced by a stand-in made for one load, so a file cannot alter a class that
the process goes on using.

The names that appear in SMPL's pickles:
isarandi/smplfitter: src/smplfitter/common.py.
"""

import codecs
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

_SPARSE = {
    "csc_matrix": (scipy.sparse.csc_matrix, "csc"),
    "csr_matrix": (scipy.sparse.csr_matrix, "csr"),
    "coo_matrix": (scipy.sparse.coo_matrix, "coo"),
}
# numpy 2 renamed the package that holds its own reconstruction functions.
_NUMPY_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")


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
            a callable that is not admitted. That callable is named, and
            neither it nor anything else has been run.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            content = _ArrayUnpickler(file, path).load()
        except _Refused:
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
    return {_text(key): _plain(value) for key, value in content.items()}


class _Refused(ValueError):
    """The pickle names a callable that is not on the list."""


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, file, path: Path):
        # latin1 maps Python 2's byte strings to str without loss.
        super().__init__(file, encoding="latin1")
        self._path = path
        self._admitted = _admitted()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._admitted[module, name]
        except KeyError:
            raise _Refused(
                f"{self._path} asks to call {module}.{name}, which is not "
                "needed to rebuild arrays; nothing of the file was run. "
                "Expected a file of numpy arrays, scipy matrices and chumpy "
                "objects. Do not use this file unless you know who wrote it; "
                "a body of your own can be stored with BodyData.save."
            ) from None


class _Sparse:
    """State of a pickled scipy matrix."""


class _Chumpy:
    """State of a pickled chumpy.Ch: its value is the attribute `x`."""


class _Select(_Chumpy):
    """State of a pickled chumpy Select: a[idxs] in `preferred_shape`."""


def _admitted() -> dict[tuple[str, str], Any]:
    """The table of one load: fresh classes, C functions, own functions."""
    table: dict[tuple[str, str], Any] = {}
    for core in _NUMPY_CORES:
        table[core, "_reconstruct"] = np.ndarray(0).__reduce__()[0]
        table[core, "scalar"] = np.float64(0).__reduce__()[0]
    table["numpy", "ndarray"] = np.ndarray
    table["numpy", "dtype"] = np.dtype
    table["_codecs", "encode"] = _encode
    table["collections", "OrderedDict"] = OrderedDict
    for copyreg in ("copy_reg", "copyreg"):
        table[copyreg, "_reconstructor"] = _reconstructor()
    for builtins in ("__builtin__", "builtins"):
        table[builtins, "object"] = object
        table[builtins, "set"] = set
    for name, (_, kind) in _SPARSE.items():
        stand_in = type(name, (_Sparse,), {"kind": name})
        for module in ("", f".{kind}", f"._{kind}"):
            table[f"scipy.sparse{module}", name] = stand_in
    table["chumpy.ch", "Ch"] = table["chumpy", "Ch"] = type(
        "Ch", (_Chumpy,), {}
    )
    table["chumpy.reordering", "Select"] = type("Select", (_Select,), {})
    return table


def _reconstructor() -> Callable:
    def reconstruct(cls: type, base: type, state: Any) -> Any:
        if not issubclass(cls, (_Sparse, _Chumpy)) or base is not object:
            raise ValueError(f"cannot rebuild {cls} on {base}")
        return object.__new__(cls)

    return reconstruct


def _encode(text: str, encoding: str) -> bytes:
    """Python 3 stores bytes for protocol 2 as text in latin1."""
    if codecs.lookup(encoding).name != "iso8859-1":
        raise ValueError(f"bytes are encoded as {encoding}, not latin1")
    return text.encode("latin1")


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _plain(value: Any) -> Any:
    """The array or matrix that a stand-in describes; others unchanged."""
    if isinstance(value, _Select):
        state = vars(value)
        picked = np.ravel(_plain(state["a"]))[np.asarray(state["idxs"])]
        return picked.reshape(state.get("preferred_shape", picked.shape))
    if isinstance(value, _Chumpy):
        return np.asarray(_plain(vars(value)["x"]))
    if isinstance(value, _Sparse):
        return _sparse(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value


def _sparse(value: _Sparse) -> Any:
    state = vars(value)
    matrix, _ = _SPARSE[value.kind]
    # scipy names the shape `_shape` in every version that SMPL files have.
    shape = tuple(state["_shape"] if "_shape" in state else state["shape"])
    if value.kind == "coo_matrix":
        rows, columns = state.get("coords") or (state["row"], state["col"])
        return matrix((state["data"], (rows, columns)), shape=shape)
    parts = (state["data"], state["indices"], state["indptr"])
    return matrix(parts, shape=shape)
