"""Human3.6M: four videos of each sequence, positions of 32 joints.

Of each subject S1, S5, S6, S7, S8, S9, S11 the dataset ships
`MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf`, positions in mm
in that camera's frame; the same name in `MyPoseFeatures/D2_Positions`, in
pixels; `Videos/Directions 1.54138969.mp4`; and `Directions 1.54138969.mat` in
`MySegmentsMat/ground_truth_bb` (or `_bs`), a mask per frame that is 1 in the
person's rectangle (nkolot/SPIN: datasets/preprocess/h36m.py;
open-mmlab/mmhuman3d: mmhuman3d/data/data_converters/h36m.py). Frame k of the
positions is frame k of the video, and image k + 1 if the video was extracted:
as `images/S1_Directions_1.54138969_000001.jpg` (SPIN) or
`S1/images/S1_Directions_1.54138969/` and the same file name (mmhuman3d).
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import listing
from tf_hmr.geometry import crop
from training.data.formats import cdf as cdf_files
from training.data.formats import mat73 as mat73_files
from training.data.formats import requirements
from training.data.readers import (
    frames,
    h36m_cameras,
    h36m_smpl,
    hmr_boxes,
    writing,
)

NAME = "h36m"
STEP = 5  # frames: 50 per second become 10, as in HMR and SPIN
SOURCE = "http://vision.imar.ro/human3.6m (registration, for research)"
# The 32 joints of the files; of repeated joints one is named.
# Thorax is also what SPIN trains the neck of LSP with (h36m_idx, global_idx).
JOINTS = (
    "pelvis",
    "right_hip",
    "right_knee",
    "right_ankle",
    "",
    "",
    "left_hip",
    "left_knee",
    "left_ankle",
    "",
    "",
    "",
    "spine",
    "thorax",
    "neck_nose",
    "head_top",
    "",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "",
    "",
    "",
    "",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "",
    "",
    "",
    "",
)
CORRUPT = (("S11", "Directions", "54138969"),)
"""Its video is broken (akanazawa/hmr: src/benchmark/evaluate_h36m.py;
anibali/h36m-fetch: process_all.py)."""

# "_ALL" and "_ALL 1" are of no sequence and have no films.
_WHOLE = "_ALL"
_RECTANGLES = ("ground_truth_bb", "ground_truth_bs")
_SUBJECTS = {"train": ("S1", "S5", "S6", "S7", "S8")}
_TEST_SUBJECTS = ("S9", "S11")
_FRONTAL = "60457274"
_ACTIONS = (
    "Directions",
    "Discussion",
    "Eating",
    "Greeting",
    "Phoning",
    "Photo",
    "Posing",
    "Purchases",
    "Sitting",
    "Smoking",
    "Waiting",
    "WalkDog",
    "WalkTogether",
    "Walking",
)
# Names of the first trials (metadata.xml of the dataset).
_FIRST_TRIALS = {
    "S9": {f"{action} 1" for action in _ACTIONS} | {"SittingDown"},
    "S11": {f"{action} 1" for action in _ACTIONS}
    - {"Greeting 1", "Phoning 1", "Smoking 1"}
    | {"SittingDown", "Greeting 2", "Phoning 3", "Smoking 2"},
}
_PEOPLE_PER_TASK = 50
# SPIN crops 0.9 of the rectangle, which is wide, where it crops 1.2 of others.
_SPIN_RECTANGLE = 0.9 / 1.2


@dataclasses.dataclass
class Options(writing.Options):
    """Reads every 5th frame of Human3.6M: 3D joints, keypoints, boxes.

    --root holds S1, S5, ..., S11 with MyPoseFeatures, Videos (or extracted
    images) and, for SPIN's boxes, MySegmentsMat, as they unpack; the cameras
    are in camera-parameters.json of github.com/karfly/
    human36m-camera-parameters, or are fitted to the positions without it.
    """

    split: Literal["train", "p1", "p2_spin", "p2_hmr"] = "train"
    """train: S1, S5 to S8. p1: S9 and S11, all cameras. p2_spin: the frontal
    camera of p1. p2_hmr: the first trial of each action in p2_spin."""
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: the box is the square around the keypoints that HMR scales to
    150 px. spin: from MySegmentsMat's rectangle; 1.2 boxes are SPIN's crop."""
    mosh: Path | None = None
    """Folder of MoSh's S1/Directions 1_cam0_aligned.pkl, if you have it."""
    neural_annot: Path | None = None
    """Folder of NeuralAnnot's Human36M_subject1_SMPL_NeuralAnnot.json and
    ..._camera.json; needs metadata.xml in --root."""


