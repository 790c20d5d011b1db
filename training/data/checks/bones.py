"""Faults that bones show: wrong units, wrong joint order, mirrored people.

Each check returns scores (N,) by the fault's name: above 1 is a fault, NaN
where the record lacks the labels. The statistics in the comments are those of
3,000 synthetic people, whose poses are wilder than most.
"""

import numpy as np

from tf_hmr import joints
from training.data.checks import columns as record_columns
from training.data.checks.columns import Columns

UNIT = "joints3d not in metres"
ORDER = "wrong joint order"
MIRRORED = "mirrored joints3d"

_BONES = tuple(
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (
        ("hip", "knee"),
        ("knee", "ankle"),
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
        ("shoulder", "hip"),
    )
)
_IS_TRUNK = np.array([bone[1].endswith("hip") for bone in _BONES])
_STARTS, _ENDS = (
    list(joints.select([bone[end] for bone in _BONES], joints.KEYPOINTS))
    for end in (0, 1)
)

# A toddler is 0.45 of the open body. The units that are confused with metres
# are feet (3.3), inches, centimetres and millimetres.
_UNIT_FACTOR = 2.8
# A limb over the median of all bones, against the open body: 0.80 to 1.24. A
# thigh where an upper arm should be is 1.6. Trunks bend: 0.60 to 1.26.
_LIMB_FACTOR, _TRUNK_FACTOR = 1.5, 2.0
# In an image bones are foreshortened, never longer: the longest over the
# median is at most 3.9, and 1.16 in the middle of many people; 2.0 to 4.5
# with the joints in another order.
_IMAGE_FACTOR, _IMAGE_FACTOR_OF_MANY = 5.0, 1.6
_MIN_BONES = 5
# Straight knees are noise, and some bend backwards by 10 degrees; two bent
# by less than that, and a nose, would be needed to miss this. Good: > 0.8.
_BENT_BACK = 0.4


def check(columns: Columns) -> dict[str, np.ndarray]:
    """Scores of UNIT, ORDER and MIRRORED."""
    valid = columns.joints3d[:, :, 3] > 0
    lengths = _ratios(columns.joints3d[..., :3], valid)
    with np.errstate(all="ignore"):
        scale = _median(lengths)
        unit = np.abs(np.log(scale)) / np.log(_UNIT_FACTOR)
        deviations = np.abs(np.log(lengths / scale[:, None]))
        limits = np.log(np.where(_IS_TRUNK, _TRUNK_FACTOR, _LIMB_FACTOR))
        order = _worst(deviations / limits)
    few = np.isfinite(lengths).sum(axis=1) < _MIN_BONES
    unit[few], order[few] = np.nan, np.nan
    order = np.fmax(order, _order_in_images(columns))
    return {UNIT: unit, ORDER: order, MIRRORED: mirrored(columns)}


def _order_in_images(columns: Columns) -> np.ndarray:
    lengths = _ratios(columns.keypoints[..., :2], columns.keypoints[..., 2] > 0)
    with np.errstate(all="ignore"):
        longest = _worst(lengths) / np.maximum(_median(lengths), 1e-9)
    longest[np.isfinite(lengths).sum(axis=1) < _MIN_BONES] = np.nan
    return columns.scores(longest, _IMAGE_FACTOR, _IMAGE_FACTOR_OF_MANY)


def mirrored(columns: Columns) -> np.ndarray:
    """Scores of people whose knees and faces point backwards.

    Swapping left and right, and changing the sign of the depth, make the
    mirror image of a person. Knees then bend forwards and noses sit on the
    back of the head, seen from the left-right axis of the labels.
    """
    evidence = np.zeros(len(columns))
    has_evidence = np.zeros(len(columns), bool)
    across = columns.points("left_hip") - columns.points("right_hip")
    for side in ("left", "right"):
        names = [f"{side}_{part}" for part in ("hip", "knee", "ankle")]
        hip, knee, ankle = map(columns.points, names)
        valid = columns.valid(*names, "left_hip", "right_hip")
        bend = np.cross(_unit(knee - hip), _unit(ankle - knee))
        evidence += valid * _dot(bend, _unit(across))
        has_evidence |= valid
    trunk = [f"{s}_{n}" for s in ("left", "right") for n in ("shoulder", "hip")]
    left_shoulder, left_hip, right_shoulder, right_hip = map(
        columns.points, trunk
    )
    up = left_shoulder + right_shoulder - left_hip - right_hip
    forward = np.cross(_unit(left_shoulder - right_shoulder), _unit(up))
    head = (columns.points("head_top") + columns.points("neck")) / 2
    valid = columns.valid(*trunk, "head_top", "neck", "nose")
    evidence += valid * _dot(forward, _unit(columns.points("nose") - head))
    has_evidence |= valid
    return np.where(has_evidence, np.maximum(-evidence, 0) / _BENT_BACK, np.nan)


def _ratios(points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(N, bones) lengths over the open body's; NaN where not valid."""
    rest = record_columns.rest_limbs()
    row_of = record_columns.LIMBS.index
    body = [rest[row_of(start)] - rest[row_of(end)] for start, end in _BONES]
    lengths = np.linalg.norm(points[:, _STARTS] - points[:, _ENDS], axis=-1)
    both_valid = valid[:, _STARTS] & valid[:, _ENDS]
    return np.where(both_valid, lengths, np.nan) / np.linalg.norm(body, axis=-1)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the bones, (N,); NaN where all are missing."""
    empty = np.isnan(values).all(axis=1)
    return np.where(
        empty, np.nan, np.nanmedian(np.where(empty[:, None], 0, values), axis=1)
    )


def _worst(values: np.ndarray) -> np.ndarray:
    worst = np.nan_to_num(values, nan=-np.inf).max(axis=1)
    return np.where(np.isneginf(worst), np.nan, worst)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-9)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=-1)
