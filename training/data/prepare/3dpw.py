"""3DPW: people outdoors, with SMPL bodies from inertial sensors.

`sequenceFiles/{train,validation,test}/SEQUENCE.pkl`, pickles of Python 2 with
lists over people: poses (F, 72) and trans (F, 3) in the world, betas (10 or
more), genders "m" or "f", poses2d (F, 3, 18) x, y and confidence as OpenPose
detected them, jointPositions (F, 72) the SMPL joints in the world,
campose_valid (F,); and for the camera cam_poses (F, 4, 4) from the world,
cam_intrinsics (3, 3). Row f belongs to `imageFiles/SEQUENCE/image_%05d.jpg`
of f (nkolot/SPIN: datasets/preprocess/pw3d.py; aymenmir1/3dpw-eval:
evaluate.py); img_frame_ids are rows of the poses at 60 Hz, which are not read.

The 3D joints that protocols compare come from the mesh of a gendered SMPL
body, so records have no joints3d.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr.formats import listing, unpickle
from tf_hmr.geometry import crop
from training.data.formats import requirements, texts
from training.data.readers import frames, genders, hmr_boxes, writing

NAME = "3dpw"
SOURCE = "https://virtualhumans.mpi-inf.mpg.de/3DPW (for research)"
# OpenPose's neck is the middle of the shoulders: no joint of KEYPOINTS.
JOINTS = (
    "nose",
    "",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)

_MAX_ABS = 1e6
_BETAS = 10
_PEOPLE_PER_TASK = 100


@dataclasses.dataclass
class Options(writing.Options):
    """Reads 3DPW's people: SMPL pose, shape, gender, translation, keypoints.

    --root holds the unpacked sequenceFiles and imageFiles. Frames without a
    valid camera or without the person's OpenPose keypoints are skipped.
    """

    split: Literal["train", "validation", "test"] = "train"
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: the box is the square around the keypoints that HMR scales to
    150 px. spin: the box of the keypoints, 1.2 of which is SPIN's crop."""


class Task(NamedTuple):
    """Some frames of one person."""

    images: Path
    """Folder of the sequence's images."""
    person: int
    gender: str
    betas: np.ndarray
    intrinsics: np.ndarray
    rules: str
    numbers: np.ndarray
    """(n,) frame numbers; the arrays below have one row per frame."""
    pose: np.ndarray
    """(n, 72), the first rotation in the world."""
    trans: np.ndarray
    """(n, 3) as SMPL adds it, metres."""
    pelvis: np.ndarray
    """(n, 3) in the world."""
    points: np.ndarray
    """(n, 3, 18) x, y and confidence of OpenPose."""
    cameras: np.ndarray
    """(n, 4, 4) from the world."""
    valid: np.ndarray
    """(n,) bool, whether the camera is valid."""


_BY_FRAME = Task._fields[Task._fields.index("numbers") :]


def run(options: Options) -> None:
    """Writes the records."""
    folder = options.root / "sequenceFiles" / options.split
    if not folder.is_dir():
        contents = "the sequences of the split, of sequenceFiles.zip"
        raise requirements.missing_file(folder, contents, SOURCE)
    images = options.root / "imageFiles"
    if not images.is_dir():
        contents = "the pictures of all sequences, of imageFiles.zip"
        raise requirements.missing_file(images, contents, SOURCE)
    tasks = [
        task
        for path in listing.files(folder, "*.pkl")
        for task in tasks_of(path, images, options.rules)
    ]
    writing.write(NAME, options, tasks, read)