class Task(NamedTuple):
    """Some frames of one video."""

    root: Path
    subject: str
    name: str
    camera: str
    """Empty for a file of positions whose name, `name`, has no camera."""
    numbers: range
    rules: str
    fit: h36m_smpl.Fit | None


def run(options: Options) -> None:
    """Writes the records.

    Raises:
        ValueError: both --mosh and --neural-annot are given.
    """
    if options.mosh and options.neural_annot:
        raise ValueError("Give --mosh or --neural-annot, not both.")
    tasks = [
        task
        for subject in _SUBJECTS.get(options.split, _TEST_SUBJECTS)
        for task in _tasks_of(options, subject)
    ]
    writing.write(NAME, options, tasks, read)


def _tasks_of(options: Options, subject: str) -> Iterator[Task]:
    folder = _positions(options.root, subject, "D3_Positions_mono")
    if not folder.is_dir():
        contents = f"positions in the camera's frame of {subject}"
        raise requirements.missing_file(folder, contents, SOURCE)
    neural_annot = None
    if options.neural_annot:
        neural_annot = h36m_smpl.NeuralAnnot(
            options.neural_annot, options.root / "metadata.xml", subject
        )
    for path in listing.files(folder, "*.cdf"):
        name, _, camera = path.stem.rpartition(".")
        if not (name and camera.isdigit()):
            yield Task(options.root, subject, path.name, "", range(1), "", None)
            continue
        is_whole = name.split(" ")[0] == _WHOLE
        if is_whole or not _is_in_split(options.split, subject, name, camera):
            continue
        _check_folders(options, subject)
        selected_frames = range(0, cdf_files.count(path), STEP)
        for start in range(0, len(selected_frames), _PEOPLE_PER_TASK):
            numbers = selected_frames[start : start + _PEOPLE_PER_TASK]
            fit = neural_annot and neural_annot(name, camera, numbers)
            if options.mosh:
                fit = h36m_smpl.mosh(
                    options.mosh, subject, name, camera, numbers
                )
            yield Task(
                options.root,
                subject,
                name,
                camera,
                numbers,
                options.rules,
                fit,
            )


def _is_in_split(split: str, subject: str, name: str, camera: str) -> bool:
    if split in ("train", "p1"):
        return True
    if split == "p2_hmr" and name not in _FIRST_TRIALS[subject]:
        return False
    return camera == _FRONTAL


def _positions(root: Path, subject: str, kind: str) -> Path:
    return root / subject / "MyPoseFeatures" / kind


def _check_folders(options: Options, subject: str) -> None:
    """Refuses a subject of whom a whole kind of files is missing.

    A single file may be missing: its frames are left out by name.
    """
    folder = options.root / subject
    positions = _positions(options.root, subject, "D2_Positions")
    needed = {f"positions in pixels of {subject}": [positions]}
    needed[f"videos of {subject}, which are not extracted either"] = [
        folder / "Videos",
        folder / "images",
        options.root / "images",
    ]
    if options.rules == "spin":
        contents = f"rectangles of {subject}, for the boxes of --rules spin"
        needed[contents] = [
            folder / "MySegmentsMat" / kind for kind in _RECTANGLES
        ]
    for contents, places in needed.items():
        if not any(place.is_dir() for place in places):
            raise requirements.missing_file(places[0], contents, SOURCE)


