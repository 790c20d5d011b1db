"""Decodes stored JPEG and PNG bytes to the pixels of a crop, in OpenCV.

Measured on 2 cores: OpenCV decodes and warps a 128 px JPEG in half the CPU
time of TensorFlow's ops, and an exception here costs one example, where a
failing TensorFlow op costs the batch.
"""

import math
import struct

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from tf_hmr.formats import image_files, jpeg_data
from tf_hmr.formats.jpeg_data import BadImage
from tf_hmr.geometry import crop_pixels

# Reduced sizes that the JPEG decoder offers, with OpenCV's flag for each.
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
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
    jpeg: bytes, size: tuple[int, int], window: crop_pixels.Window, side: int
) -> np.ndarray:
    """Decodes and warps an image; antialiased when it shrinks.

    Args:
        jpeg: bytes of a JPEG.
        size: (W, H) expected of the image, pixels.
        window: of the image, one of crop_pixels.visible_window.
        side: of the crop in pixels.

    Returns:
        (side, side, 3) uint8 RGB; outside the image the nearest edge pixel.

    Raises:
        BadImage: as decode_window.
    """
    return warp_window(decode_window(jpeg, size, window), window, side)


def warp_window(
    image: np.ndarray, window: crop_pixels.Window, side: int
) -> np.ndarray:
    """Warps the pixels of a window to the crop (side, side, 3); image_crop."""
    return cv2.warpAffine(
        image,
        window.from_crop,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def decode_window(
    jpeg: bytes, size: tuple[int, int], window: crop_pixels.Window
) -> np.ndarray:
    """Decodes the pixels that image_crop warps, antialiased.

    Args:
        jpeg: bytes of a JPEG.
        size: (W, H) expected of the image, pixels.
        window: of the image, one of crop_pixels.visible_window.

    Returns:
        (h, w, 3) uint8 RGB, of window.size.

    Raises:
        BadImage: the bytes give no image of this size, or the crop is not
            finite.
    """
    if not np.isfinite(window.from_crop).all():
        raise BadImage("box is empty or not finite")
    left, top, right, bottom = map(int, (*window.low, *window.high))
    image = _decode_bgr(jpeg, size, int(window.reduction[0]), bottom)
    image = image[top:bottom, left:right]
    image = crop_pixels.blur(image, window.shrinkage[0])
    width, height = map(int, window.size)
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


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
        side / 2 * (to_ndc + [0.0, 0.0, 1.0]) - [0.0, 0.0, 0.5],
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
