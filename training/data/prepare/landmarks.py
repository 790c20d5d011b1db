"""BlazePose's landmarks of the people of other records, for a lifter.

The landmark network looks twice at every person, as the finder does: first at
the square around the record's box, then at the one that it asks for. The
labels stay; a person whom it does not see is left out and counted. Its files
come from `python -m tf_hmr.landmark_files`.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr.detection import landmarks, squares
from training.data.pipeline import pixels
from training.data.readers import writing
from training.data.records import schema, shards

NAME = "landmarks"

_PEOPLE_PER_TASK = 50
_SHIFT = 0.04  # over the longer side of the box
_SCALE = 0.1  # of the logarithm
_TURN_RAD = 0.15
_SEED = 20  # of the first squares; with the number of the record


@dataclasses.dataclass
class Options(writing.Options):
    """Adds the field `landmarks` to the people of a folder of records.

    --root is that folder. The images are copied, so that the new folder needs
    no other.
    """

    count: int | None = None
    """Number of people, from the first; by default all of the split."""
    jitter: bool = False
    """Shift, scale and turn the first squares at random, as a finder's are.
    For people to train on."""


class Task(NamedTuple):
    """Some of the people: records `start` to `stop` of a split."""

    root: Path
    split: str
    start: int
    stop: int
    jitter: bool


def run(options: Options) -> None:
    """Writes the records.

    Raises:
        FileNotFoundError, ValueError: --root holds no records of the split,
            or a file of the network is missing.
    """
    count = len(shards.Records(options.root, options.split))
    if options.count is not None:
        if not 1 <= options.count <= count:
            raise ValueError(
                f"--count {options.count}: {options.root} has {count} people "
                f"in {options.split!r}. Expected 1 to {count}."
            )
        count = options.count
    _network()  # Says here what is missing, and not in each process.
    tasks = [
        Task(
            options.root,
            options.split,
            start,
            min(start + _PEOPLE_PER_TASK, count),
            options.jitter,
        )
        for start in range(0, count, _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task) -> Iterator[writing.ReadPerson]:
    """Looks at the people of a task."""
    stored = _records(task.root, task.split)
    for row in range(task.start, task.stop):
        try:
            example = schema.decode(stored.read(row))
            size = example.width, example.height
            image = pixels.decode_jpeg(example.image, size)
        except shards.DamagedRecord:
            yield writing.Skipped(f"record {row}", "damaged on disk")
            continue
        except pixels.BadImage as error:
            yield writing.Skipped(example.example_id, str(error))
            continue
        square = squares.of_box(example.box)
        if task.jitter:
            square = _jittered(square, example.box, row)
        answer = _network().look_twice(image, square)
        if answer.presence < landmarks.MIN_PRESENCE:
            yield writing.Skipped(example.example_id, "BlazePose sees nobody")
            continue
        yield dataclasses.replace(example, landmarks=answer.points)


def _jittered(
    square: squares.Square, box: np.ndarray, row: int
) -> squares.Square:
    rng = np.random.default_rng((_SEED, row))
    shift = rng.normal(0, _SHIFT, 2) * max(box[2:])
    return squares.Square(
        float(square.x + shift[0]),
        float(square.y + shift[1]),
        float(square.side * np.exp(rng.normal(0, _SCALE))),
        float(rng.normal(0, _TURN_RAD)),
    )


# Each process opens them once.
@functools.cache
def _network() -> landmarks.LandmarkNetwork:
    return landmarks.LandmarkNetwork()


@functools.cache
def _records(root: Path, split: str) -> shards.Records:
    return shards.Records(root, split)
