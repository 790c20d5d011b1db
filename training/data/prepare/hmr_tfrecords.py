"""HMR's TFRecords: images with labels, or poses of motion capture.

Images: train_*.tfrecord, or train/*.tfrecord, made by akanazawa/hmr:
src/datasets/*_to_tfrecords.py: x, y and visibility of the 14 LSP joints, and
of the face if COCO has it; people are 150 px long. 3D sets hold joints in
metres in the camera's frame, and SMPL's pose and shape if meta/has_3d is set,
as it is for Human3.6M alone. The authors' records of it hold bodies upside
down, beside joints that are upright (akanazawa/hmr: issue 50).
Motion capture: neutrSMPL_{CMU,H3.6,jointLim}_*.tfrecord of pose and shape.
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints, progress
from tf_hmr.formats import listing
from training.data.formats import requirements, tf_examples
from training.data.readers import frames, h36m_smpl, writing
from training.data.readers import workers as processes
from training.data.records import mocap as prior
from training.data.records import schema

NAME = "hmr-tfrecords"
TOPOLOGY = "smpl"
SOURCE = (
    "the authors of HMR, or make them with akanazawa/hmr: prepare_datasets.sh"
)

_PEOPLE_PER_TASK = 32
_PERSON_PX = 150
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


@dataclasses.dataclass
class Options(writing.Options):
    """Reads a folder of TFRecords that the original HMR trains on.

    --root is the folder of one set: of images (lsp, coco, mpi_inf_3dhp,
    tf_records_human36m_wjoints), which become records; or mocap_neutrMosh,
    whose poses become prior.npz in the folder --out.
    """

    every: int = 1
    """Keeps every n-th pose of motion capture: neighbours are alike."""
    upside_down: Literal["turn", "keep"] = "turn"
    """turn: bodies of Human3.6M that stand on their head beside upright joints
    are turned upright. keep: poses stay as stored; HMR trained on them so."""


class Task(NamedTuple):
    """Some records of a file: start and length of each, and first number."""

    path: Path
    byte_ranges: list[tuple[int, int]]
    first: int
    upside_down: str = "turn"


def run(options: Options) -> None:
    """Writes the records, or the prior."""
    mocap_paths = listing.files(options.root, "neutrSMPL_*.tfrecord")
    if mocap_paths:
        _write_prior(options, mocap_paths)
        return
    paths = listing.files(options.root, f"{options.split}_*.tfrecord")
    paths += listing.files(options.root, f"{options.split}/*.tfrecord")
    if not paths:
        path = options.root / f"{options.split}_000.tfrecord"
        raise requirements.missing_file(path, "records of HMR", SOURCE)
    tasks = [
        Task(
            path,
            byte_ranges[start : start + _PEOPLE_PER_TASK],
            start,
            options.upside_down,
        )
        for path in paths
        for byte_ranges in [tf_examples.places(path)]
        for start in range(0, len(byte_ranges), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    records = tf_examples.read(task.path, task.byte_ranges)
    for number, fields in enumerate(records, start=task.first):
        folder = task.path.parent.name
        example_id = f"{folder}-{task.path.stem}-{number:05d}"
        try:
            yield _person(fields, example_id, task.upside_down)
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            yield writing.Skipped(example_id, "the record is malformed")


def _person(
    fields: tf_examples.Fields, example_id: str, upside_down: str
) -> schema.Example:
    xy = np.stack([fields["image/x"], fields["image/y"]], axis=-1)
    flags = fields["image/visibility"]
    face = fields.get("image/face_pts", np.zeros(15)).reshape(3, 5)
    points = np.concatenate([xy.reshape(14, 2), face[:2].T])
    flags = np.concatenate([flags.reshape(14), face[2]]) > 0
    x, y = fields["image/center"].reshape(2) + 0.5 - _PERSON_PX / 2
    labels = _labels3d(fields, upside_down) if "mosh/gt3d" in fields else {}
    image = fields["image/encoded"][0]
    if not isinstance(image, bytes):
        raise TypeError("no bytes")
    return schema.Example(
        image,
        int(fields["image/height"][0]),
        int(fields["image/width"][0]),
        box=(x, y, _PERSON_PX, _PERSON_PX),
        keypoints=frames.by_name((*joints.LSP14, *_FACE), points, flags),
        dataset=NAME,
        example_id=example_id,
        **labels,
    )


def _labels3d(fields: tf_examples.Fields, upside_down: str) -> dict:
    points = fields["mosh/gt3d"].reshape(14, 3)
    labels = {"joints3d": frames.by_name(joints.LSP14, points)}
    if fields["meta/has_3d"].reshape(1)[0]:  # else both are -1
        pose = fields["mosh/pose"].reshape(72)
        if upside_down == "turn" and _is_upside_down(pose, points):
            pose = h36m_smpl.turn_upright(pose[np.newaxis])[0]
        labels["pose"] = pose
        labels["betas"] = fields["mosh/shape"].reshape(10)
        labels["topology"] = TOPOLOGY
    if "image/cam" in fields:
        focal, *centre = fields["image/cam"].reshape(3)
        # Stored as (height, width), as common.py resize_img gives it.
        scale = fields["meta/scale_factors"].reshape(2)[::-1]
        corner = fields["meta/crop_pt"].reshape(2)
        labels["intrinsics"] = [*(focal * scale), *(centre * scale - corner)]
    return labels


def _is_upside_down(pose: np.ndarray, points: np.ndarray) -> bool:
    """Tests whether the body's up axis points away from its joints' neck.

    A pelvis is never tilted by a right angle against the line from the hips
    to the neck, so records that somebody has mended stay as they are.

    Args:
        pose: (72,) rotation vectors; one that is not finite is no body.
        points: (14, 3) LSP joints in the frame of the pose.
    """
    if not (np.isfinite(pose[:3]).all() and np.isfinite(points).all()):
        return False
    rows = dict(zip(joints.LSP14, points, strict=True))
    trunk = rows["neck"] - (rows["left_hip"] + rows["right_hip"]) / 2
    up = Rotation.from_rotvec(pose[:3]).apply([0, 1, 0])
    return float(up @ trunk) < 0


def _write_prior(options: Options, paths: list[Path]) -> None:
    workers = options.workers or processes.cores()
    jobs = [(path, options.every) for path in paths]
    arrays = []
    with processes.pool(workers) as pool:
        rows_by_file = processes.in_order(pool, _read_poses, jobs, 4 * workers)
        for rows in progress.bar(rows_by_file, "poses", total=len(jobs)):
            arrays.append(rows)
    pose_and_shape = np.concatenate(arrays)
    if not len(pose_and_shape):
        raise ValueError(f"{options.root}: no record holds pose and shape.")
    options.out.mkdir(parents=True, exist_ok=True)
    prior.write(
        options.out,
        prior.Prior(pose_and_shape[:, :72], pose_and_shape[:, 72:], TOPOLOGY),
    )
    print(f"prior: {len(pose_and_shape)} poses and shapes in {options.out}")


def _read_poses(job: tuple[Path, int]) -> np.ndarray:
    """(n, 82) pose and shape of a file; records without them are skipped."""
    path, step = job
    byte_ranges = tf_examples.places(path)[::step]
    rows = [
        np.concatenate([fields["pose"], fields["shape"]])
        for fields in tf_examples.read(path, byte_ranges)
        if {"pose", "shape"} <= fields.keys()
        and len(fields["pose"]) == 72
        and len(fields["shape"]) == 10
    ]
    rows = np.array(rows, np.float32).reshape(-1, 82)
    return rows[np.isfinite(rows).all(axis=1)]
