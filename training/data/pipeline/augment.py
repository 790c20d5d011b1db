"""Augmentation, drawn once per example and applied alike to every label.

The matrix of image_to_ndc warps the pixels (pixels.py) and the keypoints; 3D
joints and rotations use the same angle and flip. The rotation is about the
camera's optical axis, which is exact for weak perspective.
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
    """Augmentation of each of B examples.

    Attributes:
        flip: (B,) 1 mirrors left and right, else 0.
        rotation_rad: (B,) turns the image from its x towards its y axis.
        scale: (B,) above 1 makes the person larger.
        shift: (B, 2) moves the crop's centre, in sides of the crop.
        gain: (B, 3) factors of red, green and blue.
        occluder: (B, 4) centre and half size of a rectangle in ndc; a size
            of 0 hides nothing.
        occluder_rgb: (B, 3) its colour, 0..255.
        scenery: (B, 3) int64: 1 replaces the background, 1 adds an object,
            and the seed of both (scenery.py).
    """

    flip: tf.Tensor
    rotation_rad: tf.Tensor
    scale: tf.Tensor
    shift: tf.Tensor
    gain: tf.Tensor
    occluder: tf.Tensor
    occluder_rgb: tf.Tensor
    scenery: tf.Tensor


def draw(options: config.Augment, seed: tf.Tensor, count: int) -> Augmentation:
    """Draws augmentations, which depend on the arguments alone.

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
    is_rotated = tf.cast(turn[:, 0] < options.rotation_probability, tf.float32)
    is_occluded = tf.cast(hide < options.occlude, tf.float32)
    return Augmentation(
        flip=tf.cast(flip[:, 0] < options.flip, tf.float32),
        rotation_rad=angle * is_rotated,
        scale=low + (high - low) * scale[:, 0],
        shift=(2.0 * shift - 1.0) * options.shift,
        gain=1.0 + (2.0 * gain - 1.0) * options.colour,
        occluder=tf.concat(
            [2.0 * box[:, :2] - 1.0, is_occluded * half_sizes], axis=1
        ),
        occluder_rgb=255.0 * rgb,
        scenery=_scenery(options, seed, count),
    )


def _scenery(options: config.Augment, seed, count: int) -> tf.Tensor:
    """(count, 3) int64 of Augmentation.scenery, by draws of its own."""
    shares = tf.random.stateless_uniform(
        (count, 2), tf.random.fold_in(seed, 2), alg="philox"
    )
    seeds = tf.random.stateless_uniform(
        (count, 1),
        tf.random.fold_in(seed, 3),
        0,
        2**31 - 1,
        tf.int64,
        alg="philox",
    )
    flags = shares < [[options.background, options.objects]]
    return tf.concat([tf.cast(flags, tf.int64), seeds], axis=1)


def identity(count: tf.Tensor | int) -> Augmentation:
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
        scenery=tf.zeros([count, 3], tf.int64),
    )


def square_boxes(boxes: tf.Tensor, scale: float) -> tf.Tensor:
    """Computes crop.square_box for a batch (B, 4) of boxes x, y, w, h."""
    x, y, w, h = tf.split(boxes, 4, axis=1)
    side = tf.maximum(w, h) * scale
    return tf.concat(
        [x + (w - side) / 2.0, y + (h - side) / 2.0, side, side], axis=1
    )


def image_to_ndc(augmentation: Augmentation, boxes: tf.Tensor) -> tf.Tensor:
    """Affine maps from source pixels to [-1, 1] of the augmented crop.

    Args:
        augmentation: of B examples.
        boxes: (B, 4) square boxes, pixel edges.

    Returns:
        (B, 2, 3): ndc = matrix @ [x, y, 1], pixel-centre coordinates.
    """
    side = boxes[:, 2:3]
    # Edge coordinates are 0.5 more than those of pixel centres.
    centre = boxes[:, :2] + side * (0.5 + augmentation.shift) - 0.5
    per_pixel = (2.0 * augmentation.scale)[:, None, None] / side[:, :, None]
    linear = per_pixel * _turn_and_flip(augmentation)
    return tf.concat([linear, -linear @ centre[:, :, None]], axis=2)


