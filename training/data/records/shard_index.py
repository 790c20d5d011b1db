"""Index of a shard, SHARD.index.npy: ends and checksums of its records."""

import pathlib

import numpy as np

from tf_hmr.formats import array_files

# A TFRecord puts a length of 8 bytes and that length's checksum of 4 before
# the bytes, and their checksum of 4 behind (tsl/lib/io/record_writer.h).
FRAMING = 16
_CURE = "Restore it from a backup, or prepare the dataset again."


def path_of(shard: pathlib.Path) -> pathlib.Path:
    """Path of a shard's index file."""
    return shard.with_suffix(".index.npy")


def read(shard: pathlib.Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads the ends in bytes and the crc32 of a shard's records.

    Args:
        shard: the `.tfrecord` file.
        count: number of records that the report lists for the shard.

    Returns:
        Two arrays (count,) int64.

    Raises:
        FileNotFoundError: the index is missing.
        ValueError: it is damaged or belongs to another shard.
    """
    path = path_of(shard)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: without it the records of {shard.name} "
            f"cannot be found. {_CURE}"
        )
    expected = f"the rising ends and checksums of {count} records, int64"
    index = array_files.read_npy(path, expected, _CURE)
    if index.shape != (count, 2) or index.dtype != np.int64:
        raise ValueError(
            f"{path} has shape {index.shape} and type {index.dtype}, expected "
            f"{expected}. {_CURE}"
        )
    ends, checksums = index.T
    wrong = np.diff(ends, prepend=0) < FRAMING
    wrong |= (checksums < 0) | (checksums >= 2**32)
    if wrong.any():
        raise ValueError(
            f"Row {int(wrong.argmax())} of {path} is {index[wrong][0]}, "
            f"expected {expected}. {_CURE}"
        )
    return ends, checksums
