"""MPI-INF-3DHP: videos of 14 cameras for training, images for the test.

Training: `S1/Seq1/annot.mat` (version 5) with `frames` (N, 1) from 0, and
cells by camera `annot2` (N, 56) pixels and `annot3` (N, 84) mm in that
camera's frame, of 28 joints; `camera.calibration`, seven lines per camera;
`imageSequence/video_0.avi`, or extracted
`imageFrames/video_0/frame_000001.jpg`, numbered by the frame plus one
(nkolot/SPIN: datasets/preprocess/mpi_inf_3dhp.py; akanazawa/hmr:
src/datasets/mpi_inf_3dhp/read_mpi_inf_3dhp.py). One camera of S6's Seq2 has a
short video: its missing frames are counted as skipped.

Test: `mpi_inf_3dhp_test_set/TS1/annot_data.mat` (version 7.3) with
`valid_frame` (N, 1), `annot2` (N, 1, 17, 2), `annot3` and `univ_annot3` (N, 1,
17, 3), `activity_annotation` (N, 1), and `imageSequence/img_000001.jpg`. The
3D joints are univ_annot3, as in SPIN; annot3 serves only to fit the camera,
whose principal point is not in the middle.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.geometry import crop
from training.data.formats import mat as mat_files
from training.data.formats import mat73 as mat73_files
from training.data.formats import requirements
from training.data.readers import (
    frames,
    hmr_boxes,
    mpi_inf_3dhp,
    pinhole,
    writing,
)

NAME = "mpi-inf-3dhp"
MIN_INSIDE = 8  # of 14 joints, HMR's rule
SOURCE = "https://vcai.mpi-inf.mpg.de/3dhp-dataset (a form, for research)"
TEST_JOINTS = (
    "head_top",
    "neck",
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
    "pelvis",
    "spine",
    "neck_nose",
)

_SUBJECTS = {
    ("train", "hmr"): range(1, 8),
    ("val", "hmr"): (8,),
    ("train", "spin"): range(1, 9),
}
_PEOPLE_PER_TASK = 50
_LSP = list(joints.select(joints.LSP14, joints.KEYPOINTS))


@dataclasses.dataclass
class Options(writing.Options):
    """Reads MPI-INF-3DHP: 3D joints and keypoints of 17 joints.

    --root holds S1 to S8 as the publisher's script fetches them, with the
    videos of the chest-high cameras or their extracted images, and for --split
    test mpi_inf_3dhp_test_set.
    """

    split: Literal["train", "val", "test"] = "train"
    """val is S8 by HMR's rules; SPIN trains on it."""
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: frames in which a joint moved 200 mm since the last one, if 8 joints
    are inside; in the test set all valid frames. spin: every 10th frame with
    all 17 joints inside; in the test set each such frame."""


class Task(NamedTuple):
    """Frames of one video, or images of a test sequence."""

    video: Path | None
    image_pattern: str
    """Path of extracted images; {} stands for the frame's number plus one."""
    names: tuple[str, ...]
    """Names of the joints."""
    numbers: np.ndarray
    """(n,) frame numbers from 0."""
    points: np.ndarray
    """(n, joints, 2) pixels."""
    points3d: np.ndarray
    """(n, joints, 3) mm in the camera's frame."""
    camera: np.ndarray
    rules: str
    ids: tuple[str, ...] = ()


def run(options: Options) -> None:
    """Writes the records.

    Raises:
        ValueError: SPIN's rules have no split val.
    """
    if options.split == "test":
        tasks = _test_tasks(options)
    elif (options.split, options.rules) in _SUBJECTS:
        tasks = _train_tasks(options)
    else:
        raise ValueError(
            "SPIN trains on all subjects: there is no --split val of --rules "
            "spin. Leave --rules out."
        )
    writing.write(NAME, options, list(tasks), read)


def _train_tasks(options: Options) -> Iterator[Task]:
    for subject in _SUBJECTS[options.split, options.rules]:
        for sequence in (1, 2):
            folder = options.root / f"S{subject}" / f"Seq{sequence}"
            yield from _tasks_of(folder, options.rules)


def _tasks_of(folder: Path, rules: str) -> Iterator[Task]:
    path = folder / "annot.mat"
    sequence = f"{folder.parent.name}_{folder.name}"
    numbers, points, points3d = (
        mat_files.read(path, name, f"the annotations of {sequence}", SOURCE)
        for name in ("frames", "annot2", "annot3")
    )
    numbers = np.atleast_1d(numbers)
    if numbers.dtype.kind not in "iuf" or numbers.ndim != 1:
        raise ValueError(
            f"{path} holds frames of the type {numbers.dtype} and the shape "
            f"{numbers.shape}, expected numbers (N, 1). Fetch it again."
        )
    numbers = numbers.astype(int)
    calibration = folder / "camera.calibration"
    if not calibration.exists():
        raise requirements.missing_file(
            calibration, f"the cameras of {sequence}", SOURCE
        )
    cameras = mpi_inf_3dhp.calibration(calibration)
    for number in mpi_inf_3dhp.CAMERAS:
        camera = cameras[number]
        pixels, camera_points = (
            mpi_inf_3dhp.points(path, cells, number, len(numbers), axes)
            for cells, axes in ((points, 2), (points3d, 3))
        )
        rows = mpi_inf_3dhp.select_rows(
            rules, pixels, camera_points, camera.size
        )
        video = f"video_{number}"
        task = Task(
            folder / "imageSequence" / f"{video}.avi",
            str(folder / "imageFrames" / video / "frame_{:06d}.jpg"),
            mpi_inf_3dhp.JOINTS,
            numbers[rows],
            pixels[rows],
            camera_points[rows],
            camera.intrinsics,
            rules,
        )
        yield from _split(task, f"{sequence}_{video}")


