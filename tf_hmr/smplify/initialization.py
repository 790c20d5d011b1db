"""Initial orientation and translation of SMPLify, from keypoints alone.

As in Bogo et al. 2016, depth comes from similar triangles, and both facing
directions are tried when the shoulders look narrow. Gradient steps do not
correct an orientation that is half a turn off, so it is computed here, from
the torso's keypoints.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.geometry import camera, translation

NARROW = 0.8
"""Shoulders and hips that look narrower than this share of their width may
face towards the camera or away from it: both are tried."""

_TORSO = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
_SIDES = (("right_shoulder", "right_hip"), ("left_shoulder", "left_hip"))
_ACROSS = (("right_shoulder", "left_shoulder"), ("right_hip", "left_hip"))
_TO_CAMERA = Rotation.from_rotvec([np.pi, 0, 0])  # y up to y down


def orientations(keypoints: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Possible global orientations of a body, from its torso's keypoints.

    The line from hips to shoulders gives the roll; the signed width of
    shoulders and hips over the torso's length gives the angle about that line,
    but not its sign. Without a whole torso the body stands upright and faces
    each of four ways.

    Args:
        keypoints: (29, 3) of one person in joints.KEYPOINTS order: x, y in
            pixels and confidence.
        rest: (29, 3) of a body in the mean pose without a global rotation,
            metres.

    Returns:
        (1, 2 or 4, 3) global rotation vectors in the camera frame.
    """
    pixels, metres = _by_name(keypoints), _by_name(rest)
    if not all(pixels[name][2] > 0 for name in _TORSO):
        quarters = [[0], [90], [180], [270]]
        turns = Rotation.from_euler("y", quarters, degrees=True)
        return (_TO_CAMERA * turns).as_rotvec()
    up = sum(pixels[a][:2] - pixels[b][:2] for a, b in _SIDES)
    roll = np.arctan2(up[0], -up[1])
    across = sum(pixels[b][:2] - pixels[a][:2] for a, b in _ACROSS)
    width = across @ (np.cos(roll), np.sin(roll))
    lengths = _distances(metres, _SIDES), _distances(metres, _ACROSS)
    expected = np.linalg.norm(up) * sum(lengths[1]) / sum(lengths[0])
    ratio = np.clip(width / max(expected, 1e-6), -1, 1)
    yaw = np.arccos(ratio)
    if abs(ratio) > NARROW:
        yaws = [0.0 if ratio > 0 else np.pi]
    else:
        yaws = [yaw, -yaw]
    return np.array(
        [
            (
                Rotation.from_rotvec([0, 0, roll])
                * _TO_CAMERA
                * Rotation.from_rotvec([0, yaw, 0])
            ).as_rotvec()
            for yaw in yaws
        ]
    )


def estimate_translation(
    keypoints: np.ndarray,
    posed: np.ndarray,
    focal_px: float,
    centre: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Estimates the translation (3,) of a posed body, by similar triangles.

    The torso's length in the image gives the depth, its middle the position.
    If a torso keypoint is missing, all keypoints count, by least squares.

    Args:
        keypoints: (29, 3) x, y in pixels and confidence.
        posed: (29, 3) metres, in the camera frame before the translation.
        focal_px: pixels.
        centre: (2,) principal point, pixels.

    Returns:
        Metres, and the mean distance of the keypoints in pixels, weighted by
        confidence.
    """
    offset = _torso_translation(keypoints, posed, focal_px, centre)
    pixels = camera.project_perspective(posed + offset, focal_px, centre)
    weight = np.maximum(keypoints[:, 2], 0)
    distances = np.linalg.norm(pixels - keypoints[:, :2], axis=1)
    distances = np.where(weight > 0, distances, 0)
    return offset, float(weight @ distances / weight.sum())


def _torso_translation(keypoints, posed, focal_px, centre) -> np.ndarray:
    keypoint, metres = _by_name(keypoints), _by_name(posed)
    torso_visible = all(keypoint[name][2] > 0 for name in _TORSO)
    pixels = sum(_distances(keypoint, _SIDES)) if torso_visible else 0.0
    if pixels < 1:
        estimate = translation.estimate(
            posed[None], keypoints[None], focal_px, centre
        )
        return estimate.numpy()[0]
    depth = focal_px * sum(_distances(metres, _SIDES)) / pixels
    middle = np.mean([keypoint[name][:2] for name in _TORSO], axis=0)
    body = np.mean([metres[name] for name in _TORSO], axis=0)
    shift = (middle - centre) * depth / focal_px - body[:2]
    return np.array([*shift, depth - body[2]], np.float32)


def _by_name(points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(joints.KEYPOINTS, points, strict=True))


def _distances(points: dict[str, np.ndarray], pairs) -> list[float]:
    """Distances in x and y only: the depths are not visible in the image."""
    return [np.linalg.norm(points[a][:2] - points[b][:2]) for a, b in pairs]
