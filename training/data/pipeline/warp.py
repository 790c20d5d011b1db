"""Finishes the images of a training batch, on the training device.

The pipeline gives images as bytes, a quarter of the size of float32. Either
they are crops already (`data.warp=host`), or the processor has only decoded
the pixels of each crop onto a canvas (`data.warp=step`). `finish` makes float32
crops of both.
"""

import math

import tensorflow as tf

Batch = dict[str, tf.Tensor]


def canvas_side(image_size: int) -> int:
    """Side of the canvas for crops of `image_size` pixels: 1.5 times as large.

    The upright box around a turned square is at most sqrt(2) times as wide,
    so that the canvas, whatever the rotation, is no coarser than the crop.
    """
    return math.ceil(1.5 * image_size)


def finish(batch: Batch, image_size: int) -> Batch:
    """Replaces the batch's image fields by `image` in float32.

    Args:
        batch: of batches.train_dataset. Either `image` (B, S, S, 3) uint8;
            or `canvas` (B, C, C, 3) uint8, `filled` (B, 2) float32, the width
            and height of it that hold an image, and `to_canvas` (B, 2, 3)
            from pixels of the crop to pixels of the canvas, with, where there
            are occluders, `occluder` (B, 4) and `occluder_rgb` (B, 3)
            (augment.Augmentation). `gain` (B, 3) where colours change. A
            batch whose `image` is float32 stays as it is.
        image_size: side S of the crops in pixels.

    Returns:
        The batch without these, and `image` (B, S, S, 3) float32 0..255.
    """
    image = batch.get("image", batch.get("canvas"))
    if image is None or image.dtype != tf.uint8:
        return batch
    image_fields = {
        name: batch[name] for name in _IMAGE_FIELDS if name in batch
    }
    remaining = {
        name: batch[name] for name in batch if name not in image_fields
    }
    return remaining | {"image": _finished(image_fields, image_size)}


_IMAGE_FIELDS = (
    "image",
    "canvas",
    "filled",
    "to_canvas",
    "occluder",
    "occluder_rgb",
    "gain",
)


@tf.function(jit_compile=True, autograph=False)
def _finished(fields: Batch, image_size: int) -> tf.Tensor:
    if "canvas" in fields:
        image = _sampled(
            fields["canvas"], fields["filled"], fields["to_canvas"], image_size
        )
    else:
        image = tf.cast(fields["image"], tf.float32)
    if "occluder" in fields:
        hidden = _hidden(fields["occluder"], image_size)
        colour = tf.floor(fields["occluder_rgb"])[:, None, None]
        image = tf.where(hidden, colour, image)
    if "gain" in fields:
        image = tf.clip_by_value(image * fields["gain"][:, None, None], 0, 255)
    return image


def _sampled(
    canvas: tf.Tensor, filled: tf.Tensor, to_canvas: tf.Tensor, side: int
) -> tf.Tensor:
    """Bilinear samples (B, S, S, 3); outside, the nearest pixel's."""
    pixel = tf.range(side, dtype=tf.float32)
    across, down = pixel[None, None, :], pixel[None, :, None]
    last = filled - 1.0

    def neighbours(axis: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        a, b, c = (to_canvas[:, axis, k, None, None] for k in range(3))
        end = last[:, axis, None, None]
        position = tf.clip_by_value(a * across + b * down + c, 0.0, end)
        low = tf.floor(position)
        high = tf.minimum(low + 1.0, end)
        return position - low, tf.cast(low, tf.int32), tf.cast(high, tf.int32)

    (right, x0, x1), (below, y0, y1) = neighbours(0), neighbours(1)
    width = canvas.shape[1]
    pixels = tf.reshape(canvas, [-1, width * width, 3])

    def look_up(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        colours = tf.gather(pixels, y * width + x, batch_dims=1)
        return tf.cast(colours, tf.float32)

    right, below = right[..., None], below[..., None]
    top = look_up(x0, y0) * (1 - right) + look_up(x1, y0) * right
    bottom = look_up(x0, y1) * (1 - right) + look_up(x1, y1) * right
    return top * (1 - below) + bottom * below


def _hidden(occluder: tf.Tensor, side: int) -> tf.Tensor:
    """Masks (B, S, S, 1) of the occluding rectangles."""
    centre, half = occluder[:, :2], occluder[:, 2:]
    low = tf.round((centre - half + 1.0) * (side / 2))
    high = tf.round((centre + half + 1.0) * (side / 2))
    pixel = tf.range(side, dtype=tf.float32)
    inside = (pixel >= low[..., None]) & (pixel < high[..., None])
    inside &= (half > 0)[..., None]
    return (inside[:, 1, :, None] & inside[:, 0, None, :])[..., None]