def _test_tasks(options: Options) -> Iterator[Task]:
    for number in range(1, 7):
        folder = options.root / "mpi_inf_3dhp_test_set" / f"TS{number}"
        path = folder / "annot_data.mat"
        if not path.exists():
            contents = f"the annotations of TS{number}, of the test set"
            raise requirements.missing_file(path, contents, SOURCE)
        valid = mat73_files.array(path, "valid_frame", (None, 1))[:, 0]
        points, camera_points, universal_points = (
            mat73_files.array(path, name, (len(valid), 1, 17, axes))[:, 0]
            for name, axes in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3))
        )
        activity = mat73_files.array(
            path, "activity_annotation", (len(valid), 1)
        )
        rows = np.flatnonzero(valid)
        task = Task(
            None,
            str(folder / "imageSequence" / "img_{:06d}.jpg"),
            TEST_JOINTS,
            rows,
            points[rows],
            universal_points[rows],
            pinhole.fit(points[rows], camera_points[rows]),
            options.rules,
        )
        suffixes = [f"_a{label:.0f}" for label in activity[rows, 0]]
        yield from _split(task, f"TS{number}", suffixes)


def _split(task: Task, prefix: str, suffixes=None) -> Iterator[Task]:
    """Splits a task into tasks of a few people and gives them ids."""
    suffixes = suffixes or [""] * len(task.numbers)
    ids = tuple(
        f"{prefix}_{number + 1:06d}{suffix}"
        for number, suffix in zip(task.numbers, suffixes, strict=True)
    )
    for start in range(0, len(ids), _PEOPLE_PER_TASK):
        rows = slice(start, start + _PEOPLE_PER_TASK)
        yield task._replace(
            numbers=task.numbers[rows],
            points=task.points[rows],
            points3d=task.points3d[rows],
            ids=ids[rows],
        )


def read(task: Task) -> Iterator[writing.ReadPerson]:
    """Reads the people of a task."""
    for row, source in enumerate(_frame_sources(task)):
        keypoints = frames.by_name(task.names, task.points[row])
        person = frames.example(
            source,
            box=_box(task.rules, keypoints),
            keypoints=keypoints,
            joints3d=frames.by_name(task.names, task.points3d[row] / 1000),
            intrinsics=task.camera,
            dataset=NAME,
            example_id=task.ids[row],
        )
        yield _apply_rules(task, person)


def _frame_sources(task: Task) -> Iterator[Path | np.ndarray | None]:
    paths = [Path(task.image_pattern.format(n + 1)) for n in task.numbers]
    if task.video is None or any(path.exists() for path in paths[:1]):
        return iter(paths)
    if not task.video.exists():
        contents = "a film, which is not extracted either"
        raise requirements.missing_file(task.video, contents, SOURCE)
    return frames.read_video(task.video, task.numbers.tolist())


def _box(rules: str, keypoints: np.ndarray) -> crop.Box:
    """The square that HMR scales to 150 px; or the box that SPIN enlarges."""
    if rules == "hmr":
        points = dict(zip(joints.LSP14, keypoints[_LSP, :2], strict=True))
        return hmr_boxes.whole_person(points) or (0, 0, 0, 0)
    if not np.isfinite(keypoints).all():
        return (0, 0, 0, 0)
    return crop.box_of_keypoints(keypoints[:, :2], keypoints[:, 2])


def _apply_rules(task: Task, person: writing.ReadPerson) -> writing.ReadPerson:
    """Skips an example that breaks the rules.

    Joints outside the image are invisible here, as frames.example marks them.
    HMR labels all 14 as visible wherever they are; records label only what
    their picture shows, and training.doctor counts others as faults.
    """
    if isinstance(person, writing.Skipped):
        return person
    visible = person.keypoints[:, 2]
    has_joint = person.joints3d[:, 3] > 0
    if task.rules == "spin" and not visible[has_joint].all():
        cause = "a joint is outside the picture"
    elif (
        task.rules == "hmr" and task.video and visible[_LSP].sum() < MIN_INSIDE
    ):
        cause = f"fewer than {MIN_INSIDE} joints inside the picture"
    else:
        return person
    return writing.Skipped(person.example_id, cause)
