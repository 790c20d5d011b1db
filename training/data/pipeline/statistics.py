"""The mean pose and shape of a training set: a start and a baseline."""

import math

import numpy as np

from tf_hmr.body.data import BodyData
from tf_hmr.geometry import rotations
from training import config
from training.data.pipeline import reading
from training.data.records import mocap, parsing, schema, shards

CHUNK = 4096
# A half turn about x: bodies are y-up at rest, and the camera's y points down.
UPRIGHT = np.diag([1.0, -1.0, -1.0])
# For joints whose rotations have a standard deviation of 40 degrees, the mean
# over so many records is accurate to a third of a degree.
MAX_RECORDS = 20_000


def start(
    data: config.Data, body: BodyData
) -> tuple[np.ndarray, np.ndarray] | None:
    """Finds the pose and shape at which a regressor starts.

    Those of the body's own mean file, as HMR and SPIN start, or else the mean
    of the labels that the training uses, or else of its unpaired poses. The
    body is upright and faces the camera in every case: headings of labels
    cancel out, and what is left of them is arbitrary.

    Args:
        data: with `records` and `prior` as paths.
        body: the body.

    Returns:
        rotmats (J, 3, 3) and betas (P,); None where there is none of these.
    """
    mean = mean_of_body(body)
    if mean is None:
        mean = mean_pose(data.sources)
    if mean is None and reading.has_prior(data):
        mean = mean_of_prior(mocap.read(data.prior))
    if mean is None:
        return None
    rotmats, betas = np.array(mean[0]), mean[1]
    rotmats[0] = UPRIGHT
    return rotmats, betas


def mean_pose(
    sources: tuple[config.Source, ...],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Means over the records whose 3D labels the training uses.

    At most about MAX_RECORDS are read, evenly spread over the sources, because
    every process of a run reads them, with their images, before the first step.

    Args:
        sources: with `records` as paths.

    Returns:
        rotmats (J, 3, 3), global rotation included, each the rotation nearest
        to the mean matrix; and betas (P,), as many as records hold. None
        without 3D labels. Where people face all directions the global
        rotation is arbitrary: a baseline needs one, a start (`start`) not.
    """
    joints = schema.ARRAYS["pose"][0] // 3
    total, betas = np.zeros((joints, 3, 3)), np.zeros(schema.ARRAYS["betas"])
    blank = schema.blank()
    poses = shapes = 0
    labelled = [
        shards.Records(source.records, source.split, source.shards)
        for source in sources
        if source.labels == "all"
    ]
    stride = math.ceil(sum(map(len, labelled)) / MAX_RECORDS)
    for stored in labelled:
        numbers = range(0, len(stored), stride)
        for start in range(0, len(numbers), CHUNK):
            rows = numbers[start : start + CHUNK]
            fields = parsing.parse([_read(stored, i, blank) for i in rows])
            has_pose = fields["has_pose"].numpy() > 0
            pose = fields["pose"].numpy()[has_pose].reshape(-1, joints, 3)
            total += rotations.rotvec_to_rotmat(pose).numpy().sum(axis=0)
            poses += len(pose)
            has_betas = fields["has_betas"].numpy() > 0
            betas += fields["betas"].numpy()[has_betas].sum(axis=0)
            shapes += int(has_betas.sum())
    if not poses:
        return None
    return rotations.nearest_rotmat(total / poses), betas / max(shapes, 1)


def mean_of_prior(
    poses: mocap.Prior,
) -> tuple[np.ndarray, np.ndarray]:
    """Means of unpaired poses; upright, facing the camera.

    Args:
        poses: their global rotation has no meaning and is not used.

    Returns:
        As mean_pose.
    """
    pose = poses.pose.reshape(len(poses.pose), -1, 3)
    total = np.zeros((pose.shape[1], 3, 3))
    for start in range(0, len(pose), CHUNK):
        rows = pose[start : start + CHUNK]
        total += rotations.rotvec_to_rotmat(rows).numpy().sum(axis=0)
    rotmats = rotations.nearest_rotmat(total / len(pose))
    rotmats[0] = UPRIGHT
    return rotmats, poses.betas.mean(axis=0)


def mean_of_body(
    data: BodyData,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Means of the body's own file, as mean_pose; None where it has none."""
    if data.mean_pose6d is None or data.mean_betas is None:
        return None
    pose, betas = data.mean_parameters()
    rotmats = rotations.rot6d_interleaved_to_rotmat(pose.reshape(-1, 6))
    return rotmats.numpy(), betas


def _read(stored: shards.Records, index: int, blank: bytes) -> bytes:
    """Reads a record; blank if damaged, which training counts and names."""
    try:
        return stored.read(index)
    except shards.DamagedRecord:
        return blank
