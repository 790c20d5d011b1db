"""Where SMPLify starts when there is nothing but keypoints.

As Bogo et al. 2016, a depth by similar triangles and both ways to face when
the shoulders look narrow. Gradient steps do not find a half turn, so the torso
says here how the body is turned in the picture.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.geometry import camera, translation

NARROW = 0.8
"""Shoulders and hips that look narrower than this share of their width may
face either way: both are tried."""

_TORSO = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
_SIDES = (("right_shoulder", "right_hip"), ("left_shoulder", "left_hip"))
_ACROSS = (("right_shoulder", "left_shoulder"), ("right_hip", "left_hip"))
_TO_CAMERA = Rotation.from_rotvec([np.pi, 0, 0])  # y up to y down


def orientations(keypoints: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """How a body may be turned, from its torso.

    The line from hips to shoulders gives the roll; the signed width of
    shoulders and hips over the torso's length gives the turn about it, but
    for its sense.

    Args:
        keypoints: (29, 3) of one person in joints.KEYPOINTS order: x, y in
            pixels and confidence.
        rest: (29, 3) of a body in the mean pose without a global rotation,
            metres.

    Returns:
        (1 or 2, 3) global rotation vectors in the camera frame.
    """
    at, solid = _named(keypoints), _named(rest)
    if not all(at[name][2] > 0 for name in _TORSO):
        return _TO_CAMERA.as_rotvec()[None]
    up = sum(at[a][:2] - at[b][:2] for a, b in _SIDES)
    roll = np.arctan2(up[0], -up[1])
    across = sum(at[b][:2] - at[a][:2] for a, b in _ACROSS)
    width = across @ (np.cos(roll), np.sin(roll))
    lengths = _distances(solid, _SIDES), _distances(solid, _ACROSS)
    expected = np.linalg.norm(up) * sum(lengths[1]) / sum(lengths[0])
    ratio = np.clip(width / max(expected, 1e-6), -1, 1)
    turn = np.arccos(ratio)
    if abs(ratio) > NARROW:
        turns = [0.0 if ratio > 0 else np.pi]
    else:
        turns = [turn, -turn]
    return np.array(
        [
            (
                Rotation.from_rotvec([0, 0, roll])
                * _TO_CAMERA
                * Rotation.from_rotvec([0, turn, 0])
            ).as_rotvec()
            for turn in turns
        ]
    )


def place(
    keypoints: np.ndarray,
    posed: np.ndarray,
    focal_px: float,
    centre: np.ndarray,
) -> tuple[np.ndarray, float]:
    """The translation (3,) of a posed body, and how far its keypoints are.

    By similar triangles.

    The torso's length in the picture gives the depth, its middle the place.
    Without a whole torso all keypoints count, by least squares.

    Args:
        keypoints: (29, 3) x, y in pixels and confidence.
        posed: (29, 3) metres, in the camera frame but for the translation.
        focal_px: pixels.
        centre: (2,) principal point, pixels.

    Returns:
        Metres, and the mean distance in pixels, weighted by confidence.
    """
    moved = _moved(keypoints, posed, focal_px, centre)
    pixels = camera.project_perspective(posed + moved, focal_px, centre)
    weight = np.maximum(keypoints[:, 2], 0)
    off = np.linalg.norm(pixels - keypoints[:, :2], axis=1)
    off = np.where(weight > 0, off, 0)
    return moved, float(weight @ off / weight.sum())


def _moved(keypoints, posed, focal_px, centre) -> np.ndarray:
    at, solid = _named(keypoints), _named(posed)
    seen = all(at[name][2] > 0 for name in _TORSO)
    pixels = sum(_distances(at, _SIDES)) if seen else 0.0
    if pixels < 1:
        found = translation.estimate(
            posed[None], keypoints[None], focal_px, centre
        )
        return found.numpy()[0]
    depth = focal_px * sum(_distances(solid, _SIDES)) / pixels
    middle = np.mean([at[name][:2] for name in _TORSO], axis=0)
    body = np.mean([solid[name] for name in _TORSO], axis=0)
    shift = (middle - centre) * depth / focal_px - body[:2]
    return np.array([*shift, depth - body[2]], np.float32)


def _named(points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(joints.KEYPOINTS, points, strict=True))


def _distances(points: dict[str, np.ndarray], pairs) -> list[float]:
    """Across the line of sight: the body may lean."""
    return [np.linalg.norm(points[a][:2] - points[b][:2]) for a, b in pairs]
