"""Writes files as torch.save does, without PyTorch.

pytorch/pytorch: torch/serialization.py _save and _legacy_save. The pickles
name PyTorch's functions and classes; modules of these names stand in for it
while they are written.
"""

import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

TYPES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


class Storage(NamedTuple):
    """The numbers of a tensor, (n,), and their key in the file."""

    values: np.ndarray
    key: str
    count: int
    view: Any = None


class Tensor:
    """Pickles as a torch.Tensor; `stated` overrides what the file says."""

    def __init__(self, array: Any, key: int, **stated: Any):
        array = np.array(array, order="C")
        strides = [step // array.itemsize for step in array.strides]
        self.stated = {
            "offset": 0,
            "shape": array.shape,
            "strides": tuple(strides),
        } | stated
        count = stated.get("count", array.size)
        view = stated.get("view")
        self.storage = Storage(array.reshape(-1), str(key), count, view)

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        values = (self.stated[k] for k in ("offset", "shape", "strides"))
        return rebuild, (self.storage, *values, False, OrderedDict())


def tensors(arrays: dict[str, Any]) -> OrderedDict:
    """A state_dict."""
    return OrderedDict(
        (name, Tensor(array, key))
        for key, (name, array) in enumerate(arrays.items())
    )


def write_zip(path: Path, content: Any, compression=zipfile.ZIP_STORED) -> None:
    """The layout since PyTorch 1.6."""
    data, storages = _pickled(content, with_view=False)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", b"little")
        for storage in storages.values():
            values = storage.values.tobytes()
            archive.writestr(f"archive/data/{storage.key}", values)
        archive.writestr("archive/version", b"3\n")


def write_pickles(path: Path, content: Any) -> None:
    """The layout before PyTorch 1.6."""
    data, storages = _pickled(content, with_view=True)
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, info):
            pickle.dump(value, file, protocol=2)
        file.write(data)
        pickle.dump(sorted(storages), file, protocol=2)
        for key in sorted(storages):
            file.write(struct.pack("<q", storages[key].count))
            file.write(storages[key].values.tobytes())


def _pickled(content, with_view: bool) -> tuple[bytes, dict[str, Storage]]:
    storages: dict[str, Storage] = {}
    buffer = io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            storages[value.key] = value
            kind = TYPES[value.values.dtype.name]
            kind = getattr(sys.modules["torch"], kind)
            storage = ("storage", kind, value.key, "cuda:0", value.count)
            return (*storage, value.view) if with_view else storage

    with _stand_ins():
        Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue(), storages


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in TYPES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild(*_):
        raise AssertionError("only its name is written")

    rebuild.__module__ = "torch._utils"
    rebuild.__qualname__ = rebuild.__name__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    torch._utils = utils
    fakes = {"torch": torch, "torch._utils": utils}
    with mock.patch.dict(sys.modules, fakes):
        yield
