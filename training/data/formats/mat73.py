"""Reads Matlab files of version 7.3, which are HDF5, into numpy.

Axes are reversed: Matlab's (3, 17, 1, N) is stored as (N, 1, 17, 3). Only
numbers and cells of numbers are read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tf_hmr.formats import hdf5_files, system_limits


def array(path: Path, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Reads one variable, in the file's order of axes.

    Args:
        path: of the file.
        name: of the variable.
        shape: expected; None for any length.

    Raises:
        ValueError: the file is damaged, lacks the variable, or holds it in
            another shape.
    """
    try:
        with hdf5_files.open_file(path) as file:
            variable = hdf5_files.read(file, file[name]).astype(np.float64)
    except hdf5_files.DAMAGE as error:
        raise _damaged(path, f"the variable {name!r}", error) from error
    has_shape = len(shape) == variable.ndim and all(
        expected in (None, length)
        for expected, length in zip(shape, variable.shape, strict=True)
    )
    if not has_shape:
        raise ValueError(
            f"{path}: {name} has the shape {variable.shape}, expected {shape}, "
            "None for any length. Fetch the file again."
        )
    return variable


def cells(
    path: Path, name: str, rows: Sequence[int]
) -> Iterator[np.ndarray | None]:
    """Reads entries of a column of cells, with the axes as in Matlab.

    Args:
        path: of the file.
        name: of the variable, cells (N, 1).
        rows: numbers of the entries, from 0.

    Yields:
        The array of each row; None for a row beyond the last.

    Raises:
        ValueError: the file is damaged or has no such cells.
    """
    try:
        with hdf5_files.open_file(path) as file:
            references = hdf5_files.read(file, file[name]).reshape(-1)
            for row in rows:
                if row >= len(references):
                    yield None
                else:
                    yield hdf5_files.read(file, file[references[row]]).T
    except hdf5_files.DAMAGE as error:
        raise _damaged(path, f"cells {name!r}", error) from error


def _damaged(path: Path, content: str, error: Exception) -> ValueError:
    system_limits.check(error, path)
    return ValueError(
        f"{path} could not be read as a Matlab 7.3 file with {content} "
        f"({error}). It may be damaged; fetch it again."
    )
