"""Estimates a body's translation from its 3D joints and 2D keypoints."""

import numpy as np
import tensorflow as tf
from scipy import optimize

from tf_hmr.geometry import camera

_MIN_TOTAL = 1e-6  # Smallest sum of confidences to divide by.


def estimate(
    joints: tf.Tensor,
    keypoints: tf.Tensor,
    focal_px: tf.Tensor | float,
    centre: tf.Tensor,
) -> tf.Tensor:
    """Translation whose projected joints fit the keypoints, by least squares.

    Each keypoint (u, v) gives two equations that are linear in t, multiplied
    by the root of its confidence (nkolot/SPIN: utils/geometry.py):
    f tx + (cx - u) tz = (u - cx) z - f x, and the same of v and y.

    Arguments of any floating type are computed in float32.

    Args:
        joints: (B, K, 3) metres, in the camera frame before the translation.
        keypoints: (B, K, 3) x, y in pixels and confidence; x and y are
            ignored where the confidence is 0.
        focal_px: () or (B,) pixels.
        centre: (2,) or (B, 2) principal point, pixels.

    Returns:
        (B, 3) metres; 0 where no keypoint has confidence.
    """
    joints, keypoints, focal_px, centre = (
        tf.cast(values, tf.float32)
        for values in (joints, keypoints, focal_px, centre)
    )
    confidence = keypoints[..., 2]
    visible = confidence > 0
    confidence = tf.where(visible, confidence, 0.0)
    centre = tf.reshape(centre, [-1, 1, 2])
    focal = tf.reshape(focal_px, [-1, 1, 1])
    offset = tf.where(visible[..., None], keypoints[..., :2] - centre, 0.0)
    # In units of the focal length: float32 is too coarse for squared pixels.
    offset = offset / focal
    target = offset * joints[..., 2:3] - joints[..., :2]
    # Normal equations, solved by hand: XLA has no solver on every device.
    weight = confidence[..., None]
    total = tf.maximum(tf.reduce_sum(confidence, axis=1), _MIN_TOTAL)[:, None]
    mean_offset = tf.reduce_sum(weight * offset, axis=1) / total
    mean_target = tf.reduce_sum(weight * target, axis=1) / total
    centred = offset - mean_offset[:, None]
    variance = tf.reduce_sum(weight * centred * centred, axis=[1, 2])
    covariance = tf.reduce_sum(weight * centred * target, axis=[1, 2])
    depth = -tf.math.divide_no_nan(covariance, variance)[:, None]
    return tf.concat([mean_target + mean_offset * depth, depth], axis=1)


def refine(
    start: np.ndarray,
    joints: np.ndarray,
    keypoints: np.ndarray,
    intrinsics: np.ndarray,
) -> np.ndarray:
    """Translation of least reprojection error, for one body.

    `estimate` weighs each keypoint by the depth of its joint, and where pose
    and keypoints disagree it brings the body too near. This is the least mean
    square in the image, by Levenberg and Marquardt's steps.

    Args:
        start: (3,) metres, before the camera.
        joints: (K, 3) metres, in the camera frame before the translation.
        keypoints: (K, 3) x, y in pixels and confidence.
        intrinsics: (4,) fx, fy, cx, cy in pixels.

    Returns:
        (3,) float32 metres; `start` if a number is not finite, or if fewer than
        two keypoints have confidence.
    """
    is_visible = keypoints[:, 2] > 0
    points = np.float64(joints[is_visible])
    focal, centre = np.split(np.float64(intrinsics), 2)
    seen = (keypoints[is_visible, :2] - centre) / focal
    weight = np.sqrt(keypoints[is_visible, 2:])

    def offsets(offset):
        x_y, depth = np.split(points + offset, [2], axis=1)
        projected = x_y / np.maximum(depth, camera.MIN_DEPTH)
        return (weight * (projected - seen)).ravel()

    if len(points) < 2 or not np.isfinite(offsets(start)).all():
        return np.float32(start)
    return np.float32(optimize.least_squares(offsets, start, method="lm").x)
