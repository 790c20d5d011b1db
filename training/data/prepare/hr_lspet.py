"""HR-LSPET: LSP Extended in high resolution, with corrected labels.

`im00001.png` ... and `joints.mat` with `joints` (14, 3, N) in one folder. The
pictures in their order have the labels in theirs; all joints count, whatever
their flag (nkolot/SPIN: datasets/preprocess/hr_lspet.py). Pictures are
encoded as JPEG.
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from training.data.readers import frames, writing
from training.data.readers import lsp as lsp_files

NAME = "hr-lspet"
WHAT = "the labels of HR-LSPET, of hr-lspet.zip"
WHOM = "MPI Informatics, http://datasets.d2.mpi-inf.mpg.de/hr-lspet"


@dataclasses.dataclass
class Options(writing.Options):
    """Reads HR-LSPET, all of which is to train on.

    --root holds joints.mat and the pictures im*.png, as hr-lspet.zip unpacks.
    """

    split: Literal["train"] = "train"
    """There is no other."""


class Task(NamedTuple):
    """Some of the people: pictures (n) and labels (n, 14, 3)."""

    pictures: list[Path]
    joints: np.ndarray


def run(options: Options) -> None:
    """Makes the records.

    Raises:
        ValueError: there are more or fewer labels than pictures.
    """
    labels = lsp_files.joints_of(options.root / "joints.mat", WHAT, WHOM)
    pictures = sorted(options.root.glob("im*.png"))
    if len(pictures) != len(labels):
        raise ValueError(
            f"{options.root} holds {len(pictures)} pictures im*.png and "
            f"labels of {len(labels)}, expected the same number: the first "
            "label is of the first picture, and so on. Unpack hr-lspet.zip "
            "anew."
        )
    step = lsp_files.PEOPLE_PER_TASK
    tasks = [
        Task(pictures[start : start + step], labels[start : start + step])
        for start in range(0, len(labels), step)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """The people of a task."""
    for path, labels in zip(task.pictures, task.joints, strict=True):
        box = lsp_files.tight_box(labels[:, :2])
        if box is None:
            yield writing.Skipped(path.stem, "no joints")
            continue
        yield frames.example(
            path,
            keypoints=frames.by_name(joints.LSP14, labels[:, :2]),
            box=box,
            dataset=NAME,
            example_id=path.stem,
        )