def read(task: Task) -> Iterator[writing.ReadPerson]:
    """Reads the people of a task."""
    cause = _missing(task)
    if cause:
        for number in task.numbers:
            yield writing.Skipped(_image_name(task, number), cause)
        return
    ids = [_image_name(task, number) for number in task.numbers]
    points3d, points = (
        cdf_files.positions(_cdf(task, kind), len(JOINTS), axes)
        for kind, axes in (("D3_Positions_mono", 3), ("D2_Positions", 2))
    )
    camera = h36m_cameras.intrinsics(
        task.root / h36m_cameras.FILE, task.camera, points, points3d
    )
    rectangles = _rectangles(task)
    sources = _frame_sources(task)
    for row, (number, source, rectangle) in enumerate(
        zip(task.numbers, sources, rectangles, strict=True)
    ):
        if number >= len(points):
            yield writing.Skipped(ids[row], "no keypoints of the frame")
            continue
        keypoints = frames.by_name(JOINTS, points[number])
        yield frames.example(
            source,
            box=_box(task, rectangle, keypoints),
            keypoints=keypoints,
            joints3d=frames.by_name(JOINTS, points3d[number] / 1000),
            intrinsics=camera,
            dataset=NAME,
            example_id=ids[row],
            **_smpl(task.fit, row),
        )


def _missing(task: Task) -> str:
    """Cause of leaving out all frames of a task; or an empty string."""
    video = f"{task.subject} {task.name}.{task.camera}"
    if not task.camera:
        return f"{task.subject} {task.name} is not named ACTION.CAMERA.cdf"
    if (task.subject, task.name, task.camera) in CORRUPT:
        return f"the film {video} is corrupt"
    for kind in ("D3_Positions_mono", "D2_Positions"):
        if not _cdf(task, kind).exists():
            return f"there are no {kind} of {video}"
    if _image_folder(task) is None and not _film(task).exists():
        return f"there is neither a video nor images of {video}"
    if task.rules == "spin" and _masks(task) is None:
        return f"there are no rectangles of {video}"
    return ""


def _cdf(task: Task, kind: str) -> Path:
    folder = _positions(task.root, task.subject, kind)
    return folder / f"{task.name}.{task.camera}.cdf"


def _film(task: Task) -> Path:
    name = f"{task.name}.{task.camera}.mp4"
    return task.root / task.subject / "Videos" / name


def _image_name(task: Task, number: int) -> str:
    action = task.name.replace(" ", "_")
    return f"{task.subject}_{action}.{task.camera}_{number + 1:06d}"


def _image_folder(task: Task) -> Path | None:
    """Folder of the extracted images, or None if it has none of the frames."""
    names = [f"{_image_name(task, number)}.jpg" for number in task.numbers]
    sequence = names[0].rpartition("_")[0]
    for folder in (
        task.root / task.subject / "images" / sequence,
        task.root / "images",
    ):
        if any((folder / name).exists() for name in names):
            return folder
    return None


def _frame_sources(task: Task) -> Iterator[Path | np.ndarray | None]:
    """The frames, from extracted images if there are any."""
    folder = _image_folder(task)
    if folder is None:
        return frames.read_video(_film(task), task.numbers)
    names = (f"{_image_name(task, number)}.jpg" for number in task.numbers)
    return (folder / name for name in names)


def _masks(task: Task) -> Path | None:
    """File of the rectangles, or None if there is none."""
    for kind in _RECTANGLES:
        folder = task.root / task.subject / "MySegmentsMat" / kind
        path = folder / f"{task.name}.{task.camera}.mat"
        if path.exists():
            return path
    return None


def _rectangles(task: Task) -> Iterator[np.ndarray | None]:
    if task.rules == "hmr":
        return iter([None] * len(task.numbers))
    return mat73_files.cells(_masks(task), "Masks", task.numbers)


def _box(task: Task, mask: np.ndarray | None, keypoints) -> crop.Box:
    if task.rules == "hmr":
        lsp_indices = joints.select(joints.LSP14, joints.KEYPOINTS)
        points = keypoints[list(lsp_indices), :2]
        points = dict(zip(joints.LSP14, points, strict=True))
        return hmr_boxes.whole_person(points) or (0, 0, 0, 0)
    if mask is None or mask.ndim != 2 or not (mask == 1).any():
        return (0, 0, 0, 0)
    columns = np.flatnonzero((mask == 1).any(axis=0))
    rows = np.flatnonzero((mask == 1).any(axis=1))
    corner = columns[0], rows[0]
    size = columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
    return crop.square_box((*corner, *size), _SPIN_RECTANGLE)


def _smpl(fit: h36m_smpl.Fit | None, row: int) -> dict:
    if fit is None or not fit.available[row]:
        return {}
    return {
        "pose": fit.pose[row],
        "betas": fit.betas[row],
        "topology": "smpl",
    }
