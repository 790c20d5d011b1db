"""Reads files of plain numpy arrays; all damage ends in one clear error.

A damaged file makes numpy, zipfile and zlib raise a dozen kinds of errors,
few of which name the file.
"""

from pathlib import Path

import numpy as np


def read_npy(path: Path, expected: str, cure: str) -> np.ndarray:
    """The array of an `.npy` file.

    Args:
        path: the file.
        expected: what it should hold, for the message.
        cure: what to do about a file that does not, a sentence.

    Raises:
        FileNotFoundError: there is none; OSError: it cannot be opened.
        ValueError: it holds no plain array.
    """
    found = _load(path, expected, cure)
    if not isinstance(found, np.ndarray):
        raise ValueError(
            f"{path} is an archive of arrays, an .npz whatever its name; "
            f"expected {expected}. {cure}"
        )
    return found


def read_npz(path: Path, expected: str, cure: str) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file by name; arguments as `read_npy`.

    Raises:
        FileNotFoundError: there is none; OSError: it cannot be opened.
        ValueError: it holds something else than plain arrays.
    """
    found = _load(path, expected, cure)
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} is a single array, an .npy whatever its name; expected "
            f"{expected}. {cure}"
        )
    return found


def _load(
    path: Path, expected: str, cure: str
) -> np.ndarray | dict[str, np.ndarray]:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there; expected {expected}. {cure}"
        )
    with path.open("rb") as file:
        try:
            # Plain arrays only: allow_pickle would let a file run code.
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            with found:
                return {name: found[name] for name in found.files}
        except Exception as error:  # see the module's docstring
            raise ValueError(
                f"{path} could not be read as plain arrays ({error!r}); it "
                f"may be damaged or hold pickled objects. Expected "
                f"{expected}. {cure}"
            ) from error
