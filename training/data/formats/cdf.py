"""Reads Human3.6M's files of positions: CDF, NASA's format of space physics.

The variable `Pose` holds one record, (frames, points times axes) numbers
(nkolot/SPIN: datasets/preprocess/h36m.py).
"""

import math
from pathlib import Path

import numpy as np

from tf_hmr.formats import system_limits
from training.data.formats import requirements

_MAX_ENTRIES = 10_000
_MAX_EXPANSION = 1032 // 4  # numbers of a byte: zlib makes 1032 bytes of one
_CURE = "Fetch it again from http://vision.imar.ro/human3.6m."


def count(path: Path) -> int:
    """Counts the frames of a file of positions without reading its numbers.

    Raises:
        ValueError: the file is damaged or holds no `Pose`.
    """
    file = _open(path)
    try:
        return int(file.varinq("Pose").Dim_Sizes[0])
    except Exception as error:  # a damaged file raises almost anything
        raise _damaged(path, error) from error


def positions(path: Path, points: int, axes: int) -> np.ndarray:
    """Reads a file of positions, (frames, points, axes) float64.

    Raises:
        ValueError: the file is damaged or of another shape.
    """
    file = _open(path)
    try:
        _check_size(path, file.varinq("Pose"))
        pose = np.asarray(file.varget("Pose"), np.float64)
    except Exception as error:
        raise _damaged(path, error) from error
    if pose.ndim != 3 or len(pose) != 1 or pose.shape[2] != points * axes:
        raise ValueError(
            f"{path}: Pose has the shape {pose.shape}, expected (1, frames, "
            f"{points * axes}): {points} points of {axes} numbers. {_CURE}"
        )
    return pose.reshape(-1, points, axes)


def _open(path: Path):
    cdflib = requirements.library("cdflib")

    class Bounded(cdflib.CDF):
        """Raises at damaged counts, where cdflib 1.3 would loop for minutes."""

        def _read_gdr(self, byte_loc):
            # Variables of two kinds, attributes, dimensions.
            _check_counts(self._f, byte_loc, (44, 48, 56, 60))
            return super()._read_gdr(byte_loc)

        def _read_vdr3(self, byte_loc):
            _check_counts(self._f, byte_loc, (24, 340))  # records, dimensions
            return super()._read_vdr3(byte_loc)

        def _read_vxrs(self, byte_loc, *args, **kwargs):
            _check_counts(self._f, byte_loc, (20, 24))  # entries, used ones
            return super()._read_vxrs(byte_loc, *args, **kwargs)

    try:
        return Bounded(path)
    except Exception as error:
        raise _damaged(path, error) from error


def _check_counts(file, start: int, offsets: tuple[int, ...]) -> None:
    """Refuses a record whose counts are absurd (CDF Internal Format, 2)."""
    for offset in offsets:
        file.seek(start + offset)
        count = int.from_bytes(file.read(4), "big", signed=True)
        if not -1 <= count <= _MAX_ENTRIES:  # -1: a variable without records
            raise ValueError(f"a count of {count} at byte {start + offset}")


def _check_size(path: Path, variable) -> None:
    """Refuses sizes for which the file has too few bytes, packed or not."""
    sizes = [*map(int, variable.Dim_Sizes), int(variable.Last_Rec) + 1]
    if math.prod(sizes) > _MAX_EXPANSION * path.stat().st_size:
        raise ValueError(f"an array of the sizes {sizes}")


def _damaged(path: Path, error: Exception) -> ValueError:
    system_limits.check(error, path)
    return ValueError(
        f"{path} could not be read as a CDF file with the variable Pose "
        f"({error!r}). {_CURE}"
    )
