"""What a method may read of a crop beside its pixels (tf_hmr/method_inputs.py).

A record stores its image, which its reader may have cut out of a larger one
and shrunk. A crop of that image is scaled, moved, turned and mirrored by its
augmentation. Here follow what the original picture's camera is for the crop,
where the crop lies in that picture, and how large it was.

Turned or mirrored pixels are those of a camera that is turned or mirrored
about its own axis. Its picture is as large as before, and the crop lies in it
where the turned camera sees it: at the same place from the principal point as
the crop's intrinsics say.
"""

import tensorflow as tf

from tf_hmr import method_inputs
from training.data.pipeline import augment

Batch = dict[str, tf.Tensor]


def of_crops(
    fields: Batch,
    drawn: augment.Augmentation,
    to_ndc: tf.Tensor,
    good: tf.Tensor,
) -> Batch:
    """Box, image_size, intrinsics and landmarks of augmented crops.

    Args:
        fields: of parsing.parse.
        drawn: B augmentations.
        to_ndc: (B, 2, 3) of augment.image_to_ndc.
        good: (B,) 0 where the record is broken: its camera is then that of
            method_inputs.example, so that a network is fed finite numbers.

    Returns:
        By name, (B, ...) float32, as method_inputs.INPUTS says.
    """
    size, window = _original(fields)
    # Pixels of the original picture that one of the stored image covers.
    covers = window[:, 2:] / _stored_size(fields)
    pixels = _intrinsics(fields, size, window, covers)
    views = {
        "box": _box(to_ndc, pixels, window, covers),
        "image_size": size,
        "intrinsics": _in_crop(to_ndc, pixels),
        "landmarks": augment.landmarks(drawn, to_ndc, fields["landmarks"]),
    }
    example = method_inputs.example(tuple(views), image_size=1)
    for name, rows in views.items():
        flag = tf.reshape(good > 0, [-1] + [1] * (rows.shape.rank - 1))
        views[name] = tf.where(flag, rows, example[name])
    return views


def _stored_size(fields: Batch) -> tf.Tensor:
    """(B, 2) width and height of the stored image; a blank has one pixel."""
    size = tf.stack([fields["width"], fields["height"]], axis=1)
    return tf.maximum(tf.cast(size, tf.float32), 1.0)


def _original(fields: Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """Size (B, 2) of the original picture, and the stored image's window.

    The window is (B, 4) x, y, w, h in pixels of the picture, edges. What was
    not cut, or is of a record that does not say so, is the picture.
    """
    stored = _stored_size(fields)
    was_cut = fields["cut"][:, 2:3] > 0
    window = tf.concat([tf.zeros_like(stored), stored], axis=1)
    return (
        tf.where(was_cut, fields["original_size"], stored),
        tf.where(was_cut, fields["cut"], window),
    )


def _intrinsics(fields, size, window, covers) -> tf.Tensor:
    """(B, 4) fx, fy, cx, cy in pixels of the stored image, centres.

    Those of the record, or else camera.default_intrinsics of the picture.
    """
    known = fields["intrinsics"][:, :1] > 0
    focal = tf.reduce_max(size, axis=1, keepdims=True) / covers
    # Edges of pixels coincide, centres are half a pixel inside.
    centre = (size / 2 - window[:, :2]) / covers - 0.5
    default = tf.concat([focal, centre], axis=1)
    return tf.where(known, fields["intrinsics"], default)


def _in_crop(to_ndc: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Intrinsics of the stored image as those of the crop, in [-1, 1]."""
    linear, offset = to_ndc[:, :, :2], to_ndc[:, :, 2]
    # A turned camera stays one with a focal length for either axis, where
    # these are alike or the turn is none.
    focal = tf.linalg.matvec(tf.square(linear), tf.square(pixels[:, :2]))
    centre = tf.linalg.matvec(linear, pixels[:, 2:]) + offset
    return tf.concat([tf.sqrt(focal), centre], axis=1)


def _box(to_ndc, pixels, window, covers) -> tf.Tensor:
    """(B, 4) x, y, w, h of the crop in the original picture, edges."""
    per_pixel = tf.norm(to_ndc[:, :, :2], axis=1)  # The same for x and y.
    side = 2.0 / per_pixel * covers
    principal = (pixels[:, 2:] + 0.5) * covers + window[:, :2]
    centre = _in_crop(to_ndc, pixels)[:, 2:]
    middle = principal - centre * side / 2.0
    return tf.concat([middle - side / 2.0, side], axis=1)
