"""Reading record folders: truncated files found, records by their number."""

import dataclasses
import logging
import os
import pathlib
import struct
import threading
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.lib.io import tf_record

from training.data import records

_log = logging.getLogger(__name__)


class DamagedRecord(ValueError):
    """A stored record whose checksum does not fit its bytes."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records; `offsets` (n,) are those of its whole records."""

    path: pathlib.Path
    offsets: np.ndarray

    @property
    def count(self) -> int:
        return len(self.offsets)


def check_shards(folder: str | os.PathLike, split: str) -> list[Shard]:
    """Lists the shards of a split and finds truncated ones.

    A shard that ends within a record, or holds fewer than the report says, is
    named in the log and used up to its last whole record.

    Raises:
        FileNotFoundError: no folder, no report, no such split, or a shard
            that the report lists is gone.
    """
    folder = pathlib.Path(folder)
    report = records.read_report(folder)
    if split not in report["splits"]:
        raise FileNotFoundError(
            f"{folder} has no split {split!r}; it has {sorted(report['splits'])}."
        )
    shards = []
    for number, count in enumerate(report["splits"][split]["shards"]):
        path = folder / f"{split}-{number:05d}.tfrecord"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is missing; report.json says that it holds {count} "
                "records. Restore it, or prepare the dataset again."
            )
        shards.append(Shard(path, _whole_records(path)))
        if shards[-1].count != count:
            _log.warning(
                "%s is truncated: %d whole records of %d; the rest is not used",
                path,
                shards[-1].count,
                count,
            )
    return shards


def _whole_records(path: pathlib.Path) -> np.ndarray:
    """Offsets of a TFRecord file's whole records.

    A record is its length (uint64), that length's checksum (4 bytes), the
    bytes, and their checksum (4 bytes): tensorflow/core/lib/io/record_writer.h.
    """
    size, offset, offsets = path.stat().st_size, 0, []
    with open(path, "rb", buffering=0) as file:
        while offset + 16 <= size:
            header = os.pread(file.fileno(), 8, offset)
            end = offset + 16 + struct.unpack("<Q", header)[0]
            if end > size:
                break
            offsets.append(offset)
            offset = end
    return np.array(offsets, np.int64)


class Records:
    """Random access to the records of one split, or to a part of its shards.

    Args:
        folder: a records folder.
        split: name of the split.
        shards: (k, n) takes every n-th shard, from the k-th.

    Raises:
        FileNotFoundError: see check_shards.
        ValueError: `shards` selects nothing.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        split: str,
        shards: tuple[int, int] = (0, 1),
    ) -> None:
        every = check_shards(folder, split)
        start, step = shards
        chosen = every[start::step] if 0 <= start < step else []
        if not sum(shard.count for shard in chosen):
            raise ValueError(
                f"shards={shards} selects no record of {folder} {split!r}, "
                f"which has {len(every)} shards. (k, n) needs 0 <= k < n and "
                "more than k shards: prepare it with a smaller shard size."
            )
        self.shards = chosen
        self._starts = np.cumsum([0] + [shard.count for shard in chosen])
        self._readers: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> bytes:
        """The serialized record `index`, checked against its checksum.

        Raises:
            DamagedRecord: the bytes on disk have changed.
        """
        number = int(np.searchsorted(self._starts, index, "right")) - 1
        shard = self.shards[number]
        offset = int(shard.offsets[index - self._starts[number]])
        # TensorFlow's own reader verifies the checksum in 4 us per record; it
        # has a file position, so threads take turns.
        with self._lock:
            if number not in self._readers:
                reader = tf_record.tf_record_random_reader(str(shard.path))
                self._readers[number] = reader
            try:
                return self._readers[number].read(offset)[0]
            except (tf.errors.DataLossError, IndexError) as error:
                raise DamagedRecord(
                    f"{shard.path}: the record at byte {offset} is damaged"
                ) from error
