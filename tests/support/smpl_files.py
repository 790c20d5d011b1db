"""Writes files in the forms in which SMPL's publishers ship theirs.

The numbers are the open body's: the forms are under test, and SMPL's own
numbers may not be shipped.
"""

import pickle
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from tf_hmr.body.data import BodyData


def arrays(data: BodyData) -> dict[str, Any]:
    """The dict of an official pickle, float64 as there."""
    blends = np.moveaxis(data.posedirs, 0, -1).astype(np.float64)
    return _without_blends(data) | {"posedirs": blends}


def _without_blends(data: BodyData) -> dict[str, Any]:
    parents = np.array(data.parents, np.int64)
    tree = np.stack([parents, np.arange(24)]).astype(np.uint32)
    return {
        "v_template": data.v_template.astype(np.float64),
        "shapedirs": data.shapedirs.astype(np.float64),
        "J_regressor": scipy.sparse.csc_matrix(
            data.J_regressor.astype(np.float64)
        ),
        "weights": data.weights.astype(np.float64),
        "kintree_table": tree,
        "f": data.faces.astype(np.uint32),
        "bs_style": "lbs",
        "pose_training_info": {"note": "none", "count": 1786},
    }


def light_arrays(data: BodyData) -> dict[str, Any]:
    """As `arrays`, with zeros, float32, for the pose blend shapes.

    They are most of a file; tests of the rest pickle and read it in a third of
    the time.
    """
    count, vertices, axes = data.posedirs.shape
    zeros = np.zeros((vertices, axes, count), np.float32)
    return _without_blends(data) | {"posedirs": zeros}


def _class_of(module: str, name: str) -> type:
    return type(name, (), {"__module__": module})


Ch = _class_of("chumpy.ch", "Ch")
Select = _class_of("chumpy.reordering", "Select")
OldCsc = _class_of("scipy.sparse.csc", "csc_matrix")


def pretend_old_modules(monkeypatch) -> None:
    """Makes the modules importable that SMPL's pickles name, to write them."""
    for kind in (Ch, Select, OldCsc):
        module = types.ModuleType(kind.__module__)
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, kind.__module__, module)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))


def _with_state(kind: type, **state: Any) -> Any:
    instance = kind()
    instance.__dict__ = state
    return instance


def old_csc(matrix: scipy.sparse.csc_matrix) -> Any:
    """The matrix as an object of the module name before scipy 1.8."""
    return _with_state(
        OldCsc,
        maxprint=50,
        data=matrix.data,
        indices=matrix.indices,
        indptr=matrix.indptr,
        _shape=matrix.shape,
    )


def chumpy(array: np.ndarray) -> Any:
    """A chumpy.Ch that holds `array`, with attributes that it pickles."""
    return _with_state(Ch, x=array, _dirty_vars={"x"}, _itr=None)


def chumpy_select(array: np.ndarray) -> Any:
    """A chumpy Select that is `array`, taken out of a longer Ch."""
    longer = np.concatenate([[-1.0], array.ravel(), [-2.0]])
    return _with_state(
        Select,
        a=chumpy(longer),
        idxs=np.arange(array.size) + 1,
        preferred_shape=array.shape,
    )


def write_pickle(path: Path, content: Any, protocol: int = 2) -> Path:
    """Pickles with the names that numpy had before version 2."""
    dumped = pickle.dumps(content, protocol)
    # Both names stand as text lines in protocols 0 to 3.
    dumped = dumped.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(dumped)
    return path


def python2_dict(key: str, array: np.ndarray) -> bytes:
    """{key: array} as Python 2 pickles it: byte strings, protocol 2."""
    data = array.astype("<f8").tobytes()
    shape = b"".join(b"J" + struct.pack("<i", size) for size in array.shape)
    return b"".join(
        [
            b"\x80\x02}",
            b"U" + bytes([len(key)]) + key.encode(),
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"cnumpy\nndarray\n(K\x00tU\x01b\x87R",
            b"(K\x01(" + shape + b"t",
            b"cnumpy\ndtype\n(U\x02f8K\x00K\x01tR",
            b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<i", len(data)) + data,
            b"tbs.",
        ]
    )
