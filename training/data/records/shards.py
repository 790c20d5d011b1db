"""Reads records by their number, and finds truncated shards."""

import dataclasses
import logging
import os
import pathlib
import threading
import weakref
import zlib

import numpy as np

from tf_hmr.formats import system_limits
from training.data.records import callback_errors, records_folder, shard_index

_log = logging.getLogger(__name__)


class DamagedRecord(ValueError):
    """A stored record whose checksum does not match its bytes."""


class RecordsGoneError(callback_errors.CallbackError, FileNotFoundError):
    """A shard that existed when the run began can no longer be read."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records.

    Attributes:
        path: the file.
        ends: (n,) end of each of its whole records, in bytes.
        checksums: (n,) crc32 of each.
    """

    path: pathlib.Path
    ends: np.ndarray
    checksums: np.ndarray

    @property
    def count(self) -> int:
        """Number of whole records."""
        return len(self.ends)


def check_shards(folder: str | os.PathLike, split: str) -> list[Shard]:
    """Lists the shards of a split and finds truncated ones.

    A shard that ends within a record, or holds fewer than the report says, is
    named in the log and used up to its last whole record.

    Raises:
        FileNotFoundError: no folder, no report, no such split, or a shard
            that the report lists is missing.
        ValueError: the index of a shard is damaged.
    """
    folder = pathlib.Path(folder)
    report = records_folder.read_report(folder)
    if split not in report["splits"]:
        raise FileNotFoundError(
            f"{folder} has no split {split!r}; it has "
            f"{sorted(report['splits'])}."
        )
    shards = []
    for number, count in enumerate(report["splits"][split]["shards"]):
        path = folder / f"{split}-{number:05d}.tfrecord"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is missing; report.json says that it holds {count} "
                "records. Restore it, or prepare the dataset again."
            )
        ends, checksums = shard_index.read(path, count)
        whole_count = np.searchsorted(ends, path.stat().st_size, "right")
        shards.append(Shard(path, ends[:whole_count], checksums[:whole_count]))
        if shards[-1].count != count:
            _log.warning(
                "%s is truncated: %d whole records of %d; the rest is not used",
                path,
                shards[-1].count,
                count,
            )
    return shards


class Records:
    """Random access to the records of one split, or to a part of its shards.

    Args:
        folder: a records folder.
        split: name of the split.
        shards: (k, n) takes every n-th shard, from the k-th.

    Raises:
        FileNotFoundError: see check_shards.
        ValueError: see check_shards, or `shards` selects nothing.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        split: str,
        shards: tuple[int, int] = (0, 1),
    ) -> None:
        all_shards = check_shards(folder, split)
        start, step = shards
        selected = all_shards[start::step] if 0 <= start < step else []
        if not sum(shard.count for shard in selected):
            raise ValueError(
                f"shards={shards} selects no record of {folder} {split!r}, "
                f"which has {len(all_shards)} shards. (k, n) needs 0 <= k < n "
                "and more than k shards: prepare it with a smaller shard size."
            )
        self.shards = selected
        self._starts = np.cumsum([0] + [shard.count for shard in selected])
        self._files: dict[int, _OpenFile] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> bytes:
        """Reads the serialized record `index` and verifies its checksum.

        Raises:
            DamagedRecord: the bytes on disk have changed.
            RecordsGoneError: the file cannot be opened or read.
        """
        number = int(np.searchsorted(self._starts, index, "right")) - 1
        shard, row = self.shards[number], index - int(self._starts[number])
        descriptor = self._descriptor(number)
        start = int(shard.ends[row - 1]) if row else 0
        length = int(shard.ends[row]) - start - shard_index.FRAMING
        # 12: the length and its checksum. pread has no file position, so
        # threads need no lock for it. The checksum is zlib's: no public
        # function computes that of TFRecords.
        try:
            serialized = os.pread(descriptor, length, start + 12)
        except OSError as error:
            raise _unreadable(shard.path, error) from error
        if zlib.crc32(serialized) != int(shard.checksums[row]):
            raise DamagedRecord(f"{shard.path} record {row}")
        return serialized

    def _descriptor(self, number: int) -> int:
        if number not in self._files:
            path = self.shards[number].path
            try:
                self._files[number] = _open(path)
            except OSError as error:
                raise _unreadable(path, error) from error
        return self._files[number].descriptor


class _OpenFile:
    """A file that is open for as long as anything refers to it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)


# All Records of a process share one descriptor of each file: TensorFlow frees
# the callbacks of a pipeline late or never, and the Records that they read.
_open_files: weakref.WeakValueDictionary[tuple[int, int], _OpenFile] = (
    weakref.WeakValueDictionary()
)
_opening = threading.Lock()


def _open(path: pathlib.Path) -> _OpenFile:
    with _opening:
        status = os.stat(path)
        # A file that was written anew has another number.
        key = status.st_dev, status.st_ino
        file = _open_files.get(key)
        if file is None:
            file = _open_files[key] = _OpenFile(path)
        return file


def _unreadable(path: pathlib.Path, error: OSError) -> RecordsGoneError:
    if system_limits.is_reached(error):
        return RecordsGoneError(
            f"{path} cannot be opened. {system_limits.CURE}"
        )
    return RecordsGoneError(
        f"{path} was there when this run began, and cannot be read now "
        f"({error.strerror}). Bring its folder back; the same command then "
        "continues from the last checkpoint."
    )
