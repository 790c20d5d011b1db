"""Faults that show where two labels of a person contradict each other.

Keypoints are compared with the projection of joints3d, and both with the body
that the pose describes. Only the agreement of labels counts, not whether
somebody stands upright, so a handstand is fine. Where a known mistake explains
the contradiction, the fault bears its name. Scores are as in bones.py.
"""

from collections.abc import Iterator

import numpy as np

from tf_hmr import joints
from training.data.checks import agreement, bones
from training.data.checks import columns as record_columns
from training.data.checks.columns import Columns

POSE_UPSIDE_DOWN = "upside-down global rotation"
JOINTS_UPSIDE_DOWN = "upside-down joints3d"
SWAPPED = "left and right swapped"
DEPTH = "sign of the depth flipped"
PROJECTION = "keypoints are no projection of joints3d"
POSE = "pose disagrees with the joints"
MIRRORED = bones.MIRRORED

_MIN_JOINTS = 6
# The limits exceed the misfits of 3,000 good synthetic people. Pose against
# joints3d: at most 0.15 with somebody else's body shape.
_POSE_LIMIT = 0.3
# Keypoints against joints3d: 0 with the camera's intrinsics, so this is for
# the annotators' noise: 12 px of somebody 200 px tall. Without intrinsics
# at most 0.56, seen from above at two metres, and 0.24 for 99 of 100.
_IMAGE_LIMIT, _IMAGE_LIMIT_WITHOUT_CAMERA = 0.2, 0.6
# Seen from the side, left and right coincide: a misfit that a swap explains
# counts from a smaller limit, which finds 98 of 100.
_SWAP_LIMIT = 0.15
# Share of faces with both eyes whose left is where right should be: 0 in
# images that people labelled, a half where joints behind the head count.
_BACK_TO_FRONT = 0.75
_EXPLAINED = 0.5
"""A mistake explains a misfit that undoing it halves, at least."""

_MIRROR = list(joints.mirror(joints.KEYPOINTS))
_MIRROR_LIMBS = list(joints.mirror(record_columns.LIMBS))
_HALF_TURN = np.array([1.0, -1.0, -1.0])


def check(columns: Columns) -> dict[str, np.ndarray]:
    """Scores of the faults named above."""
    scores = {
        name: np.full(len(columns), np.nan)
        for name in (
            POSE_UPSIDE_DOWN,
            JOINTS_UPSIDE_DOWN,
            SWAPPED,
            DEPTH,
            PROJECTION,
            POSE,
            MIRRORED,
        )
    }
    joints_upside_down = _joints_against_keypoints(columns, scores)
    explained = _pose_against_joints(columns, scores, joints_upside_down)
    _pose_against_keypoints(columns, scores)
    faces = _faces(columns)
    scores[SWAPPED] = np.fmax(scores[SWAPPED], faces)
    mirrored = bones.mirrored(columns)
    # Another label has already explained why they are mirrored.
    explained |= joints_upside_down | (np.nan_to_num(scores[SWAPPED]) > 1)
    scores[MIRRORED] = np.where(explained, np.fmin(mirrored, 0), mirrored)
    return scores


def _joints_against_keypoints(columns: Columns, scores: dict) -> np.ndarray:
    points = columns.joints3d[..., :3]
    valid = (columns.keypoints[..., 2] > 0) & (columns.joints3d[..., 3] > 0)
    swapped_valid = (columns.keypoints[..., 2] > 0) & (
        columns.joints3d[:, _MIRROR, 3] > 0
    )
    has_camera = columns.intrinsics[:, 0] > 0

    def misfit(points, valid):
        return _image_misfit(columns, points, columns.keypoints, valid)

    as_is = misfit(points, valid)
    limit = np.where(has_camera, _IMAGE_LIMIT, _IMAGE_LIMIT_WITHOUT_CAMERA)
    mistakes = {
        JOINTS_UPSIDE_DOWN: (misfit(points * _HALF_TURN, valid), limit),
        SWAPPED: (misfit(points[:, _MIRROR], swapped_valid), _SWAP_LIMIT),
    }
    name = _blame(scores, valid, as_is, limit, mistakes, PROJECTION)
    return name == JOINTS_UPSIDE_DOWN


def _pose_against_joints(columns: Columns, scores, upside_down) -> np.ndarray:
    limbs = columns.limbs
    limb_joints = columns.joints3d[:, record_columns.IN_KEYPOINTS]
    points, valid = limb_joints[..., :3], limb_joints[..., 3] > 0
    valid &= columns.has["pose"][:, None]

    def misfit(body):
        return agreement.scaled(body, points, valid)

    half_turned = np.minimum(*map(misfit, _half_turns(columns)))
    mistakes = {
        POSE_UPSIDE_DOWN: (half_turned, _POSE_LIMIT),
        SWAPPED: (misfit(limbs[:, _MIRROR_LIMBS]), _POSE_LIMIT),
        DEPTH: (misfit(limbs * [1, 1, -1]), _POSE_LIMIT),
    }
    # joints3d that are upside down in the image have been reported.
    valid &= ~upside_down[:, None]
    as_is = misfit(limbs)
    name = _blame(scores, valid, as_is, _POSE_LIMIT, mistakes, POSE)
    return (name == SWAPPED) | (name == DEPTH)


