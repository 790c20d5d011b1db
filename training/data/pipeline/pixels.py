"""Decodes stored JPEG and PNG bytes to the pixels of a crop, in OpenCV.

Measured on 2 cores: OpenCV decodes and warps a 128 px JPEG in half the CPU
time of TensorFlow's ops, and an exception here costs one example, where a
failing TensorFlow op costs the batch.
"""

import math
import struct
from collections.abc import Sequence

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from tf_hmr.formats import image_files, jpeg_data
from tf_hmr.formats.jpeg_data import BadImage

# Reduced sizes that the JPEG decoder offers, with OpenCV's flag for each.
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
# Standard deviation of the blur before a shrinkage of f, over sqrt(f^2 - 1).
# Among 0.25, 0.3, ..., 0.5 the closest to the area average of crop.crop_image.
_BLUR = 0.4
_MIN_BLUR = 0.3  # below it a 5 x 5 kernel changes nothing
# Pixels around a crop that its blur (2) and interpolation (1) reach.
_MARGIN = 3
# Kinds of a JPEG's frames that hold rows in one pass, from the top.
_SEQUENTIAL = (0xC0, 0xC1)
_RESTARTS = b"\xff\xdd"  # announces markers that the decoder would miss
_BLOCK = 16  # rows that are coded together, at most


def mirrored_parts() -> np.ndarray:
    """Lookup table (256,) of the part labels of a mirrored label image."""
    names = tuple(body_parts.PARTS["part14"])
    table = np.arange(256, dtype=np.uint8)
    table[1 : len(names) + 1] = np.array(joints.mirror(names)) + 1
    return table


_MIRRORED_PARTS = mirrored_parts()


