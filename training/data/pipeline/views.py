"""Inputs of a method other than the image (tf_hmr/method_inputs.py).

A record stores an image that its reader may have cut out of a larger one, the
original image, and shrunk. The augmentation scales, shifts, rotates and mirrors
the crop of the stored image. This module computes the crop's camera from that
of the original image, the crop's box in the original image, and its size.

Rotated or mirrored pixels are those of a camera that is rotated or mirrored
about its optical axis. Its image has the same size, and the position of the
crop's box follows from the crop's intrinsics: its offset from the principal
point.
"""

import tensorflow as tf

from tf_hmr import method_inputs
from training.data.pipeline import augment, metric_crops

Batch = dict[str, tf.Tensor]


def of_crops(
    fields: Batch,
    augmentation: augment.Augmentation,
    to_ndc: tf.Tensor,
    good: tf.Tensor,
) -> Batch:
    """Box, image_size, intrinsics, landmarks and depth of augmented crops.

    Args:
        fields: of parsing.parse.
        augmentation: of B examples.
        to_ndc: (B, 2, 3) of augment.image_to_ndc.
        good: (B,) 0 where the record is broken: its camera is then that of
            method_inputs.example, so that a network is fed finite numbers.

    Returns:
        Arrays by name, (B, ...) float32, as method_inputs.INPUTS says.
    """
    image_size, window = _original(fields)
    # Side of a pixel of the stored image, in pixels of the original image.
    scale = window[:, 2:] / _stored_size(fields)
    pixels = _intrinsics(fields, image_size, window, scale)
    views = {
        "box": _box(to_ndc, pixels, window, scale),
        "image_size": image_size,
        "intrinsics": _in_crop(to_ndc, pixels),
        "landmarks": augment.landmarks(
            augmentation, to_ndc, fields["landmarks"]
        ),
        "depth": metric_crops.distances(fields)[:, tf.newaxis],
    }
    example = method_inputs.example(tuple(views), image_size=1)
    # A record whose distance is not known has zeros.
    usable = {"depth": good * tf.cast(views["depth"][:, 0] > 0, tf.float32)}
    for name, rows in views.items():
        flag = usable.get(name, good)
        flag = tf.reshape(flag > 0, [-1] + [1] * (rows.shape.rank - 1))
        views[name] = tf.where(flag, rows, example[name])
    return views


def _stored_size(fields: Batch) -> tf.Tensor:
    """(B, 2) width and height of the stored image; 1 for a blank record."""
    size = tf.stack([fields["width"], fields["height"]], axis=1)
    return tf.maximum(tf.cast(size, tf.float32), 1.0)


def _original(fields: Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """Size (B, 2) of the original image, and the stored image's window.

    The window is (B, 4) x, y, w, h in pixels of the original image, edges. An
    image that was not cut, as far as its record says, is the original.
    """
    stored = _stored_size(fields)
    was_cut = fields["cut"][:, 2:3] > 0
    window = tf.concat([tf.zeros_like(stored), stored], axis=1)
    return (
        tf.where(was_cut, fields["original_size"], stored),
        tf.where(was_cut, fields["cut"], window),
    )


def _intrinsics(fields, size, window, scale) -> tf.Tensor:
    """(B, 4) fx, fy, cx, cy in pixels of the stored image, centres.

    Those of the record, or else camera.default_intrinsics of the original.
    """
    has_intrinsics = tf.reduce_all(
        fields["intrinsics"][:, :2] > 0, axis=1, keepdims=True
    )
    focal = tf.reduce_max(size, axis=1, keepdims=True) / scale
    # Edges of pixels coincide, centres are half a pixel inside.
    centre = (size / 2 - window[:, :2]) / scale - 0.5
    default = tf.concat([focal, centre], axis=1)
    return tf.where(has_intrinsics, fields["intrinsics"], default)


def _in_crop(to_ndc: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Maps intrinsics of the stored image to those of the crop, in [-1, 1]."""
    linear, offset = to_ndc[:, :, :2], to_ndc[:, :, 2]
    # A turned camera keeps one focal length per axis only if both are equal,
    # or if it is not turned.
    focal = tf.linalg.matvec(tf.square(linear), tf.square(pixels[:, :2]))
    centre = tf.linalg.matvec(linear, pixels[:, 2:]) + offset
    return tf.concat([tf.sqrt(focal), centre], axis=1)


def _box(to_ndc, pixels, window, scale) -> tf.Tensor:
    """(B, 4) x, y, w, h of the crop in the original image, edges."""
    per_pixel = tf.norm(to_ndc[:, :, :2], axis=1)  # The same for x and y.
    side = 2.0 / per_pixel * scale
    principal = (pixels[:, 2:] + 0.5) * scale + window[:, :2]
    centre = _in_crop(to_ndc, pixels)[:, 2:]
    middle = principal - centre * side / 2.0
    return tf.concat([middle - side / 2.0, side], axis=1)
