"""SPIN's npz of any dataset, with its folder of images.

Arrays of N people: imgname (N,), center (N, 2), scale (N,) with a crop of
200 scale px; and, as far as the dataset has them, part (N, 24, 3) x, y and
confidence, S (N, 24, 4) metres in the camera's frame and confidence, pose
(N, 72), shape (N, 10), has_smpl (N,), gender (N,) "m" or "f", texts or bytes,
in some files whole words or capitals (nkolot/SPIN:
datasets/base_dataset.py, constants.py). OpenPose's detections, which SPIN
gives no weight, and masks are not read. Many later papers ship such files,
too.
"""

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import array_files
from training.data.formats import requirements, texts
from training.data.readers import frames, genders, writing

NAME = "spin-npz"
TOPOLOGY = "smpl"
# Human3.6M's top of the head is another point than LSP's; SPIN compares
# either with the same joint of its body, and no dataset has both.
JOINTS24 = (
    *joints.LSP14,
    "pelvis",
    "thorax",
    "spine",
    "neck_nose",
    "head_h36m",
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
)

_SHAPES = {
    "center": (2,),
    "scale": (),
    "part": (24, 3),
    "S": (24, 4),
    "pose": (72,),
    "shape": (10,),
    "has_smpl": (),
}
_ROOM = 1.2
_PEOPLE_PER_TASK = 64


@dataclasses.dataclass(kw_only=True)
class Options(writing.Options):
    """Reads one of SPIN's npz files.

    --root is the folder that image names are relative to, --split the name
    of the people's split here.
    """

    npz: Path
    """The file, for example dataset_extras/coco_2014_train.npz."""


class Task(NamedTuple):
    """Some of the people: rows of each array of the file."""

    root: Path
    stem: str
    first: int
    rows: dict[str, np.ndarray]


def run(options: Options) -> None:
    """Writes the records."""
    if not options.npz.exists():
        contents = "labels of a dataset, of SPIN's dataset_extras.tar.gz"
        raise requirements.missing_file(
            options.npz, contents, "nkolot/SPIN (fetch_data.sh)"
        )
    arrays = read_arrays(options.npz)
    step = _PEOPLE_PER_TASK
    tasks = [
        Task(
            options.root,
            options.npz.stem,
            start,
            {name: rows[start : start + step] for name, rows in arrays.items()},
        )
        for start in range(0, len(arrays["imgname"]), step)
    ]
    writing.write(NAME, options, tasks, read)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads the known arrays of a file.

    Raises:
        ValueError: the file is damaged, or an array has another shape.
    """
    expected = "SPIN's imgname, center, scale and labels"
    cure = "Fetch it again."
    stored = array_files.read_npz(path, expected, cure)
    names = ["imgname", *_SHAPES, "gender"]
    for name in ("imgname", "center", "scale"):
        if name not in stored:
            raise ValueError(f"{path} has no {name}, expected {expected}.")
    count = math.prod(stored.form("imgname").shape)
    arrays = {}
    for name in filter(stored.__contains__, names):
        form = stored.form(name)
        shape = (count, *_SHAPES.get(name, ()))
        is_numeric = name not in ("imgname", "gender")
        if math.prod(form.shape) != math.prod(shape) or (
            is_numeric
            and not np.issubdtype(form.dtype, np.number)
            and form.dtype != bool
        ):
            raise ValueError(
                f"{path}: {name} is {form.dtype} of the shape {form.shape}, "
                f"expected {shape}. {cure}"
            )
        arrays[name] = stored[name].reshape(shape)
    return arrays


def read(task: Task):
    """Reads the people of a task."""
    for index in range(len(task.rows["imgname"])):
        row = {name: rows[index] for name, rows in task.rows.items()}
        name = texts.text(row["imgname"])
        example_id = f"{task.stem}-{task.first + index:06d}"
        if not np.isfinite([*row["center"], row["scale"]]).all():
            yield writing.Skipped(example_id, "center or scale is not finite")
            continue
        try:
            gender = genders.read(row.get("gender", ""))
        except ValueError as error:
            yield writing.Skipped(example_id, str(error))
            continue
        side = 200 * float(row["scale"]) / _ROOM
        yield frames.example(
            task.root / name,
            box=(*(row["center"] - side / 2), side, side),
            dataset=NAME,
            example_id=example_id,
            gender=gender,
            **_labels(row),
        )


def _labels(row: dict) -> dict:
    labels = {}
    for name, label in (("part", "keypoints"), ("S", "joints3d")):
        if name in row:
            points, flags = row[name][:, :-1], row[name][:, -1] > 0
            if flags.any():
                names = _names(flags)
                labels[label] = frames.by_name(names, points, flags)
    if "pose" in row and row.get("has_smpl", 1) > 0:
        labels["pose"], labels["topology"] = row["pose"], TOPOLOGY
        if "shape" in row:
            labels["betas"] = row["shape"]
    return labels


def _names(flags: np.ndarray) -> tuple[str, ...]:
    if flags[JOINTS24.index("head_top")]:
        return JOINTS24
    renamed = {"head_top": "", "head_h36m": "head_top"}
    return tuple(renamed.get(name, name) for name in JOINTS24)
