"""Arrays as raw files, and the entries of a json that name them."""

import json
from pathlib import Path

import numpy as np

DTYPES = ("uint8", "int32", "float32", "float64")


class Folder:
    """Arrays in files of a folder, little-endian, in C order."""

    def __init__(self, path: Path):
        self.path = path
        self._count = 0

    def add(self, kind: str, values: np.ndarray) -> dict:
        """Writes an array; returns its entry.

        Args:
            kind: first word of the file's name.
            values: of one of DTYPES.
        """
        values = np.ascontiguousarray(values)
        if values.dtype.name not in DTYPES:
            raise TypeError(f"{kind}: {values.dtype} is none of {DTYPES}")
        name = f"{self._count:04}_{kind}.bin"
        self._count += 1
        values.astype(values.dtype.newbyteorder("<")).tofile(self.path / name)
        return {
            "file": name,
            "dtype": values.dtype.name,
            "shape": list(values.shape),
        }

    def add_all(self, arrays: dict[str, np.ndarray]) -> dict[str, dict]:
        """Writes arrays by name; returns their entries by name."""
        return {name: self.add(name, array) for name, array in arrays.items()}

    def finish(self, content) -> None:
        """Writes vectors.json."""
        text = json.dumps(content, indent=1, default=_plain)
        (self.path / "vectors.json").write_text(text, encoding="utf-8")


def load(path: Path):
    """The content of a folder's vectors.json; its arrays stay entries."""
    return json.loads((path / "vectors.json").read_text("utf-8"))


def read(path: Path, entry: dict) -> np.ndarray:
    """An array of a folder by its entry."""
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    return np.fromfile(path / entry["file"], dtype).reshape(entry["shape"])


def _plain(value):
    return value.tolist()