def tasks_of(path: Path, images: Path, rules: str) -> Iterator[Task]:
    """Yields the tasks of a sequence.

    Args:
        path: path of the sequence's pickle.
        images: the folder imageFiles.
        rules: "hmr" or "spin".

    Raises:
        ValueError: the file is damaged.
    """
    content = unpickle.load(path)
    try:
        people = len(content["poses"])
        person_tasks = [
            _person(content, person, images, rules) for person in range(people)
        ]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no sequence of 3DPW ({error!r}): expected for each "
            "person poses (F, 72), trans (F, 3), poses2d (F, 3, 18), "
            "jointPositions (F, 72), campose_valid (F,), betas, genders, and "
            f"cam_poses (F, 4, 4), cam_intrinsics. Fetch it from {SOURCE}."
        ) from error
    for person_task in person_tasks:
        for start in range(0, len(person_task.numbers), _PEOPLE_PER_TASK):
            rows = slice(start, start + _PEOPLE_PER_TASK)
            part = {
                name: getattr(person_task, name)[rows] for name in _BY_FRAME
            }
            yield person_task._replace(**part)


def _person(content: dict, person: int, images: Path, rules: str) -> Task:
    count = len(content["poses"][person])

    def array(name: str, *shape: int) -> np.ndarray:
        value = content[name]
        if name != "cam_poses":
            value = value[person]
        return np.asarray(value, np.float64).reshape(count, *shape)

    matrix = np.asarray(content["cam_intrinsics"], np.float64).reshape(3, 3)
    betas = np.ravel(content["betas"][person])[:_BETAS]
    return Task(
        images / texts.text(content["sequence"]),
        person,
        genders.read(content["genders"][person]),
        betas.astype(np.float64).reshape(_BETAS),
        matrix[[0, 1, 0, 1], [0, 1, 2, 2]],
        rules,
        np.arange(count),
        array("poses", 72),
        array("trans", 3),
        array("jointPositions", 72)[:, :3],
        array("poses2d", 3, 18),
        array("cam_poses", 4, 4),
        array("campose_valid").astype(bool),
    )


def read(task: Task) -> Iterator[writing.ReadPerson]:
    """Reads the people of a task."""
    for row, number in enumerate(task.numbers):
        name = f"{task.images.name}_{task.person}_{number:05d}"
        points = task.points[row].T
        detected = points[:, 2] > 0
        cause = _skip_cause(task, row, points[detected, :2])
        if cause:
            yield writing.Skipped(name, cause)
        else:
            yield _example(task, row, name, points[:, :2], detected)


def _skip_cause(task: Task, row: int, keypoints: np.ndarray) -> str:
    """Cause of skipping a frame, or an empty string."""
    if not task.valid[row]:
        return "the camera's place is not known"
    if len(keypoints) < 2 or not np.ptp(keypoints, axis=0).any():
        return "no keypoints"
    labels = (task.pose, task.trans, task.pelvis, task.cameras)
    # Larger values, in damaged files, overflow when they are squared.
    if not all((np.abs(label[row]) < _MAX_ABS).all() for label in labels):
        return "pose or camera is not finite"
    if np.linalg.det(task.cameras[row][:3, :3]) <= 0:
        return "the camera's matrix is no rotation"
    return ""


def _example(
    task: Task, row: int, name: str, points, detected
) -> writing.ReadPerson:
    detected_points = dict(enumerate(points[detected]))
    box = hmr_boxes.whole_person(detected_points)
    if task.rules == "spin":
        box = crop.box_of_keypoints(points, detected)
    matrix = task.cameras[row]
    pose = task.pose[row].copy()
    camera_rotation = Rotation.from_matrix(matrix[:3, :3])
    pose[:3] = (camera_rotation * Rotation.from_rotvec(pose[:3])).as_rotvec()
    # SMPL rotates a body about its resting pelvis, which is the posed pelvis
    # without the translation.
    resting_pelvis = task.pelvis[row] - task.trans[row]
    translation = (
        matrix[:3, :3] @ task.pelvis[row] + matrix[:3, 3] - resting_pelvis
    )
    return frames.example(
        task.images / f"image_{task.numbers[row]:05d}.jpg",
        box=box,
        keypoints=frames.by_name(JOINTS, points, detected),
        pose=pose,
        betas=task.betas,
        gender=task.gender,
        translation=translation,
        intrinsics=task.intrinsics,
        dataset=NAME,
        example_id=name,
        topology="smpl",
    )