def _pose_against_keypoints(columns: Columns, scores: dict) -> None:
    """Compares them in records without joints3d."""
    keypoints = columns.keypoints[:, record_columns.IN_KEYPOINTS]
    valid = (keypoints[..., 2] > 0) & columns.has["pose"][:, None]
    valid &= ~columns.has["joints3d"][:, None]
    if not valid.any():
        return

    def misfit(body):
        return _image_misfit(columns, body, keypoints, valid)

    limit = _IMAGE_LIMIT_WITHOUT_CAMERA  # the body's joints are a bit elsewhere
    half_turned = np.minimum(*map(misfit, _half_turns(columns)))
    mistakes = {
        POSE_UPSIDE_DOWN: (half_turned, limit),
        SWAPPED: (misfit(columns.limbs[:, _MIRROR_LIMBS]), limit),
    }
    as_is = misfit(columns.limbs)
    _blame(scores, valid, as_is, limit, mistakes, POSE)


def _faces(columns: Columns) -> np.ndarray:
    """Scores of swapped eyes, in datasets with keypoints alone, by the nose."""
    face_scores = np.full(len(columns), np.nan)
    names = ("left_eye", "right_eye", "nose")
    index = list(joints.select(names, joints.KEYPOINTS))
    points = columns.keypoints[:, index]
    left, right, nose = points[..., :2].transpose(1, 0, 2)
    across, down = left - right, nose - (left + right) / 2
    turn = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    # From the side the eyes coincide, and which is left is noise.
    frontal = np.linalg.norm(across, axis=1) > np.linalg.norm(down, axis=1)
    valid = (points[..., 2] > 0).all(axis=1) & frontal
    valid &= ~columns.has["joints3d"]
    datasets = np.array([dataset for dataset, _ in columns.names])
    for dataset in np.unique(datasets[valid]):
        rows = valid & (datasets == dataset)
        if rows.sum() >= record_columns.MIN_PEOPLE:
            share = (turn[rows] < 0).mean()
            face_scores[rows] = (turn[rows] < 0) * share / _BACK_TO_FRONT
    return face_scores


def _image_misfit(columns: Columns, points, keypoints, valid) -> np.ndarray:
    """Perspective misfit if the camera is known, else the smaller of both."""
    camera, targets = columns.intrinsics, keypoints[..., :2]
    has_camera = camera[:, 0] > 0
    middle = (columns.size - 1) / 2
    centre = np.where(has_camera[:, None], camera[:, 2:], middle)
    perspective = agreement.perspective(points, targets, valid, centre)
    weak_perspective = agreement.scaled(points[..., :2], targets, valid)
    return np.where(
        has_camera, perspective, np.minimum(perspective, weak_perspective)
    )


def _half_turns(columns: Columns) -> Iterator[np.ndarray]:
    """Yields bodies turned about the camera's x axis, and about their own.

    The first undoes a world frame with y up that was taken for the camera's;
    the second is how MoSh's files for Human3.6M are (readers/h36m_smpl.py).
    """
    yield columns.limbs * _HALF_TURN
    turn = columns.global_rotmats
    local_turn = turn @ (_HALF_TURN[:, None] * turn.transpose(0, 2, 1))
    yield np.einsum("nij,nkj->nki", local_turn, columns.limbs)


def _blame(scores, valid, as_is, limit, mistakes, otherwise) -> np.ndarray:
    """Enters the score under the mistake that explains it, or `otherwise`.

    Args:
        scores: by name, changed in place.
        valid: (N, J) pairs that count.
        as_is: (N,) misfit.
        limit: of as_is, above which nothing needs to explain it.
        mistakes: name -> (misfit after undoing it, limit of as_is).
        otherwise: name of a misfit that no mistake explains.

    Returns:
        (N,) the names; "" where nothing is wrong.
    """
    enough = valid.sum(axis=1) >= _MIN_JOINTS
    names = list(mistakes)
    after = np.stack([mistakes[name][0] for name in names])
    limits = [np.broadcast_to(mistakes[n][1], as_is.shape) for n in names]
    best = after.argmin(axis=0)
    explains = after.min(axis=0) < _EXPLAINED * as_is
    blamed_score = np.where(
        explains, as_is / np.stack(limits)[best, range(len(best))], 0
    )
    blamed = np.where(enough & (blamed_score > 1), np.array(names)[best], "")
    unexplained = enough & (blamed == "") & (as_is > limit)
    blamed = np.where(unexplained, otherwise, blamed)
    for name in (*names, otherwise):
        candidate = np.where(name == otherwise, as_is / limit, blamed_score)
        # NaN stays where no pair of labels could show it.
        entry = np.where(blamed == name, candidate, 0.0)
        scores[name] = np.fmax(scores[name], np.where(enough, entry, np.nan))
    return blamed
