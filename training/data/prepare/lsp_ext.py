"""Leeds Sports Pose Extended: 10,000 small photographs to train on.

`joints.mat` with `joints` (14, 3, 10000), whose flag is 1 where a joint is
VISIBLE, and `images/im00001.jpg` ... (akanazawa/hmr:
src/datasets/lsp_to_tfrecords.py). Annotated by many hands: many joints are
wrong; hr-lspet has corrected ones.
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from training.data.readers import frames, writing
from training.data.readers import lsp as lsp_files

NAME = "lsp-ext"
WHAT = "the labels of LSP Extended, of lspet_dataset.zip"
WHOM = "Sam Johnson, http://sam.johnson.io/research/lspet.html"


@dataclasses.dataclass
class Options(writing.Options):
    """Reads Leeds Sports Pose Extended, all of which is to train on.

    --root holds joints.mat and images/, as lspet_dataset.zip unpacks. The box
    is a square of 150 px, to which the publisher scaled the people.
    """

    split: Literal["train"] = "train"
    """There is no other."""


class Task(NamedTuple):
    """Some of the people: the first one's place in joints.mat, and labels."""

    root: Path
    first: int
    joints: np.ndarray


def run(options: Options) -> None:
    """Makes the records."""
    labels = lsp_files.joints_of(options.root / "joints.mat", WHAT, WHOM)
    step = lsp_files.PEOPLE_PER_TASK
    tasks = [
        Task(options.root, start, labels[start : start + step])
        for start in range(0, len(labels), step)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """The people of a task."""
    for number, labels in enumerate(task.joints, start=task.first + 1):
        name, shown = f"im{number:05d}", labels[:, 2] > 0
        # Coordinates of joints that are not labelled may be anything.
        box = lsp_files.box_of_150_px(labels[:, :2], shown)
        if box is None or not np.isfinite(labels[shown]).all():
            yield writing.Skipped(name, "no visible joints")
            continue
        yield frames.example(
            task.root / "images" / f"{name}.jpg",
            keypoints=frames.by_name(joints.LSP14, labels[:, :2], shown),
            box=box,
            dataset=NAME,
            example_id=name,
        )