def keypoints(
    augmentation: Augmentation,
    to_ndc: tf.Tensor,
    points: tf.Tensor,
    names: Sequence[str] = joints.KEYPOINTS,
) -> tf.Tensor:
    """Maps keypoints (B, K, 3) from source pixels to ndc of the crop.

    A keypoint that leaves the crop keeps its visibility; one that was never
    visible becomes 0, 0, 0.

    Args:
        augmentation: of B examples.
        to_ndc: (B, 2, 3) of image_to_ndc.
        points: x, y and visibility or confidence.
        names: the K keypoints.
    """
    visible = points[:, :, 2:]
    xy = tf.matmul(points[:, :, :2], to_ndc[:, :, :2], transpose_b=True)
    xy = tf.where(visible > 0, xy + to_ndc[:, None, :, 2], 0.0)
    return _swap_sides(augmentation, tf.concat([xy, visible], axis=2), names)


def landmarks(
    augmentation: Augmentation, to_ndc: tf.Tensor, points: tf.Tensor
) -> tf.Tensor:
    """Maps landmarks (B, 33, 7) of source pixels to method_inputs.INPUTS.

    Unknown landmarks, with a visibility of 0, stay 0.
    """
    pixels, metres, flags = tf.split(points, (2, 3, 2), axis=2)
    xy = tf.matmul(pixels, to_ndc[:, :, :2], transpose_b=True)
    xy = tf.where(flags[:, :, :1] > 0, xy + to_ndc[:, None, :, 2], 0.0)
    rotated = tf.matmul(
        metres[:, :, :2], _turn_and_flip(augmentation), transpose_b=True
    )
    augmented = tf.concat([xy, rotated, metres[:, :, 2:], flags], axis=2)
    return _swap_sides(augmentation, augmented, joints.BLAZEPOSE33)


def joints3d(augmentation: Augmentation, points: tf.Tensor) -> tf.Tensor:
    """Augments 3D joints (B, K, 4), camera frame and valid flag."""
    linear = _turn_and_flip(augmentation)
    xy = tf.matmul(points[:, :, :2], linear, transpose_b=True)
    return _swap_sides(augmentation, tf.concat([xy, points[:, :, 2:]], axis=2))


def rotmats(augmentation: Augmentation, rotations: tf.Tensor) -> tf.Tensor:
    """Augments joint rotations (B, 24, 3, 3), the first one global."""
    about_z = tf.pad(augmentation.rotation_rad[:, None], [[0, 0], [2, 0]])
    rotated = geometry.rotvec_to_rotmat(about_z)[:, None] @ rotations[:, :1]
    rotated = tf.concat([rotated, rotations[:, 1:]], axis=1)
    flip = augmentation.flip[:, None, None, None] > 0
    return tf.where(flip, geometry.mirror_rotmats(rotated), rotated)


def undo_rotmats(augmentation: Augmentation, rotations: tf.Tensor) -> tf.Tensor:
    """Inverts `rotmats`: the rotations before the augmentation."""
    flip = augmentation.flip[:, None, None, None] > 0
    unflipped = tf.where(flip, geometry.mirror_rotmats(rotations), rotations)
    # `rotmats` mirrors last, so the mirroring is undone first.
    inverse = augmentation._replace(
        flip=tf.zeros_like(augmentation.flip),
        rotation_rad=-augmentation.rotation_rad,
    )
    return rotmats(inverse, unflipped)


def _turn_and_flip(augmentation: Augmentation) -> tf.Tensor:
    """(B, 2, 2): first the rotation, then the mirroring of x."""
    angle = augmentation.rotation_rad
    cos, sin = tf.cos(angle), tf.sin(angle)
    sign = 1.0 - 2.0 * augmentation.flip
    rows = [[sign * cos, -sign * sin], [sin, cos]]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def _swap_sides(
    augmentation: Augmentation,
    points: tf.Tensor,
    names: Sequence[str] = joints.KEYPOINTS,
) -> tf.Tensor:
    mirrored = tf.gather(points, joints.mirror(names), axis=1)
    return tf.where(augmentation.flip[:, None, None] > 0, mirrored, points)
