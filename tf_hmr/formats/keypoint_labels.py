"""Lists of keypoints x, y, confidence as detectors and annotators write them.

OpenPose writes pixels, or with --keypoint_scale 3 or 4 shares of the picture:
0 is the centre of its first pixel and 1 that of its last one; or -1 and 1
(CMU-Perceptual-Computing-Lab/openpose: src/openpose/core/keypointScaler.cpp).
"""

from collections.abc import Iterable

import numpy as np

PIXELS, ZERO_TO_ONE, PLUS_MINUS_ONE = 0, 3, 4
"""Values of OpenPose's --keypoint_scale."""

_MAX_SHARE = 1.5
"""Shares are below it: a joint may lie outside of the picture. Nobody whose
keypoints are all within so few pixels of the first one can be recognised."""

_MIN_SHARE = -0.1
"""Shares from 0 to 1 are above it."""

_LARGEST = 2.0**24
"""Larger numbers are no pixels: float32 cannot tell neighbours apart."""


def parse(values) -> np.ndarray:
    """Parses the keypoints of a person.

    Args:
        values: flat list x, y, confidence, x, y, confidence...; or a list of
            [x, y, confidence]. Numbers may be text; null is NaN.

    Returns:
        (n, 3) float64. A joint of which a number is NaN, infinite or beyond
        any picture is not labelled: its row is 0.

    Raises:
        ValueError: they are no such numbers; the message is a few words.
    """
    try:
        numbers = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ValueError("its keypoints are not numbers") from None
    if not numbers.ndim or numbers.size % 3:
        raise ValueError("its keypoints are not x, y, confidence for each")
    labels = numbers.reshape(-1, 3)
    usable = (np.abs(labels) < _LARGEST).all(axis=1)  # False for NaN
    if len(labels) and not usable.any():
        raise ValueError("its keypoints are not finite")
    labels[~usable] = 0
    return labels


def scale_of(people_labels: Iterable[np.ndarray]) -> int:
    """Recognises the unit of the keypoints of people of one run.

    Args:
        people_labels: (n, 3) x, y and confidence of each person.

    Returns:
        PIXELS, ZERO_TO_ONE or PLUS_MINUS_ONE.
    """
    points = [labels[labels[:, 2] > 0, :2] for labels in people_labels]
    xy = np.concatenate([np.zeros((0, 2)), *points])
    if not len(xy) or not xy.any() or np.abs(xy).max() > _MAX_SHARE:
        return PIXELS
    return PLUS_MINUS_ONE if xy.min() < _MIN_SHARE else ZERO_TO_ONE


def to_pixels(
    labels: np.ndarray, keypoint_scale: int, size: tuple[int, int]
) -> np.ndarray:
    """Brings keypoints of one of OpenPose's scales to pixels.

    Args:
        labels: (n, 3) x, y and confidence.
        keypoint_scale: PIXELS, ZERO_TO_ONE or PLUS_MINUS_ONE.
        size: width and height of the picture, pixels.

    Returns:
        (n, 3), of the same type; rows of confidence 0 stay as they are.
    """
    if keypoint_scale == PIXELS:
        return labels
    last = np.array(size) - 1
    shares = labels[:, :2]
    if keypoint_scale == PLUS_MINUS_ONE:
        shares = (shares + 1) / 2
    pixels = labels.copy()
    visible = labels[:, 2] > 0
    pixels[visible, :2] = (shares * last)[visible]
    return pixels


def unit_text(keypoint_scale: int) -> str:
    """Says in words how shares of a picture are recognised."""
    span = "-1 and 1" if keypoint_scale == PLUS_MINUS_ONE else "0 and 1"
    return (
        f"the keypoints lie between {span}, as OpenPose writes them with "
        f"--keypoint_scale {keypoint_scale}"
    )