def image_crop(
    jpeg: bytes, size: tuple[int, int], to_ndc: np.ndarray, side: int
) -> np.ndarray:
    """Decodes and warps an image; antialiased when it shrinks.

    Args:
        jpeg: bytes of a JPEG.
        size: (W, H) expected of the image, pixels.
        to_ndc: (2, 3) from its pixels to [-1, 1] of the crop; no shear.
        side: of the crop in pixels.

    Returns:
        (side, side, 3) uint8 RGB; outside the image the nearest edge pixel.

    Raises:
        BadImage: the bytes give no image of this size, or the crop is not
            finite.
    """
    window, to_crop = _visible_pixels(jpeg, size, to_ndc, side)
    warped = cv2.warpAffine(
        window,
        to_crop,
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.cvtColor(warped, cv2.COLOR_BGR2RGB, dst=warped)


def fill_canvas(
    jpeg: bytes,
    size: tuple[int, int],
    to_ndc: np.ndarray,
    side: int,
    canvas: np.ndarray,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Copies the pixels that image_crop would warp to a canvas's corner.

    Args:
        jpeg: bytes of a JPEG.
        size: (W, H) expected of the image, pixels.
        to_ndc: (2, 3) from its pixels to [-1, 1] of the crop; no shear.
        side: of the crop in pixels.
        canvas: (C, C, 3) uint8 RGB, written in place.

    Returns:
        (2, 3) float64 from pixels of the crop to those of the canvas, and
        the (w, h) that are filled; beyond them the nearest pixel counts.

    Raises:
        BadImage: as image_crop.
    """
    window, to_crop = _visible_pixels(jpeg, size, to_ndc, side)
    from_crop = cv2.invertAffineTransform(to_crop)
    height, width = window.shape[:2]
    shrink = max(width, height) / len(canvas)
    if shrink > 1:
        fitted = round(width / shrink) or 1, round(height / shrink) or 1
        window = cv2.resize(window, fitted, interpolation=cv2.INTER_LINEAR)
        factor = np.divide(fitted, (width, height))[:, None]
        # Edges of pixels coincide, centres are half a pixel inside.
        from_crop *= factor
        from_crop[:, 2:] += (factor - 1) / 2
        width, height = fitted
    cv2.cvtColor(window, cv2.COLOR_BGR2RGB, dst=canvas[:height, :width])
    return from_crop, (width, height)


def parts_crop(
    png: bytes,
    size: tuple[int, int],
    to_ndc: np.ndarray,
    side: int,
    mirrored: bool = False,
) -> np.ndarray:
    """Decodes and warps a label image by nearest neighbour.

    Args:
        png: bytes of a PNG of part14 labels plus one.
        size: (W, H) expected of the image, pixels.
        to_ndc: (2, 3) from its pixels to [-1, 1] of the crop.
        side: of the crop in pixels.
        mirrored: `to_ndc` mirrors, so left and right parts swap.

    Returns:
        (side, side) uint8, 0 outside the image.

    Raises:
        BadImage: the bytes give no label image of this size.
    """
    labels = image_files.decode_unchecked(png, cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
        raise BadImage("parts are no 8 bit gray PNG")
    if labels.shape != (size[1], size[0]):
        raise BadImage("parts differ in size from the image")
    labels = cv2.warpAffine(
        labels,
        _to_pixels(to_ndc, side, 1),
        (side, side),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return _MIRRORED_PARTS[labels] if mirrored else labels


def decode_jpeg(
    jpeg: bytes, size: tuple[int, int], undamaged: bool = False
) -> np.ndarray:
    """Decodes a JPEG to RGB.

    Args:
        jpeg: bytes of a JPEG.
        size: (W, H) expected of the image, pixels.
        undamaged: refuses a picture of which the decoder says that its data
            are wrong, too. Records hold pictures that were checked.

    Returns:
        (H, W, 3) uint8.

    Raises:
        BadImage: not a JPEG, cut short, or not of this size.
    """
    if undamaged:
        image_files.check(jpeg)
    return cv2.cvtColor(_decode_bgr(jpeg, size), cv2.COLOR_BGR2RGB)


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Reads (W, H) from a JPEG's header, without decoding.

    Raises:
        BadImage: not a JPEG.
    """
    frame = jpeg_data.find_frame(jpeg)
    return frame.width, frame.height


def _visible_pixels(
    jpeg: bytes, size: tuple[int, int], to_ndc: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that are visible in a crop, BGR, and the map to the crop.

    They are decoded at the smallest sufficient size, and smoothed for the
    crop's coarser grid.
    """
    if not np.isfinite(to_ndc).all():
        raise BadImage("box is empty or not finite")
    shrinkage = 2 / (side * math.hypot(to_ndc[0, 0], to_ndc[0, 1]))
    reduced = max(f for f in _REDUCED if f <= max(shrinkage, 1))
    to_crop = _to_pixels(to_ndc, side, reduced)
    shape = [math.ceil(length / reduced) for length in size]
    left, top, right, bottom = _window(to_crop, side, shape)
    image = _decode_bgr(jpeg, size, reduced, bottom)
    pixels = image[top:bottom, left:right]
    to_crop[:, 2] += to_crop[:, :2] @ (left, top)
    remaining = shrinkage / reduced
    sigma = _BLUR * math.sqrt(max(remaining * remaining - 1, 0))
    if sigma > _MIN_BLUR:
        pixels = cv2.GaussianBlur(pixels, (5, 5), sigma)
    return pixels, to_crop


def _window(
    to_crop: np.ndarray, side: int, size: Sequence[int]
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that a crop covers."""
    last, bounds = side - 1, []
    rows = cv2.invertAffineTransform(to_crop).tolist()
    for (p, q, start), length in zip(rows, size, strict=True):
        low = start + last * (min(p, 0) + min(q, 0)) - _MARGIN
        high = start + last * (max(p, 0) + max(q, 0)) + _MARGIN
        # One pixel at least: a crop beside the image repeats its edge.
        first = min(max(math.floor(low), 0), length - 1)
        bounds.append((first, min(max(math.ceil(high), first) + 1, length)))
    (left, right), (top, bottom) = bounds
    return left, top, right, bottom


def _decode_bgr(
    jpeg: bytes,
    size: tuple[int, int],
    reduced: int = 1,
    bottom: int | None = None,
) -> np.ndarray:
    """Decodes at 1, 1/2, 1/4 or 1/8 of the size, down to row `bottom`."""
    # A JPEG that is cut short may decode, to gray below the cut.
    end = jpeg_data.find_end(jpeg)
    frame = jpeg_data.find_frame(jpeg)
    width, height = frame.width, frame.height
    if (width, height) != tuple(size):
        raise BadImage("JPEG has another size than its record says")
    image_files.check_size(width, height)
    in_one_pass = frame.kind in _SEQUENTIAL and _RESTARTS not in jpeg
    if bottom is not None and in_one_pass:
        # The decoder trusts the header's height and skips the rows below;
        # without an end marker it does not complain. One block more is kept,
        # as it affects the colours of the lowest row in use.
        row_count = -(-bottom * reduced // _BLOCK) * _BLOCK + _BLOCK
        if row_count < height:
            height, jpeg = row_count, bytearray(jpeg[: end - 2])
            struct.pack_into(">H", jpeg, frame.size_offset, row_count)
    image = image_files.decode_unchecked(
        jpeg, _REDUCED[reduced] | cv2.IMREAD_IGNORE_ORIENTATION
    )
    shape = (math.ceil(height / reduced), math.ceil(width / reduced), 3)
    if image is None or image.shape != shape:
        raise BadImage("JPEG does not decode")
    return image


def _to_pixels(to_ndc: np.ndarray, side: int, reduced: int) -> np.ndarray:
    """(2, 3) from pixels of a reduced image to pixels of the crop."""
    half, (a, b, c), (d, e, f) = side / 2, *to_ndc.tolist()
    # Pixel q of the reduced image averages pixels reduced q, ...,
    # reduced q + reduced - 1.
    shift, linear = (reduced - 1) / 2, half * reduced
    return np.array(
        [
            [linear * a, linear * b, half * (shift * (a + b) + c + 1) - 0.5],
            [linear * d, linear * e, half * (shift * (d + e) + f + 1) - 0.5],
        ]
    )
