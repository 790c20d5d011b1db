"""Crops of a known side in metres, where the camera and the distance are known.

SMPLR cuts 2.5 m x 2.5 m around a person, in the plane of their middle (Madadi
et al. 2020, section 4.1): larger people are larger in such crops.
"""

import numpy as np
import tensorflow as tf

from training.data.pipeline import augment

Batch = dict[str, tf.Tensor]

NEAREST_M = 0.5
"""Joints in the mean nearer than this are about a root, not before a camera."""
_MIN_KEYPOINTS = 4


def boxes(fields: Batch, crop_scale: float, crop_m: float) -> tf.Tensor:
    """Square boxes (B, 4) of crops: x, y, w, h in pixels, edges.

    Args:
        fields: of parsing.parse.
        crop_scale: side over the longer side of a person's box, where the
            distance or the focal length is not known.
        crop_m: side in metres where both are known; 0: nowhere.
    """
    squares = augment.square_boxes(fields["box"], crop_scale)
    if not crop_m:
        return squares
    depth = distances(fields)
    focal = tf.reduce_mean(fields["intrinsics"][:, :2], axis=1)
    side = tf.math.divide_no_nan(crop_m * focal, depth)
    centre = _middles(fields, squares) + 0.5
    half = side[:, tf.newaxis] / 2.0
    metric = tf.concat([centre - half, 2.0 * half, 2.0 * half], axis=1)
    return tf.where(side[:, tf.newaxis] > 0, metric, squares)


def distances(fields: Batch) -> tf.Tensor:
    """Depth (B,) of people in metres; 0 where it or the focal length is not
    known.

    That of the translation, or else of the mean joint before the camera.
    """
    joints3d, valid = fields["joints3d"][..., :3], fields["joints3d"][..., 3:]
    mean = _mean(joints3d, valid)[:, 2] * fields["has_joints3d"]
    mean = tf.where(mean > NEAREST_M, mean, 0.0)
    stored = fields["translation"][:, 2]
    has_focal = tf.reduce_all(fields["intrinsics"][:, :2] > 0, axis=1)
    return tf.where(has_focal, tf.where(stored > 0, stored, mean), 0.0)


def has_distance(example) -> bool:
    """Whether `distances` knows that of a schema.Example."""
    if example.intrinsics is None:
        return False
    if example.translation is not None and example.translation[2] > 0:
        return True
    if example.joints3d is None:
        return False
    rows = example.joints3d[:, 3] > 0
    return bool(rows.any()) and (
        float(np.mean(example.joints3d[rows, 2])) > NEAREST_M
    )


def _middles(fields: Batch, squares: tf.Tensor) -> tf.Tensor:
    """(B, 2) where people's middles are in the image, pixel centres.

    The mean joint before the camera; or the mean keypoint; or the box's middle.
    """
    focal, centre = tf.split(fields["intrinsics"], 2, axis=1)
    joints3d, valid = fields["joints3d"][..., :3], fields["joints3d"][..., 3:]
    mean = _mean(joints3d, valid)
    depth = mean[:, 2:]
    projected = tf.math.divide_no_nan(mean[:, :2], depth) * focal + centre
    keypoints = fields["keypoints"]
    visible = keypoints[..., 2:]
    count = tf.reduce_sum(visible, axis=1)
    has_keypoints = (count >= _MIN_KEYPOINTS) & (
        fields["has_keypoints"][:, tf.newaxis] > 0
    )
    middle = squares[:, :2] + squares[:, 2:] / 2.0 - 0.5
    middle = tf.where(has_keypoints, _mean(keypoints[..., :2], visible), middle)
    is_before = (depth > NEAREST_M) & (fields["has_joints3d"][:, None] > 0)
    return tf.where(is_before, projected, middle)


def _mean(points: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
    """(B, C) means of the flagged points (B, K, C); 0 where there is none."""
    total = tf.reduce_sum(tf.where(flags > 0, points, 0.0), axis=1)
    count = tf.reduce_sum(tf.cast(flags > 0, tf.float32), axis=1)
    return tf.math.divide_no_nan(total, count)
