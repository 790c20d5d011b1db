"""Faults that show where two labels of a person contradict each other.

Keypoints are held against the projection of joints3d, and both against the
body that the pose describes. Whether somebody stands upright is never asked,
only whether labels agree, so a handstand is fine. Where a known mistake
explains the contradiction, the fault bears its name. Scores are as those of
bone_faults.
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

_LEAST_JOINTS = 6
# Misfits of 3,000 good synthetic people, and why the limits are above:
# pose against joints3d: at most 0.15 with somebody else's body shape.
_POSE_LIMIT = 0.3
# Keypoints against joints3d: 0 with the camera's intrinsics, so this is for
# the annotators' noise: 12 px of somebody 200 px tall. Without intrinsics
# at most 0.56, seen from above at two metres, and 0.24 for 99 of 100.
_SEEN_LIMIT, _SEEN_LIMIT_WITHOUT_CAMERA = 0.2, 0.6
# Left and right are the same place for somebody seen from the side: what is
# explained by a swap counts from a smaller misfit, found in 98 of 100.
_SWAP_LIMIT = 0.15
# Faces that show both eyes, seen with left where right is: none in a picture
# that people labelled, a half where joints seen through the head count.
_BACK_TO_FRONT = 0.75
_EXPLAINED = 0.5
"""A mistake explains a misfit that it halves, at least."""

_MIRROR = list(joints.mirror(joints.KEYPOINTS))
_MIRROR_LIMBS = list(joints.mirror(record_columns.LIMBS))
_HALF_TURN = np.array([1.0, -1.0, -1.0])


def check(columns: Columns) -> dict[str, np.ndarray]:
    """Scores of the faults named above."""
    found = {
        name: np.full(len(columns), np.nan)
        for name in (
            *(POSE_UPSIDE_DOWN, JOINTS_UPSIDE_DOWN, SWAPPED),
            *(DEPTH, PROJECTION, POSE, MIRRORED),
        )
    }
    seen_upside_down = _joints_against_keypoints(columns, found)
    explained = _pose_against_joints(columns, found, seen_upside_down)
    _pose_against_keypoints(columns, found)
    faces = _faces(columns)
    found[SWAPPED] = np.fmax(found[SWAPPED], faces)
    mirrored = bones.mirrored(columns)
    # With another label it is known what mirrored them.
    explained |= seen_upside_down | (np.nan_to_num(found[SWAPPED]) > 1)
    found[MIRRORED] = np.where(explained, np.fmin(mirrored, 0), mirrored)
    return found


def _joints_against_keypoints(columns: Columns, found: dict) -> np.ndarray:
    points = columns.joints3d[..., :3]
    known = (columns.keypoints[..., 2] > 0) & (columns.joints3d[..., 3] > 0)
    swapped_known = (columns.keypoints[..., 2] > 0) & (
        columns.joints3d[:, _MIRROR, 3] > 0
    )
    has_camera = columns.intrinsics[:, 0] > 0

    def misfit(points, known):
        return _seen_misfit(columns, points, columns.keypoints, known)

    as_is = misfit(points, known)
    limit = np.where(has_camera, _SEEN_LIMIT, _SEEN_LIMIT_WITHOUT_CAMERA)
    mistakes = {
        JOINTS_UPSIDE_DOWN: (misfit(points * _HALF_TURN, known), limit),
        SWAPPED: (misfit(points[:, _MIRROR], swapped_known), _SWAP_LIMIT),
    }
    name = _blame(found, known, as_is, limit, mistakes, PROJECTION)
    return name == JOINTS_UPSIDE_DOWN


def _pose_against_joints(columns: Columns, found, upside_down) -> np.ndarray:
    limbs = columns.limbs
    picked = columns.joints3d[:, record_columns.IN_KEYPOINTS]
    points, known = picked[..., :3], picked[..., 3] > 0
    known &= columns.has["pose"][:, None]

    def misfit(body):
        return agreement.scaled(body, points, known)

    turned = np.minimum(*map(misfit, _half_turns(columns)))
    mistakes = {
        POSE_UPSIDE_DOWN: (turned, _POSE_LIMIT),
        SWAPPED: (misfit(limbs[:, _MIRROR_LIMBS]), _POSE_LIMIT),
        DEPTH: (misfit(limbs * [1, 1, -1]), _POSE_LIMIT),
    }
    # Of joints3d that stand on their heads in the picture, that is known.
    known &= ~upside_down[:, None]
    as_is = misfit(limbs)
    name = _blame(found, known, as_is, _POSE_LIMIT, mistakes, POSE)
    return (name == SWAPPED) | (name == DEPTH)


def _pose_against_keypoints(columns: Columns, found: dict) -> None:
    """Where there are no joints3d between them."""
    keypoints = columns.keypoints[:, record_columns.IN_KEYPOINTS]
    known = (keypoints[..., 2] > 0) & columns.has["pose"][:, None]
    known &= ~columns.has["joints3d"][:, None]
    if not known.any():
        return

    def misfit(body):
        return _seen_misfit(columns, body, keypoints, known)

    limit = _SEEN_LIMIT_WITHOUT_CAMERA  # the body's joints are a bit elsewhere
    turned = np.minimum(*map(misfit, _half_turns(columns)))
    mistakes = {
        POSE_UPSIDE_DOWN: (turned, limit),
        SWAPPED: (misfit(columns.limbs[:, _MIRROR_LIMBS]), limit),
    }
    as_is = misfit(columns.limbs)
    _blame(found, known, as_is, limit, mistakes, POSE)


def _faces(columns: Columns) -> np.ndarray:
    """Of datasets with keypoints alone: left eye and nose against right eye."""
    score = np.full(len(columns), np.nan)
    names = ("left_eye", "right_eye", "nose")
    index = list(joints.select(names, joints.KEYPOINTS))
    points = columns.keypoints[:, index]
    left, right, nose = points[..., :2].transpose(1, 0, 2)
    across, down = left - right, nose - (left + right) / 2
    turn = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    # From the side the eyes are one, and which is left is noise.
    apart = np.linalg.norm(across, axis=1) > np.linalg.norm(down, axis=1)
    known = (points[..., 2] > 0).all(axis=1) & apart
    known &= ~columns.has["joints3d"]
    sets = np.array([dataset for dataset, _ in columns.names])
    for dataset in np.unique(sets[known]):
        rows = known & (sets == dataset)
        if rows.sum() >= record_columns.MANY:
            share = (turn[rows] < 0).mean()
            score[rows] = (turn[rows] < 0) * share / _BACK_TO_FRONT
    return score


def _seen_misfit(columns: Columns, points, keypoints, known) -> np.ndarray:
    """Perspective with the camera where it is known, else the better one."""
    camera, seen = columns.intrinsics, keypoints[..., :2]
    has_camera = camera[:, 0] > 0
    middle = (columns.size - 1) / 2
    centre = np.where(has_camera[:, None], camera[:, 2:], middle)
    near = agreement.perspective(points, seen, known, centre)
    far = agreement.scaled(points[..., :2], seen, known)
    return np.where(has_camera, near, np.minimum(near, far))


def _half_turns(columns: Columns) -> Iterator[np.ndarray]:
    """Bodies turned about the camera's x axis, and about their own.

    The first is a world whose y points up taken for the camera's; the second
    is how MoSh's files for Human3.6M are (records: readers/h36m_smpl.py).
    """
    yield columns.limbs * _HALF_TURN
    turn = columns.global_rotmats
    own = turn @ (_HALF_TURN[:, None] * turn.transpose(0, 2, 1))
    yield np.einsum("nij,nkj->nki", own, columns.limbs)


def _blame(found, known, as_is, limit, mistakes, otherwise) -> np.ndarray:
    """Enters the score under the mistake that explains it, or `otherwise`.

    Args:
        found: scores by name, changed in place.
        known: (N, J) pairs that count.
        as_is: (N,) misfit.
        limit: of as_is, above which nothing needs to explain it.
        mistakes: name -> (misfit after undoing it, limit of as_is).
        otherwise: name of a misfit that no mistake explains.

    Returns:
        (N,) the names; "" where nothing is wrong.
    """
    can = known.sum(axis=1) >= _LEAST_JOINTS
    names = list(mistakes)
    after = np.stack([mistakes[name][0] for name in names])
    limits = [np.broadcast_to(mistakes[n][1], as_is.shape) for n in names]
    best = after.argmin(axis=0)
    explains = after.min(axis=0) < _EXPLAINED * as_is
    score = np.where(
        explains, as_is / np.stack(limits)[best, range(len(best))], 0
    )
    blamed = np.where(can & (score > 1), np.array(names)[best], "")
    unexplained = can & (blamed == "") & (as_is > limit)
    blamed = np.where(unexplained, otherwise, blamed)
    for name in (*names, otherwise):
        value = np.where(name == otherwise, as_is / limit, score)
        # NaN stays where no pair of labels could show it.
        own = np.where(blamed == name, value, 0.0)
        found[name] = np.fmax(found[name], np.where(can, own, np.nan))
    return blamed
