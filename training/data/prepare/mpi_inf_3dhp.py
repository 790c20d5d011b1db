"""MPI-INF-3DHP: films of 14 cameras for training, pictures for the test.

Training: `S1/Seq1/annot.mat` (version 5) with `frames` (N, 1) from 0, and
cells by camera `annot2` (N, 56) pixels and `annot3` (N, 84) mm in that
camera's frame, of 28 joints; `camera.calibration`, seven lines per camera;
`imageSequence/video_0.avi`, or extracted
`imageFrames/video_0/frame_000001.jpg`, the number is the frame's plus one
(nkolot/SPIN: datasets/preprocess/mpi_inf_3dhp.py; akanazawa/hmr:
src/datasets/mpi_inf_3dhp/read_mpi_inf_3dhp.py). Seq2 of S6 has a camera whose
film is short: the frames that lack are counted.

Test: `mpi_inf_3dhp_test_set/TS1/annot_data.mat` (version 7.3) with
`valid_frame` (N, 1), `annot2` (N, 1, 17, 2), `annot3` and `univ_annot3` (N, 1,
17, 3), `activity_annotation` (N, 1), and `imageSequence/img_000001.jpg`. The
3D joints are univ_annot3, as in SPIN; annot3 only tells the camera, whose
principal point is not in the middle.
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
LEAST_INSIDE = 8  # of 14 joints, HMR's rule
WHOM = "https://vcai.mpi-inf.mpg.de/3dhp-dataset (a form, for research)"
TEST_JOINTS = (
    *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee"),
    *("right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis"),
    *("spine", "neck_nose"),
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
    chest-high cameras' films or their extracted pictures, and for --split test
    mpi_inf_3dhp_test_set.
    """

    split: Literal["train", "val", "test"] = "train"
    """val is S8, by HMR's rules; SPIN trains on it, too."""
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: frames in which a joint moved 200 mm since the last one, 8 joints
    are inside; of the test all valid frames. spin: every 10th frame whose 17
    joints are inside, of the test each such frame."""


class Task(NamedTuple):
    """Frames of one film, or pictures of a test sequence."""

    film: Path | None
    pictures: str
    """Path of extracted ones; {} stands for the frame's number plus one."""
    names: tuple[str, ...]
    """Of the joints."""
    numbers: np.ndarray
    """(n,) of the frames, from 0."""
    points: np.ndarray
    """(n, joints, 2) pixels, and"""
    points3d: np.ndarray
    """(n, joints, 3) mm in the camera's frame."""
    camera: np.ndarray
    rules: str
    ids: tuple[str, ...] = ()


def run(options: Options) -> None:
    """Makes the records.

    Raises:
        ValueError: SPIN's rules know no split val.
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
    head = f"{folder.parent.name}_{folder.name}"
    numbers, points, points3d = (
        mat_files.read(path, name, f"the annotations of {head}", WHOM)
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
            calibration, f"the cameras of {head}", WHOM
        )
    cameras = mpi_inf_3dhp.calibration(calibration)
    for number in mpi_inf_3dhp.CAMERAS:
        camera = cameras[number]
        seen, places = (
            mpi_inf_3dhp.points(path, cells, number, len(numbers), axes)
            for cells, axes in ((points, 2), (points3d, 3))
        )
        rows = mpi_inf_3dhp.chosen(rules, seen, places, camera.size)
        film = f"video_{number}"
        whole = Task(
            folder / "imageSequence" / f"{film}.avi",
            str(folder / "imageFrames" / film / "frame_{:06d}.jpg"),
            mpi_inf_3dhp.JOINTS,
            numbers[rows],
            seen[rows],
            places[rows],
            camera.intrinsics,
            rules,
        )
        yield from _split(whole, f"{head}_{film}")


def _test_tasks(options: Options) -> Iterator[Task]:
    for number in range(1, 7):
        folder = options.root / "mpi_inf_3dhp_test_set" / f"TS{number}"
        path = folder / "annot_data.mat"
        if not path.exists():
            what = f"the annotations of TS{number}, of the test set"
            raise requirements.missing_file(path, what, WHOM)
        valid = mat73_files.array(path, "valid_frame", (None, 1))[:, 0]
        points, places, universal = (
            mat73_files.array(path, name, (len(valid), 1, 17, axes))[:, 0]
            for name, axes in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3))
        )
        activity = mat73_files.array(
            path, "activity_annotation", (len(valid), 1)
        )
        rows = np.flatnonzero(valid)
        whole = Task(
            None,
            str(folder / "imageSequence" / "img_{:06d}.jpg"),
            TEST_JOINTS,
            rows,
            points[rows],
            universal[rows],
            pinhole.fit(points[rows], places[rows]),
            options.rules,
        )
        ends = [f"_a{each:.0f}" for each in activity[rows, 0]]
        yield from _split(whole, f"TS{number}", ends)


def _split(whole: Task, head: str, ends=None) -> Iterator[Task]:
    """Tasks of a few people; their ids are made here."""
    ends = ends or [""] * len(whole.numbers)
    ids = tuple(
        f"{head}_{number + 1:06d}{end}"
        for number, end in zip(whole.numbers, ends, strict=True)
    )
    for start in range(0, len(ids), _PEOPLE_PER_TASK):
        rows = slice(start, start + _PEOPLE_PER_TASK)
        yield whole._replace(
            numbers=whole.numbers[rows],
            points=whole.points[rows],
            points3d=whole.points3d[rows],
            ids=ids[rows],
        )


def read(task: Task) -> Iterator[writing.Found]:
    """The people of a task."""
    for row, source in enumerate(_pictures(task)):
        keypoints = frames.by_name(task.names, task.points[row])
        found = frames.example(
            source,
            box=_box(task.rules, keypoints),
            keypoints=keypoints,
            joints3d=frames.by_name(task.names, task.points3d[row] / 1000),
            intrinsics=task.camera,
            dataset=NAME,
            example_id=task.ids[row],
        )
        yield _by_rules(task, found)


def _pictures(task: Task) -> Iterator[Path | np.ndarray | None]:
    paths = [Path(task.pictures.format(n + 1)) for n in task.numbers]
    if task.film is None or any(path.exists() for path in paths[:1]):
        return iter(paths)
    if not task.film.exists():
        what = "a film, which is not extracted either"
        raise requirements.missing_file(task.film, what, WHOM)
    return frames.of_video(task.film, task.numbers.tolist())


def _box(rules: str, keypoints: np.ndarray) -> crop.Box:
    """The square that HMR makes 150 px; or of which SPIN crops 1.2."""
    if rules == "hmr":
        points = dict(zip(joints.LSP14, keypoints[_LSP, :2], strict=True))
        return hmr_boxes.whole(points) or (0, 0, 0, 0)
    if not np.isfinite(keypoints).all():
        return (0, 0, 0, 0)
    return crop.box_of_keypoints(keypoints[:, :2], keypoints[:, 2])


def _by_rules(task: Task, found: writing.Found) -> writing.Found:
    """The example, or why it is left out; what is outside is invisible."""
    if isinstance(found, writing.Skipped):
        return found
    visible = found.keypoints[:, 2]
    known = found.joints3d[:, 3] > 0
    if task.rules == "spin" and not visible[known].all():
        cause = "a joint is outside the picture"
    elif (
        task.rules == "hmr"
        and task.film
        and visible[_LSP].sum() < (LEAST_INSIDE)
    ):
        cause = f"fewer than {LEAST_INSIDE} joints inside the picture"
    else:
        return found
    return writing.Skipped(found.example_id, cause)
