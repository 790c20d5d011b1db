"""HMR's own TFRecords: images with labels, or poses of motion capture.

Images: train_*.tfrecord, or train/*.tfrecord, made by akanazawa/hmr:
src/datasets/*_to_tfrecords.py: x, y and visibility of the 14 LSP joints, and
of the face where COCO has it; people are 150 px long. 3D sets hold joints in
metres of the camera, and pose and shape of SMPL where meta/has_3d says so.
Motion capture: neutrSMPL_{CMU,H3.6,jointLim}_*.tfrecord of pose and shape.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tqdm

from tf_hmr import joints
from training.data.formats import requirements, tf_examples
from training.data.readers import frames, writing
from training.data.readers import workers as processes
from training.data.records import mocap as prior
from training.data.records import schema

NAME = "hmr-tfrecords"
TOPOLOGY = "smpl"
WHOM = (
    "the authors of HMR, or make them with akanazawa/hmr: prepare_datasets.sh"
)

_PEOPLE_PER_TASK = 32
_PERSON_PX = 150
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


@dataclasses.dataclass
class Options(writing.Options):
    """Reads a folder of the TFRecords that the original HMR trains on.

    --root is the folder of one set: of images (lsp, coco, mpi_inf_3dhp,
    tf_records_human36m_wjoints), which become records; or mocap_neutrMosh,
    whose poses become prior.npz in the folder --out.
    """

    every: int = 1
    """Of motion capture, only every n-th pose: neighbours are alike."""


class Task(NamedTuple):
    """Some records of a file."""

    path: Path
    places: list[tuple[int, int]]
    first: int


def run(options: Options) -> None:
    """Makes the records, or the prior."""
    mocap = sorted(options.root.glob("neutrSMPL_*.tfrecord"))
    if mocap:
        _write_prior(options, mocap)
        return
    paths = sorted(options.root.glob(f"{options.split}_*.tfrecord"))
    paths += sorted(options.root.glob(f"{options.split}/*.tfrecord"))
    if not paths:
        path = options.root / f"{options.split}_000.tfrecord"
        raise requirements.missing_file(path, "records of HMR", WHOM)
    tasks = [
        Task(path, places[start : start + _PEOPLE_PER_TASK], start)
        for path in paths
        for places in [tf_examples.places(path)]
        for start in range(0, len(places), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """The people of a task."""
    found = tf_examples.read(task.path, task.places)
    for number, fields in enumerate(found, start=task.first):
        folder = task.path.parent.name
        example_id = f"{folder}-{task.path.stem}-{number:05d}"
        try:
            yield _person(fields, example_id)
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            yield writing.Skipped(example_id, "the record is malformed")


def _person(fields: tf_examples.Fields, example_id: str) -> schema.Example:
    xy = np.stack([fields["image/x"], fields["image/y"]], axis=-1)
    flags = fields["image/visibility"]
    face = fields.get("image/face_pts", np.zeros(15)).reshape(3, 5)
    points = np.concatenate([xy.reshape(14, 2), face[:2].T])
    flags = np.concatenate([flags.reshape(14), face[2]]) > 0
    x, y = fields["image/center"].reshape(2) + 0.5 - _PERSON_PX / 2
    labels = _labels3d(fields) if "mosh/gt3d" in fields else {}
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


def _labels3d(fields: tf_examples.Fields) -> dict:
    points = fields["mosh/gt3d"].reshape(14, 3)
    labels = {"joints3d": frames.by_name(joints.LSP14, points)}
    if fields["meta/has_3d"].reshape(1)[0]:  # else both are -1
        labels["pose"] = fields["mosh/pose"].reshape(72)
        labels["betas"] = fields["mosh/shape"].reshape(10)
        labels["topology"] = TOPOLOGY
    if "image/cam" in fields:
        focal, *centre = fields["image/cam"].reshape(3)
        # Stored as (height, width), as common.py resize_img gives it.
        scale = fields["meta/scale_factors"].reshape(2)[::-1]
        corner = fields["meta/crop_pt"].reshape(2)
        labels["intrinsics"] = [*(focal * scale), *(centre * scale - corner)]
    return labels


def _write_prior(options: Options, paths: list[Path]) -> None:
    workers = options.workers or processes.cores()
    jobs = [(path, options.every) for path in paths]
    parts = []
    with processes.pool(workers) as pool:
        found = processes.in_order(pool, _read_poses, jobs, 4 * workers)
        for part in tqdm.tqdm(found, "poses", len(jobs), disable=None):
            parts.append(part)
    both = np.concatenate(parts)
    if not len(both):
        raise ValueError(f"{options.root}: no record holds pose and shape.")
    options.out.mkdir(parents=True, exist_ok=True)
    prior.write(options.out, prior.Prior(both[:, :72], both[:, 72:], TOPOLOGY))
    print(f"prior: {len(both)} poses and shapes in {options.out}")


def _read_poses(job: tuple[Path, int]) -> np.ndarray:
    """(n, 82) pose and shape of a file; records without them are left out."""
    path, every = job
    chosen = tf_examples.places(path)[::every]
    rows = [
        np.concatenate([fields["pose"], fields["shape"]])
        for fields in tf_examples.read(path, chosen)
        if {"pose", "shape"} <= fields.keys()
        and len(fields["pose"]) == 72
        and len(fields["shape"]) == 10
    ]
    rows = np.array(rows, np.float32).reshape(-1, 82)
    return rows[np.isfinite(rows).all(axis=1)]
