"""Leeds Sports Pose Extended: 10,000 small photographs for training.

`joints.mat` with `joints` (14, 3, 10000), whose flag is 1 where a joint is
VISIBLE, and `images/im00001.jpg` ... (akanazawa/hmr:
src/datasets/lsp_to_tfrecords.py). The labels are crowd-sourced: many joints
are wrong; hr-lspet has corrected ones.
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from training.data.readers import frames, writing
from training.data.readers import lsp as lsp_files

NAME = "lsp-ext"
LABELS_FILE = "the labels of LSP Extended, of lspet_dataset.zip"
SOURCE = "Sam Johnson, http://sam.johnson.io/research/lspet.html"


@dataclasses.dataclass
class Options(writing.Options):
    """Reads Leeds Sports Pose Extended, which is a training set as a whole.

    --root holds joints.mat and images/, as lspet_dataset.zip unpacks. The box
    is a square of 150 px, to which the publisher scaled the people.
    """

    split: Literal["train"] = "train"
    """The only split."""


class Task(NamedTuple):
    """Some of the people: labels, and the first one's row in joints.mat."""

    root: Path
    first: int
    joints: np.ndarray


def run(options: Options) -> None:
    """Writes the records."""
    labels = lsp_files.read_joints(
        options.root / "joints.mat", LABELS_FILE, SOURCE
    )
    step = lsp_files.PEOPLE_PER_TASK
    tasks = [
        Task(options.root, start, labels[start : start + step])
        for start in range(0, len(labels), step)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for number, labels in enumerate(task.joints, start=task.first + 1):
        name, visible = f"im{number:05d}", labels[:, 2] > 0
        # Unlabelled joints may have any coordinates.
        box = lsp_files.box_of_150_px(labels[:, :2], visible)
        if box is None or not np.isfinite(labels[visible]).all():
            yield writing.Skipped(name, "no visible joints")
            continue
        yield frames.example(
            task.root / "images" / f"{name}.jpg",
            keypoints=frames.by_name(joints.LSP14, labels[:, :2], visible),
            box=box,
            dataset=NAME,
            example_id=name,
        )
