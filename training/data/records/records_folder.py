"""Writes a records folder, its shards and its report; reads the report.

The folder holds `SPLIT-00000.tfrecord`, ..., the end and the checksum of their
records in `SPLIT-00000.index.npy`, ..., a `report.json` that lists the
contents, and, where there are unpaired poses, mocap.py's file.
"""

import contextlib
import json
import logging
import os
import pathlib
import zlib

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import atomic, folder_lock, json_files
from training.data.records import schema, shard_index

_log = logging.getLogger(__name__)


class Writer:
    """Writes one split of a records folder, shard by shard.

    A shard gets its name only when it is complete (written under another name,
    then renamed), and report.json is written last: a killed run leaves no
    partial file that a reader could take for a complete one. Shards of an
    unfinished earlier run are removed, except the first `keep` as far as they
    are complete: `counts` starts with those, and writing continues after
    them. A finished split is never overwritten.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        split: str,
        shard_size: int = 1000,
        keep: int = 0,
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.split = split
        self.shard_size = shard_size
        self.counts: list[int] = []
        self._file, self._dataset, self._topology = None, "", ""
        self._index: list[tuple[int, int]] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        started = (self.folder / "report.json").exists()
        self._report = read_report(self.folder) if started else {}
        if split in self._report.get("splits", {}):
            raise FileExistsError(
                f"{self.folder} already holds a finished split {split!r}. "
                "Delete the folder, or write to another one."
            )
        while len(self.counts) < keep and self._is_whole(self._shard()):
            self._dataset, self._topology = self._origin()
            self.counts.append(shard_size)
        for file in self.folder.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].*"):
            if int(file.name.removeprefix(f"{split}-")[:5]) >= len(self.counts):
                _log.warning("removing %s of an unfinished run", file)
                file.unlink()

    def write(self, example: schema.Example) -> None:
        """Encodes and appends one example.

        Raises:
            ValueError: the example is bad (see check), or belongs to another
                body than the ones before it.
        """
        serialized = schema.encode(example)
        self._dataset = self._dataset or example.dataset
        expected = self._topology or self._report.get("topology", "")
        if expected and example.topology not in ("", expected):
            raise ValueError(
                f"{self.folder} holds labels of the body {expected!r}; example "
                f"{example.example_id!r} has {example.topology!r}. One folder "
                "holds one body."
            )
        self._topology = expected or example.topology
        if self._file is None:
            import tensorflow as tf

            self._file = tf.io.TFRecordWriter(f"{self._shard()}.tmp")
            self.counts.append(0)
        start = self._index[-1][0] if self._index else 0
        end = start + shard_index.FRAMING + len(serialized)
        self._index.append((end, zlib.crc32(serialized)))
        self._file.write(serialized)
        self.counts[-1] += 1
        if self.counts[-1] == self.shard_size:
            self._close()

    def finish(
        self,
        seed: int | None = None,
        command: str = "",
        facts: dict | None = None,
    ) -> dict:
        """Closes the last shard, writes report.json and returns it.

        Args:
            seed: seed of the examples, if any.
            command: command line that makes the same records.
            facts: further entries of the report about this split.
        """
        self._close()
        if not self.counts:
            raise ValueError(f"No example was written to {self.folder}.")
        split = {"count": sum(self.counts), "shards": self.counts}
        split |= {"seed": seed, "command": command, **(facts or {})}
        report = {
            "schema": schema.SCHEMA,
            "dataset": self._dataset,
            "topology": self._topology or self._report.get("topology", ""),
            "joint_names": list(joints.KEYPOINTS),
            "splits": self._report.get("splits", {}) | {self.split: split},
        }
        with atomic.replacing(self.folder / "report.json") as part:
            part.write_text(json.dumps(report, indent=1) + "\n")
        return report

    def _is_whole(self, shard: pathlib.Path) -> bool:
        if not shard.exists():
            return False
        try:
            ends, _ = shard_index.read(shard, self.shard_size)
        except (FileNotFoundError, ValueError):
            return False
        return int(ends[-1]) == shard.stat().st_size

    def _origin(self) -> tuple[str, str]:
        """Dataset and topology of the first record of a whole shard."""
        shard = self._shard()
        ends, _ = shard_index.read(shard, self.shard_size)
        with open(shard, "rb") as file:
            example = schema.decode(
                file.read(int(ends[0]))[shard_index.FRAMING - 4 : -4]
            )
        return example.dataset, example.topology

    def _shard(self) -> pathlib.Path:
        number = len(self.counts) - (self._file is not None)
        return self.folder / f"{self.split}-{number:05d}.tfrecord"

    def _close(self) -> None:
        if self._file is not None:
            path = self._shard()
            self._file.close()
            index = np.array(self._index, np.int64)
            np.save(shard_index.path_of(path), index)
            atomic.sync(shard_index.path_of(path))
            atomic.rename(f"{path}.tmp", path)
            self._file, self._index = None, []


def locked(folder: pathlib.Path) -> contextlib.AbstractContextManager:
    """Makes a records folder and locks it while this process writes to it.

    Raises:
        ValueError: another process writes to it.
    """
    return folder_lock.locked(folder, "writes records to", "--out")


def made_by(folder: str | os.PathLike, split: str) -> dict[str, str]:
    """Reader and rules that made a split, as its stored options say.

    Returns:
        "dataset", the reader's name, and "rules" where it has several; {} for
        records without stored options.

    Raises:
        ValueError: the stored options are damaged.
    """
    path = pathlib.Path(folder) / f"{split}.options.json"
    if not path.is_file():
        return {}
    try:
        options = dict(json_files.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}), expected the options that "
            f"{folder} was made with. Delete the folder and make it again."
        ) from error
    return {
        name: str(options[name])
        for name in ("dataset", "rules")
        if name in options
    }


def read_report(folder: str | os.PathLike) -> dict:
    """Reads the report.json of a records folder.

    Raises:
        FileNotFoundError: no folder, or records that were never finished.
        ValueError: records of another version, or a damaged report.
    """
    folder = pathlib.Path(folder)
    path = folder / "report.json"
    cure = f"python -m training.prepare {folder.name} ... --out {folder}"
    if not path.exists():
        problem = "does not exist"
        if folder.is_dir():
            problem = "has no report.json, so its preparation was not finished"
        raise FileNotFoundError(
            f"No records of the dataset {folder.name!r}: {folder} {problem}. "
            f"Make them with: {cure}"
        )
    try:
        report = dict(json_files.read(path))
        for split in dict(report.get("splits", {})).values():
            sum(split["shards"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is damaged ({error}), expected the report of a finished "
            f"preparation. Delete the folder and make it again: {cure}"
        ) from error
    expected = {"schema": schema.SCHEMA, "joint_names": list(joints.KEYPOINTS)}
    for key, value in expected.items():
        if report.get(key) != value:
            raise ValueError(
                f"{path} was written by another version: {key} is "
                f"{report.get(key)}, expected {value}. Delete the folder "
                f"and make it again: {cure}"
            )
    if "splits" not in report:
        raise ValueError(
            f"{path} is damaged: it lists no splits. Delete the folder and "
            f"make it again: {cure}"
        )
    return report
