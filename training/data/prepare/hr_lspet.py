"""HR-LSPET: LSP Extended in high resolution, with corrected labels.

`im00001.png` ... and `joints.mat` with `joints` (14, 3, N) in one folder. The
sorted images match the labels; all joints are used, whatever their flag
(nkolot/SPIN: datasets/preprocess/hr_lspet.py). Images are encoded as JPEG.
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import listing
from training.data.readers import frames, writing
from training.data.readers import lsp as lsp_files

NAME = "hr-lspet"
LABELS_FILE = "the labels of HR-LSPET, of hr-lspet.zip"
SOURCE = "MPI Informatics, http://datasets.d2.mpi-inf.mpg.de/hr-lspet"


@dataclasses.dataclass
class Options(writing.Options):
    """Reads HR-LSPET, which is a training set as a whole.

    --root holds joints.mat and the images im*.png, as hr-lspet.zip unpacks.
    """

    split: Literal["train"] = "train"
    """The only split."""


class Task(NamedTuple):
    """Some of the people: images (n) and labels (n, 14, 3)."""

    images: list[Path]
    joints: np.ndarray


def run(options: Options) -> None:
    """Writes the records.

    Raises:
        ValueError: the numbers of labels and images differ.
    """
    labels = lsp_files.read_joints(
        options.root / "joints.mat", LABELS_FILE, SOURCE
    )
    images = listing.files(options.root, "im*.png")
    if len(images) != len(labels):
        raise ValueError(
            f"{options.root} holds {len(images)} pictures im*.png and "
            f"labels of {len(labels)}, expected the same number: the first "
            "label is of the first picture, and so on. Unpack hr-lspet.zip "
            "anew."
        )
    step = lsp_files.PEOPLE_PER_TASK
    tasks = [
        Task(images[start : start + step], labels[start : start + step])
        for start in range(0, len(labels), step)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for path, labels in zip(task.images, task.joints, strict=True):
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
