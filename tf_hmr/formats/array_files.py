"""Reads files of plain numpy arrays; all damage ends in one clear error.

A damaged file makes numpy, zipfile and zlib raise a dozen kinds of errors,
few of which name the file.
"""

from pathlib import Path

import numpy as np

from tf_hmr.formats import system_limits


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
    array = _load(path, expected, cure)
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"{path} is an archive of arrays, an .npz whatever its name; "
            f"expected {expected}. {cure}"
        )
    return array


def read_npz(path: Path, expected: str, cure: str) -> dict[str, np.ndarray]:
    """Reads all arrays of an `.npz` file by name; arguments as `read_npy`.

    Raises:
        FileNotFoundError: there is none; OSError: it cannot be opened.
        ValueError: it does not hold plain arrays.
    """
    arrays = _load(path, expected, cure)
    if not isinstance(arrays, dict):
        raise ValueError(
            f"{path} is a single array, an .npy whatever its name; expected "
            f"{expected}. {cure}"
        )
    return arrays


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
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            with content:
                return {name: content[name] for name in content.files}
        except Exception as error:  # see the module's docstring
            system_limits.check(error, path)
            raise ValueError(
                f"{path} could not be read as plain arrays ({error!r}); it "
                f"may be damaged or hold pickled objects. Expected "
                f"{expected}. {cure}"
            ) from error
