"""Leeds Sports Pose: 1,000 photographs for training and 1,000 for tests.

`joints.mat` with `joints` (3, 14, 2000), whose flag is 1 where a joint is
HIDDEN, and `images/im0001.jpg` ... `images/im2000.jpg`; the first half is the
training set (akanazawa/hmr: src/datasets/lsp_to_tfrecords.py). UPi-S1h has
silhouettes and six parts of the test set (lsp_parts.py).
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from training.data.pipeline import pixels
from training.data.readers import frames, lsp_parts, writing
from training.data.readers import lsp as lsp_files

NAME = "lsp"
LABELS_FILE = "the labels of the Leeds Sports Pose dataset, of lsp_dataset.zip"
SOURCE = "Sam Johnson, http://sam.johnson.io/research/lsp.html"
TRAIN = 1000


@dataclasses.dataclass
class Options(writing.Options):
    """Reads the Leeds Sports Pose dataset.

    --root holds joints.mat and images/, as lsp_dataset.zip unpacks; or
    lsp_dataset_original.zip with the photos at full size, which SPIN trains
    on: then with --rules spin.
    """

    split: Literal["train", "test"] = "train"
    """The first or the second thousand images."""
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: visible joints, and a box of 150 px, to which the publisher scaled
    the people. spin: all joints, and the box around them."""
    parts: Path | None = None
    """Folder upi-s1h/data/lsp of silhouettes and parts to store, too."""


class Task(NamedTuple):
    """Some of the people: image numbers, and labels (n, 14, 3)."""

    root: Path
    rules: str
    parts: Path | None
    numbers: range
    joints: np.ndarray


def run(options: Options) -> None:
    """Writes the records."""
    labels = lsp_files.read_joints(
        options.root / "joints.mat", LABELS_FILE, SOURCE
    )
    split = slice(TRAIN) if options.split == "train" else slice(TRAIN, None)
    numbers, labels = range(1, len(labels) + 1)[split], labels[split]
    if options.parts:
        lsp_parts.check_sides(options.parts, numbers, labels)
    step = lsp_files.PEOPLE_PER_TASK
    tasks = [
        Task(
            options.root,
            options.rules,
            options.parts,
            numbers[start : start + step],
            labels[start : start + step],
        )
        for start in range(0, len(numbers), step)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for number, labels in zip(task.numbers, task.joints, strict=True):
        path = task.root / "images" / f"im{number:04d}.jpg"
        try:
            parts = lsp_parts.read(task.parts, number) if task.parts else None
        except pixels.BadImage as error:
            yield writing.Skipped(path.stem, str(error))
            continue
        yield _person(path, labels, task.rules, parts)


def _person(path, labels, rules: str, parts: np.ndarray | None):
    xy, visible = labels[:, :2], labels[:, 2] == 0
    if not np.isfinite(labels).all():
        return writing.Skipped(path.stem, "a joint is not finite")
    if rules == "spin":
        box, visible = lsp_files.tight_box(xy), np.ones(len(xy), bool)
    else:
        box = lsp_files.box_of_150_px(xy, visible)
    if box is None:
        return writing.Skipped(path.stem, "no visible joints")
    return frames.example(
        path,
        parts,
        keypoints=frames.by_name(joints.LSP14, xy, visible),
        box=box,
        dataset=NAME,
        example_id=path.stem,
        part_set="" if parts is None else lsp_parts.PART_SET,
    )
