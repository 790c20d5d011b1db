"""Checks of records for faults that are known to break training.

Every check takes Columns of many records and returns scores (N,) by the name
of the fault: above 1 is a fault, the higher the worse; NaN where a record
lacks the labels that could show it.
"""

import numpy as np

from training.data.checks import bones as bone_faults
from training.data.checks import label_pairs
from training.data.checks.columns import Columns

DAMAGED = "damaged record"
NOT_FINITE = "not finite"
DUPLICATE = "duplicate id"
ZERO = "all-zero labels with valid flags"
OUTSIDE = "keypoints outside the picture"
BOX = "box does not fit the keypoints"
PICTURE = "picture does not decode"

LOOK = {
    DAMAGED: "the file has changed on disk: restore it, or prepare it again",
    NOT_FINITE: "NaN or infinity in a label: store 0 with a flag of 0",
    DUPLICATE: "somebody is stored twice: look for overlapping files",
    ZERO: "an absent label was stored as present: mend its flag",
    OUTSIDE: "visible joints beyond the edge: flags, x and y, or a scale",
    BOX: "box of somebody else, or its corners taken for width and height",
    PICTURE: "the picture is cut off or another one: fetch it again",
    bone_faults.UNIT: "bones far from 0.4 m: divide millimetres by 1000",
    bone_faults.ORDER: "impossible bones: map joints by name, not by place",
    bone_faults.MIRRORED: "left and right, or the sign of z: look at the face",
    label_pairs.POSE_UPSIDE_DOWN: "the pose lacks half a turn about x",
    label_pairs.JOINTS_UPSIDE_DOWN: "y points up in joints3d, not down",
    label_pairs.SWAPPED: "of two labels, one has left where right is",
    label_pairs.DEPTH: "z points to the camera in joints3d, not away",
    label_pairs.PROJECTION: "keypoints and joints3d are of two people or views",
    label_pairs.POSE: "pose and joints are of two people, or of two frames",
}
"""The usual cause of each fault."""

# Files that count pixels from 1, and rounding.
_OUTSIDE_PX = 2.0
# HMR's crop is 224 / 150 of the box: points beyond it are not visible.
_CROP = 224 / 150
_BEYOND_CROP = 0.25  # share of the visible keypoints
# Distance from the box's middle to that of at least _FULL_BODY keypoints, in
# sides of the box. Synthetic people: median 0.02, at most 0.28; where corners
# are taken for sizes, up to a half for one, and 0.2 and more for many.
_OFF_CENTRE, _OFF_CENTRE_OF_MANY = 0.35, 0.15
_MIN_FILLED = 0.15  # HMR's box of a face and arms alone is filled by 0.24
_MIN_KEYPOINTS, _FULL_BODY = 6, 12


def check(columns: Columns) -> dict[str, np.ndarray]:
    """Scores of all faults except those of files, ids and images.

    Labels that are zero, or bones in another order, contradict everything:
    only the first cause is reported.
    """
    all_scores = {
        NOT_FINITE: np.where([bool(b) for b in columns.broken], 2.0, 0.0),
        ZERO: _zero(columns),
        OUTSIDE: _outside(columns),
        BOX: _box(columns),
    }
    bones = bone_faults.check(columns)
    pairs = label_pairs.check(columns)
    zero = all_scores[ZERO] > 1
    disordered = zero | (bones[bone_faults.ORDER] > 1)
    all_scores[BOX][zero] = 0
    for name, scores in bones.items():
        all_scores[name] = np.where(zero, np.fmin(scores, 0), scores)
    for name, scores in pairs.items():
        all_scores[name] = np.where(disordered, np.fmin(scores, 0), scores)
    return all_scores


def _zero(columns: Columns) -> np.ndarray:
    keypoints, joints3d = columns.keypoints, columns.joints3d
    no_keypoint = (keypoints[..., 2] > 0) & ~keypoints[..., :2].any(axis=2)
    no_joint = (joints3d[..., 3] > 0) & ~joints3d[..., :3].any(axis=2)
    # One joint may be the origin.
    count = no_keypoint.sum(axis=1) + np.maximum(no_joint.sum(axis=1) - 1, 0)
    # A person at rest and upside down, where nothing else is zero.
    no_pose = columns.has["pose"] & ~columns.pose.any(axis=(1, 2))
    return 2.0 * (count + no_pose)


def _outside(columns: Columns) -> np.ndarray:
    points, visible = columns.keypoints[..., :2], columns.keypoints[..., 2] > 0
    outside = np.maximum(-0.5 - points, points - columns.size[:, None] + 0.5)
    worst = np.where(visible, outside.max(axis=2), 0).max(axis=1) / _OUTSIDE_PX
    return np.where(visible.any(axis=1), np.maximum(worst, 0), np.nan)


def _box(columns: Columns) -> np.ndarray:
    points, visible = columns.keypoints[..., :2], columns.keypoints[..., 2] > 0
    side = np.maximum(columns.box[:, 2:].max(axis=1), 1e-6)
    centre = columns.box[:, :2] + columns.box[:, 2:] / 2 - 0.5
    distances = np.abs(points - centre[:, None]).max(axis=2) / side[:, None]
    count = np.maximum(visible.sum(axis=1), 1)
    beyond = (visible & (distances > _CROP / 2)).sum(axis=1) / count
    low = np.where(visible[..., None], points, np.inf).min(axis=1)
    high = np.where(visible[..., None], points, -np.inf).max(axis=1)
    with np.errstate(invalid="ignore"):
        off_centre = np.abs((low + high) / 2 - centre).max(axis=1) / side
        filled = (high - low).max(axis=1) / side
    off_centre = np.where(count >= _FULL_BODY, off_centre, np.nan)
    off_centre = columns.scores(off_centre, _OFF_CENTRE, _OFF_CENTRE_OF_MANY)
    score = np.fmax(beyond / _BEYOND_CROP, off_centre)
    score = np.maximum(score, _MIN_FILLED / np.maximum(filled, 1e-6))
    return np.where(visible.sum(axis=1) >= _MIN_KEYPOINTS, score, np.nan)
