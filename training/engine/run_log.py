"""The log of a run: metrics.jsonl and TensorBoard, cut at a restore.

A run that is killed and started again continues from its checkpoint; lines
and events after that step are dropped, so that the log reads as if the run
had never stopped.
"""

import json
import logging
import numbers
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from tf_hmr.formats import atomic, json_files
from training.data.formats import tf_examples

METRICS_FILE = "metrics.jsonl"
EVENTS_FOLDER = "tensorboard"
_EXPECTED = "an object of a step, a kind and numbers"
_log = logging.getLogger(__name__)


class RunLog:
    """Appends one JSON line and TensorBoard events per logged step."""

    def __init__(self, workdir: Path, step: int):
        """Drops the lines and events after `step`, and opens for appending.

        Damaged lines are dropped too, and named.
        """
        workdir.mkdir(parents=True, exist_ok=True)
        self.damaged = bool(cut_metrics(workdir / METRICS_FILE, step))
        cut_events(workdir / EVENTS_FOLDER, step)
        # Line by line, so that a killed run loses none.
        self._lines = open(
            workdir / METRICS_FILE, "a", buffering=1, encoding="utf-8"
        )
        self._events = tf.summary.create_file_writer(
            str(workdir / EVENTS_FOLDER)
        )

    def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Writes values as one line and as scalars named kind/name."""
        line = {"step": step, "kind": kind, **values}
        self._lines.write(json.dumps(line) + "\n")
        with self._events.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(f"{kind}/{name}", value)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes an (H, W, 3) uint8 RGB image to TensorBoard."""
        with self._events.as_default(step=step):
            tf.summary.image(name, image[None])
        self._events.flush()

    def flush(self) -> None:
        """Puts everything on disk; call before a checkpoint is saved."""
        self._lines.flush()
        os.fsync(self._lines.fileno())
        self._events.flush()

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        self._events.close()


class NullRunLog(RunLog):
    """No-op log of the workers that are not the chief."""

    def __init__(self, workdir: Path, step: int):
        """Opens nothing: the files are the chief's."""
        self.damaged = False

    def scalars(self, step, kind, values):
        """Nothing."""

    def image(self, step, name, image):
        """Nothing."""

    def flush(self):
        """Nothing."""

    def close(self):
        """Nothing."""


class Mean(tf.train.experimental.PythonState):
    """Means over the steps since the last line; part of a checkpoint.

    So a run that is stopped between two lines writes the second one as if it
    had not been.
    """

    def __init__(self):
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Starts the next means."""
        self.sums: dict[str, float] = {}
        self.count = 0
        self.seconds = 0.0

    def add(self, values: dict[str, float]) -> None:
        """Adds the values of one step."""
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.count += 1

    def means(self) -> dict[str, float]:
        """Means by name."""
        return {key: value / self.count for key, value in self.sums.items()}

    def serialize(self) -> str:
        """Text for TensorFlow's checkpoints."""
        return json.dumps([self.sums, self.count, self.seconds])

    def deserialize(self, text: str | bytes) -> None:
        """The inverse of `serialize`."""
        self.sums, self.count, self.seconds = json.loads(text)


def read_metrics(path: Path, kind: str | None = None) -> list[dict]:
    """Reads the lines of a metrics.jsonl.

    Damaged lines, such as the last one of a killed writer, are named in the
    log and left out.

    Args:
        path: of the file; there may be none.
        kind: the kind of the lines to return; None: all.
    """
    lines, _ = _read(path)
    return [line for line in lines if kind in (None, line["kind"])]


def cut_metrics(path: Path, step: int) -> int:
    """Drops the lines after `step` and damaged ones; counts the latter."""
    if not path.exists():
        return 0
    lines, damaged = _read(path)
    texts = [json.dumps(line) for line in lines if line["step"] <= step]
    with atomic.replacing(path) as part:
        part.write_text("".join(text + "\n" for text in texts))
    return damaged


def _read(path: Path) -> tuple[list[dict], int]:
    """The whole lines of a file, and the number of damaged ones."""
    lines, problems = [], []
    for number, content in enumerate(_raw_lines(path), 1):
        try:
            lines.append(_parsed(content))
        except ValueError as error:
            problems.append((number, error))
    if problems:
        numbers_text = ", ".join(str(number) for number, _ in problems[:20])
        _log.warning(
            "%s: line %s%s cannot be read (%s), expected %s. They are left "
            "out: %d damaged lines, %d whole ones.",
            path,
            numbers_text,
            ", ..." if len(problems) > 20 else "",
            problems[0][1],
            _EXPECTED,
            len(problems),
            len(lines),
        )
    return lines, len(problems)


def _raw_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        # In binary: a text file would also end lines within a string.
        yield from file


def _parsed(content: bytes) -> dict[str, Any]:
    """Reads one line.

    Raises:
        ValueError: it is none of `RunLog.scalars`.
    """
    line = json_files.loads(content.decode("utf-8"))
    if not isinstance(line, dict):
        raise ValueError(f"it holds {line!r:.40}")
    if not isinstance(line.get("step"), int) or isinstance(line["step"], bool):
        raise ValueError(f"its step is {line.get('step')!r:.40}")
    if not isinstance(line.get("kind"), str):
        raise ValueError(f"its kind is {line.get('kind')!r:.40}")
    for name in sorted(line.keys() - {"kind"}):
        value = line[name]
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise ValueError(f"its {name} is {value!r:.40}")
    return line


def cut_events(folder: Path, step: int) -> None:
    """Rewrites TensorBoard's files without the events after `step`."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        # TensorBoard reads every file with "tfevents" in its name.
        part = folder / "rewriting.part"
        dropped = 0
        with tf.io.TFRecordWriter(str(part)) as writer:
            for record in _whole_records(path):
                if event_pb2.Event.FromString(record).step > step:
                    dropped += 1
                else:
                    writer.write(record)
        if dropped:
            atomic.rename(part, path)
        else:
            part.unlink()


def _whole_records(path: Path):
    """Yields the records of an event file up to a half-written one."""
    spans, _ = tf_examples.whole_places(path)
    try:
        for record in tf.data.TFRecordDataset(str(path)).take(len(spans)):
            yield record.numpy()
    except tf.errors.DataLossError:
        return
