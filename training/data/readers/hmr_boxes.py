"""The square around a person by which HMR's converters scale an image.

They make a whole person 150 px long and crop 224 px, which a method with
`crop_scale = 224 / 150` repeats for boxes of this size. The size of a person
cut off by the image is estimated from the torso (akanazawa/hmr:
src/datasets/coco_to_tfrecords.py and mpii_to_tfrecords.py, parse_people).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_hmr.geometry import crop

Points = Mapping[str, np.ndarray]

_ANKLES = ("left_ankle", "right_ankle")
_TORSO = (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
# From the head, though the converter's comment says from the shoulders.
_HEAD_TO_HIPS = (("head_top", "left_hip"), ("head_top", "right_hip"))
_PERSON_PX, _TORSO_PX, _SHOULDER_PX, _REST_PX = 150, 75, 56, 50


def coco(points: Points) -> crop.Box | None:
    """Square around a person of COCO.

    Args:
        points: x, y pixels of each labelled joint.

    Returns:
        x, y, side, side around the middle of the joints; None if only face
        and shoulders are labelled, which is skipped.
    """
    if any(name in points for name in _ANKLES):
        return _square(points, _extent(points))
    torso = _lengths(points, _TORSO)
    if torso:
        return _square(points, np.mean(torso) * _PERSON_PX / _TORSO_PX)
    if has_body(points):
        return _square(points, _extent(points) * _PERSON_PX / _REST_PX)
    return None


def mpii(points: Points) -> crop.Box | None:
    """Square around a person of MPII; None without a torso: too close."""
    if any(name in points for name in _ANKLES):
        return _square(points, _extent(points))
    for pairs, px in ((_HEAD_TO_HIPS, _TORSO_PX), (_TORSO, _SHOULDER_PX)):
        lengths = _lengths(points, pairs)
        if lengths:
            return _square(points, np.mean(lengths) * _PERSON_PX / px)
    return None


def whole_person(points: Points) -> crop.Box | None:
    """Square around a person with all joints labelled."""
    return _square(points, _extent(points))


def has_body(points: Points) -> bool:
    """Whether a joint below the shoulders is labelled."""
    limbs = ("hip", "knee", "ankle", "elbow", "wrist")
    return any(name.split("_")[-1] in limbs for name in points)


def _square(points: Points, side: float) -> crop.Box | None:
    low, high = _corners(points)
    if not side > 0:  # all labels at one point
        return None
    x, y = (low + high) / 2 + 0.5 - side / 2
    return float(x), float(y), float(side), float(side)


def _extent(points: Points) -> float:
    low, high = _corners(points)
    return float(np.linalg.norm(high - low))


def _corners(points: Points) -> tuple[np.ndarray, np.ndarray]:
    xy = np.array(list(points.values()), np.float64)
    return xy.min(axis=0), xy.max(axis=0)


def _lengths(points: Points, pairs: Sequence[tuple[str, str]]) -> list[float]:
    return [
        float(np.linalg.norm(np.subtract(points[a], points[b])))
        for a, b in pairs
        if a in points and b in points
    ]
