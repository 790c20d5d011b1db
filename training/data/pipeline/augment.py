"""Augmentation: drawn once per example, then applied alike to every label.

The pixels are warped with the very matrix that moves the keypoints
(image_to_ndc; pixels.py), 3D joints and rotations turn and mirror
with the same angle and flip. Rotation is about the camera's viewing axis,
which is exact for weak perspective.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_hmr import joints
from tf_hmr.geometry import rotations as geometry
from training import config

_UNIFORMS = 16
# Sides of the occluding rectangle, as shares of the crop's side: from one
# forearm to a torso, in a crop that holds the whole body.
_OCCLUDER = (0.1, 0.4)


class Augmentation(NamedTuple):
    """What happens to each of B examples.

    Attributes:
        flip: (B,) 1 mirrors left and right, else 0.
        rotation_rad: (B,) turns the picture from its x towards its y axis.
        scale: (B,) above 1 makes the person larger.
        shift: (B, 2) moves the crop's centre, in sides of the crop.
        gain: (B, 3) factors of red, green and blue.
        occluder: (B, 4) centre and half size of a rectangle in ndc; a size
            of 0 hides nothing.
        occluder_rgb: (B, 3) its colour, 0..255.
    """

    flip: tf.Tensor
    rotation_rad: tf.Tensor
    scale: tf.Tensor
    shift: tf.Tensor
    gain: tf.Tensor
    occluder: tf.Tensor
    occluder_rgb: tf.Tensor


def draw(options: config.Augment, seed: tf.Tensor, count: int) -> Augmentation:
    """Draws for `count` examples; a function of its arguments alone.

    Args:
        options: ranges and probabilities.
        seed: (2,) integers, for the pipeline (seed, step).
        count: number of examples, the whole batch of all devices, so that
            every number of devices sees the same augmentation.
    """
    seed = tf.random.fold_in(tf.cast(seed, tf.int64), 0)
    uniform = tf.random.stateless_uniform(
        (count, _UNIFORMS), seed, alg="philox"
    )
    turn, scale, shift, gain, flip, hide, box, rgb = tf.split(
        uniform, (1, 1, 2, 3, 1, 1, 4, 3), axis=1
    )
    low, high = options.scale
    smallest, largest = _OCCLUDER
    half_sizes = smallest + (largest - smallest) * box[:, 2:]
    # Truncated at two standard deviations.
    angle = tf.random.stateless_truncated_normal(
        (count,),
        tf.random.fold_in(seed, 1),
        stddev=math.radians(options.rotation_deg),
        alg="philox",
    )
    rotated = tf.cast(turn[:, 0] < options.rotation_probability, tf.float32)
    hidden = tf.cast(hide < options.occlude, tf.float32)
    return Augmentation(
        flip=tf.cast(flip[:, 0] < options.flip, tf.float32),
        rotation_rad=angle * rotated,
        scale=low + (high - low) * scale[:, 0],
        shift=(2.0 * shift - 1.0) * options.shift,
        gain=1.0 + (2.0 * gain - 1.0) * options.colour,
        occluder=tf.concat(
            [2.0 * box[:, :2] - 1.0, hidden * half_sizes], axis=1
        ),
        occluder_rgb=255.0 * rgb,
    )


def nothing(count: tf.Tensor | int) -> Augmentation:
    """The augmentation that leaves `count` examples as they are."""
    zeros, ones = tf.zeros([count]), tf.ones([count])
    return Augmentation(
        flip=zeros,
        rotation_rad=zeros,
        scale=ones,
        shift=tf.zeros([count, 2]),
        gain=tf.ones([count, 3]),
        occluder=tf.zeros([count, 4]),
        occluder_rgb=tf.zeros([count, 3]),
    )


def square_boxes(boxes: tf.Tensor, scale: float) -> tf.Tensor:
    """crop.square_box for a batch (B, 4) of boxes x, y, w, h."""
    x, y, w, h = tf.split(boxes, 4, axis=1)
    side = tf.maximum(w, h) * scale
    return tf.concat(
        [x + (w - side) / 2.0, y + (h - side) / 2.0, side, side], axis=1
    )


def image_to_ndc(drawn: Augmentation, boxes: tf.Tensor) -> tf.Tensor:
    """The maps from source pixels to [-1, 1] of the augmented crop.

    Args:
        drawn: B augmentations.
        boxes: (B, 4) square boxes, pixel edges.

    Returns:
        (B, 2, 3): ndc = matrix @ [x, y, 1], pixel-centre coordinates.
    """
    side = boxes[:, 2:3]
    # Edge coordinates are 0.5 more than those of pixel centres.
    centre = boxes[:, :2] + side * (0.5 + drawn.shift) - 0.5
    per_pixel = (2.0 * drawn.scale)[:, None, None] / side[:, :, None]
    linear = per_pixel * _turn_and_flip(drawn)
    return tf.concat([linear, -linear @ centre[:, :, None]], axis=2)


def keypoints(
    drawn: Augmentation, to_ndc: tf.Tensor, points: tf.Tensor
) -> tf.Tensor:
    """Keypoints (B, K, 3) of source pixels, in ndc of the crop.

    A keypoint that leaves the crop keeps its visibility; one that was never
    visible becomes 0, 0, 0.
    """
    visible = points[:, :, 2:]
    xy = tf.matmul(points[:, :, :2], to_ndc[:, :, :2], transpose_b=True)
    xy = tf.where(visible > 0, xy + to_ndc[:, None, :, 2], 0.0)
    return _swap_sides(drawn, tf.concat([xy, visible], axis=2))


def landmarks(
    drawn: Augmentation, to_ndc: tf.Tensor, points: tf.Tensor
) -> tf.Tensor:
    """Landmarks (B, 33, 7) of source pixels as those of method_inputs.INPUTS.

    What is not known, with a visibility of 0, stays 0.
    """
    pixels, metres, seen = tf.split(points, (2, 3, 2), axis=2)
    xy = tf.matmul(pixels, to_ndc[:, :, :2], transpose_b=True)
    xy = tf.where(seen[:, :, :1] > 0, xy + to_ndc[:, None, :, 2], 0.0)
    across = tf.matmul(
        metres[:, :, :2], _turn_and_flip(drawn), transpose_b=True
    )
    moved = tf.concat([xy, across, metres[:, :, 2:], seen], axis=2)
    return _swap_sides(drawn, moved, joints.BLAZEPOSE33)


def joints3d(drawn: Augmentation, points: tf.Tensor) -> tf.Tensor:
    """3D joints (B, K, 4), camera frame and valid flag, after `drawn`."""
    linear = _turn_and_flip(drawn)
    xy = tf.matmul(points[:, :, :2], linear, transpose_b=True)
    return _swap_sides(drawn, tf.concat([xy, points[:, :, 2:]], axis=2))


def rotmats(drawn: Augmentation, rotations: tf.Tensor) -> tf.Tensor:
    """Joint rotations (B, 24, 3, 3), the first one global, after `drawn`."""
    about_z = tf.pad(drawn.rotation_rad[:, None], [[0, 0], [2, 0]])
    turned = geometry.rotvec_to_rotmat(about_z)[:, None] @ rotations[:, :1]
    turned = tf.concat([turned, rotations[:, 1:]], axis=1)
    flip = drawn.flip[:, None, None, None] > 0
    return tf.where(flip, geometry.mirror_rotmats(turned), turned)


def undone_rotmats(drawn: Augmentation, rotations: tf.Tensor) -> tf.Tensor:
    """The inverse of `rotmats`: as they were before `drawn`."""
    flip = drawn.flip[:, None, None, None] > 0
    upright = tf.where(flip, geometry.mirror_rotmats(rotations), rotations)
    # Mirrored last, so first to be undone.
    back = drawn._replace(
        flip=tf.zeros_like(drawn.flip), rotation_rad=-drawn.rotation_rad
    )
    return rotmats(back, upright)


def _turn_and_flip(drawn: Augmentation) -> tf.Tensor:
    """(B, 2, 2): first the rotation, then the mirroring of x."""
    cos, sin = tf.cos(drawn.rotation_rad), tf.sin(drawn.rotation_rad)
    sign = 1.0 - 2.0 * drawn.flip
    rows = [[sign * cos, -sign * sin], [sin, cos]]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def _swap_sides(
    drawn: Augmentation,
    points: tf.Tensor,
    names: Sequence[str] = joints.KEYPOINTS,
) -> tf.Tensor:
    mirrored = tf.gather(points, joints.mirror(names), axis=1)
    return tf.where(drawn.flip[:, None, None] > 0, mirrored, points)
