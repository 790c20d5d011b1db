"""The log of a run: metrics.jsonl and TensorBoard, cut at a restore.

A run that is killed and started again continues from its checkpoint; lines
and events after that step are dropped, so that the log reads as if the run
had never stopped.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from tf_hmr.formats import atomic

METRICS_FILE = "metrics.jsonl"
EVENTS_FOLDER = "tensorboard"


class RunLog:
    """Appends one JSON line and TensorBoard events per logged step."""

    def __init__(self, workdir: Path, step: int):
        """Drops the lines and events after `step`, and opens for appending."""
        workdir.mkdir(parents=True, exist_ok=True)
        cut_metrics(workdir / METRICS_FILE, step)
        cut_events(workdir / EVENTS_FOLDER, step)
        # Line by line, so that a killed run loses none.
        self._lines = open(workdir / METRICS_FILE, "a", buffering=1)
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
        self._events.flush()

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        self._events.close()


class NullRunLog(RunLog):
    """No-op log of the workers that are not the chief."""

    def __init__(self, workdir: Path, step: int):
        """Opens nothing: the files are the chief's."""

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
    """Reads the lines of a metrics.jsonl, without a half-written last one."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return [line for line in lines if kind in (None, line["kind"])]


def cut_metrics(path: Path, step: int) -> None:
    """Drops the lines after `step`."""
    if not path.exists():
        return
    lines = [line for line in read_metrics(path) if line["step"] <= step]
    with atomic.replacing(path) as part:
        part.write_text("".join(json.dumps(line) + "\n" for line in lines))


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
            part.replace(path)
        else:
            part.unlink()


def _whole_records(path: Path):
    """Yields the records of an event file up to a half-written one."""
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            yield record.numpy()
    except tf.errors.DataLossError:
        return
