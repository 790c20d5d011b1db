"""Which pixels of an image make a crop, and how they shrink: one rule.

1. An image that the crop shrinks is reduced: whole blocks are averaged.
2. Of that only a window counts: the pixels under the crop and those around
   it that filters reach.
3. What remains of the shrinkage is antialiased.
4. The crop's pixels are interpolated between the window's; outside the image
   the nearest edge pixel is repeated.

For 1 and 3 `crop.crop_image` averages blocks, as exactly as one can. Training
makes thousands of crops a second: it reduces as far as a JPEG decodes for
nothing, and blurs for the rest (`visible_window`).

The functions take arrays of any leading shape, of the library `xp`: numpy, or
tensorflow.experimental.numpy, whose graphs run without Python. Points are in
pixel-centre coordinates (crop.py); maps turn, mirror, scale and shift.
"""

import types
from typing import Any, NamedTuple

import cv2
import numpy as np

Array = Any
"""A numpy array; with tensorflow.experimental.numpy as `xp`, a tensor."""

BLUR_SIZE = 5
"""Pixels of the blur's kernel along one axis."""
# Standard deviation of the blur before a shrinkage of f, over sqrt(f^2 - 1).
# Among 0.25, 0.3, ..., 0.5 the closest to the area average of crop.crop_image.
_BLUR = 0.4
_LEAST_BLUR = 0.3  # below it the blur changes nothing
# Pixels around a crop that its blur (2) and interpolation (1) reach.
_MARGIN = 3


class Window(NamedTuple):
    """The pixels of an image that a crop shows, in arrays of float64.

    Attributes:
        reduction: (...,) 1, 2, 4 or 8, as decoders of JPEG offer: the image is
            to be reduced so many times; its size is rounded up.
        low: (..., 2) x and y of the window's first pixel in that image.
        high: (..., 2) one beyond its last pixel.
        blur: (...,) standard deviation in pixels of the window's Gaussian
            blur; 0 for none.
        to_crop: (..., 2, 3) from pixels of the window to pixels of the crop.
    """

    reduction: Array
    low: Array
    high: Array
    blur: Array
    to_crop: Array


def visible_window(
    to_ndc: Array, image_size: Array, side: int, xp: types.ModuleType = np
) -> Window:
    """Chooses the pixels of an image that a crop shows.

    Args:
        to_ndc: (..., 2, 3) float64 from its pixels to [-1, 1] of the crop.
        image_size: (..., 2) float64, W and H in pixels.
        side: of the crop in pixels.
        xp: library of the arrays.
    """
    shrinkage = 2.0 / (side * xp.hypot(to_ndc[..., 0, 0], to_ndc[..., 0, 1]))
    reduction = 1.0 + sum(
        xp.where(shrinkage >= 2.0 * k, k, 0.0) for k in (1.0, 2.0, 4.0)
    )
    remaining = shrinkage / reduction
    blur = _BLUR * xp.sqrt(xp.maximum(remaining * remaining - 1.0, 0.0))
    to_crop = ndc_to_crop(to_ndc, side, reduction, xp)
    from_crop = inverse(to_crop, xp)
    last = side - 1
    middle = from_crop @ np.array([[last / 2], [last / 2], [1.0]])
    reach = last / 2 * xp.sum(xp.abs(from_crop[..., :2]), axis=-1) + _MARGIN
    size = xp.ceil(image_size / reduction[..., None])
    low, high = whole_pixels(
        middle[..., 0] - reach, middle[..., 0] + reach + 1.0, size, xp
    )
    offset = to_crop[..., 2:] + to_crop[..., :2] @ low[..., None]
    return Window(
        reduction,
        low,
        high,
        xp.where(blur > _LEAST_BLUR, blur, 0.0),
        xp.concatenate([to_crop[..., :2], offset], axis=-1),
    )


def whole_pixels(
    low: Array, high: Array, size: Array, xp: types.ModuleType = np
) -> tuple[Array, Array]:
    """First pixels between two edges and in the image, and the ends beyond.

    There is one at least: a crop beside the image repeats its edge.

    Args:
        low: (..., 2) x and y, pixel edges.
        high: (..., 2) as `low`.
        size: (..., 2) W and H of the image.
        xp: library of the arrays.
    """
    low = xp.clip(xp.floor(low), 0.0, size - 1.0)
    return low, xp.clip(xp.ceil(high), low + 1.0, size)


def ndc_to_crop(
    to_ndc: Array, side: int, reduction: Array, xp: types.ModuleType = np
) -> Array:
    """Maps (..., 2, 3) from pixels of a reduced image to pixels of the crop.

    Args:
        to_ndc: (..., 2, 3) from pixels of the image to [-1, 1] of the crop.
        side: of the crop in pixels.
        reduction: (...,) of the image. Pixel q of the reduced image averages
            pixels reduction q, ..., reduction q + reduction - 1.
        xp: library of the arrays.
    """
    half, linear = side / 2, to_ndc[..., :2]
    reduction = reduction[..., None, None]
    shift = (reduction - 1.0) / 2 * xp.sum(linear, axis=-1, keepdims=True)
    offset = half * (shift + to_ndc[..., 2:] + 1.0) - 0.5
    return xp.concatenate([half * reduction * linear, offset], axis=-1)


def inverse(to_crop: Array, xp: types.ModuleType = np) -> Array:
    """Inverts maps (..., 2, 3)."""
    linear = to_crop[..., :2]
    # Without shear the inverse is the transpose, but for the scale.
    squared_scale = xp.sum(linear[..., :1, :] ** 2, axis=-1, keepdims=True)
    linear = xp.swapaxes(linear, -1, -2) / squared_scale
    return xp.concatenate([linear, -linear @ to_crop[..., 2:]], axis=-1)


def fit(
    window: Window, canvas_side: int, xp: types.ModuleType = np
) -> tuple[Array, Array]:
    """Sizes (..., 2) of windows, shrunk to a canvas, and maps to their pixels.

    Args:
        window: of visible_window.
        canvas_side: pixels that the longer side of a window may have.
        xp: library of the arrays.

    Returns:
        W and H in pixels; and (..., 2, 3) from pixels of the crop to pixels of
        the resized window.
    """
    size = window.high - window.low
    overflow = xp.max(size, axis=-1, keepdims=True) / canvas_side
    fitted = xp.maximum(xp.round(size / xp.maximum(overflow, 1.0)), 1.0)
    factor = (fitted / size)[..., None]
    from_crop = inverse(window.to_crop, xp) * factor
    # Edges of pixels coincide, centres are half a pixel inside.
    start = from_crop[..., 2:] + (factor - 1.0) / 2
    return fitted, xp.concatenate([from_crop[..., :2], start], axis=-1)


def warp(pixels: np.ndarray, to_crop: np.ndarray, side: int) -> np.ndarray:
    """Interpolates a crop; outside, the nearest edge pixel is repeated.

    Args:
        pixels: (h, w, 3) uint8.
        to_crop: (2, 3) from their coordinates to pixels of the crop.
        side: of the crop in pixels.

    Returns:
        (side, side, 3) uint8.
    """
    return cv2.warpAffine(
        pixels,
        to_crop,
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
