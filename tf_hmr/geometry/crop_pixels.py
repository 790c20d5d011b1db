"""Which pixels of an image make a crop, and how they shrink: one rule.

1. An image that the crop shrinks is reduced: whole blocks are averaged.
2. Of that only a window counts: the pixels under the crop and those around
   it that filters reach.
3. What remains of the shrinkage is antialiased.
4. The crop's pixels are interpolated between the window's; outside the image
   the nearest edge pixel is repeated.

For 1 and 3 `crop.crop_image` averages blocks, as exactly as one can. Training
makes thousands of crops a second: its images are reduced while they are decoded
and then blurred, or resized by area where a decoder cannot reduce.
"""

import math
import types
from typing import Any, NamedTuple

import cv2
import numpy as np

Array = Any
"""A numpy array; with tensorflow.experimental.numpy as `xp`, a tensor."""

# Up to this shrinkage interpolation is enough.
_SHARP = 1.25
# Standard deviation of the blur before a shrinkage of f, over sqrt(f^2 - 1).
# Among 0.25, 0.3, ..., 0.5 the closest to the area average of crop.crop_image.
_BLUR = 0.4
# Pixels around a crop that its blur (2) and interpolation (1) reach.
_MARGIN = 3
_OFFSET = np.array([0.0, 0.0, 1.0])  # column of the offsets in a (2, 3) map


class Window(NamedTuple):
    """The pixels of an image that a crop shows, in arrays of float64.

    Attributes:
        reduction: (..., 1) 1, 2, 4 or 8: the image is to be reduced so many
            times, its size rounded up.
        low: (..., 2) x and y of the window's first pixel in that image.
        high: (..., 2) one beyond its last pixel.
        shrinkage: (..., 1) pixels of that image per pixel of the crop.
        size: (..., 2) W and H to which the window is to be resized.
        from_crop: (..., 2, 3) from pixels of the crop to pixels of the resized
            window, centres.
    """

    reduction: Array
    low: Array
    high: Array
    shrinkage: Array
    size: Array
    from_crop: Array


def visible_window(
    to_ndc: Array,
    image_size: Array,
    side: int,
    canvas_side: float = math.inf,
    by_area: bool = False,
    xp: types.ModuleType = np,
) -> Window:
    """Chooses the pixels of an image that a crop shows.

    Args:
        to_ndc: (..., 2, 3) from its pixels, centres, to [-1, 1] of the crop,
            without shear; if it is not finite, neither is `from_crop`.
        image_size: (..., 2) W and H in pixels.
        side: of the crop in pixels.
        canvas_side: pixels that the longer side of `size` may have.
        by_area: antialias by the resizing, without reduction.
        xp: the arrays' library: numpy, or tensorflow.experimental.numpy, whose
            graphs run without Python.
    """
    to_ndc = xp.asarray(to_ndc, np.float64)
    linear, offset = to_ndc[..., :2], to_ndc[..., 2:]
    # Without shear the inverse is the transpose, but for the scale. From here
    # on in pixel edges, which scale with the image.
    squared_scale = xp.sum(linear[..., :1, :] ** 2, axis=-1, keepdims=True)
    linear = xp.swapaxes(linear, -1, -2) / squared_scale
    from_ndc = xp.concatenate([linear, 0.5 - linear @ offset], axis=-1)
    shrinkage = 2 / side / xp.sqrt(squared_scale[..., 0])
    reduction = xp.ones_like(shrinkage)
    for larger in () if by_area else (2.0, 4.0, 8.0):
        reduction = xp.where(shrinkage >= larger, larger, reduction)
    shrinkage = shrinkage / reduction
    from_ndc = from_ndc / reduction[..., None]
    # Between the centres of the crop's first and last pixels, and around.
    reach = (1 - 1 / side) * xp.sum(xp.abs(from_ndc[..., :2]), axis=-1)
    reach, centre = reach + _MARGIN + 0.5, from_ndc[..., 2]
    image_size = xp.ceil(xp.asarray(image_size, np.float64) / reduction)
    low, high = whole_pixels(centre - reach, centre + reach, image_size, xp)
    window_size = high - low
    factor = xp.max(window_size, axis=-1, keepdims=True) / canvas_side
    factor = xp.maximum(factor, shrinkage / _SHARP if by_area else 1.0)
    size = xp.floor(window_size / xp.maximum(factor, 1.0) + 0.5)
    size = xp.maximum(size, 1.0)
    # Crop pixels to ndc, to edges of the window, to its resized pixels.
    pixel, first = 2 / side, 1 / side - 1
    from_crop = from_ndc @ np.array(
        [[pixel, 0.0, first], [0.0, pixel, first], [0.0, 0.0, 1.0]]
    )
    from_crop = from_crop - low[..., None] * _OFFSET
    from_crop = from_crop * (size / window_size)[..., None] - 0.5 * _OFFSET
    return Window(reduction, low, high, shrinkage, size, from_crop)


def whole_pixels(
    low: Array, high: Array, size: Array, xp: types.ModuleType = np
) -> tuple[Array, Array]:
    """Rounds edges (..., 2) outwards, to a pixel of the image at least."""
    low = xp.clip(xp.floor(low), 0.0, size - 1.0)
    return low, xp.clip(xp.ceil(high), low + 1.0, size)


def blur(pixels: np.ndarray, shrinkage: float) -> np.ndarray:
    """Antialiases pixels (h, w, 3) uint8 that a crop shrinks."""
    if shrinkage <= _SHARP:
        return pixels
    sigma = _BLUR * math.sqrt(shrinkage * shrinkage - 1)
    return cv2.GaussianBlur(
        pixels, (5, 5), sigma, borderType=cv2.BORDER_REPLICATE
    )
