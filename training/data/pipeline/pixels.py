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
from tf_hmr.geometry import crop_pixels

# Reduced sizes that the JPEG decoder offers, with OpenCV's flag for each.
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
# Kinds of JPEG markers: tables and an extension, which have codes among those
# of frames; and frames that hold rows in one pass, from the top.
_NO_FRAME = (0xC4, 0xC8, 0xCC)
_SEQUENTIAL = (0xC0, 0xC1)
_RESTARTS = b"\xff\xdd"  # announces markers that the decoder would miss
_BLOCK = 16  # rows that are coded together, at most


class BadImage(ValueError):
    """Stored bytes that do not decode; the message is a short cause."""


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
    return cv2.warpAffine(
        decode_window(jpeg, size, window),
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
    labels = _decode(png, cv2.IMREAD_UNCHANGED)
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


def decode_jpeg(jpeg: bytes, size: tuple[int, int]) -> np.ndarray:
    """Decodes a JPEG to RGB.

    Raises:
        BadImage: not a JPEG, cut short, or not of the size (W, H).
    """
    return cv2.cvtColor(_decode_bgr(jpeg, size), cv2.COLOR_BGR2RGB)


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Reads (W, H) from a JPEG's header, without decoding.

    Raises:
        BadImage: not a JPEG.
    """
    try:
        height, width = struct.unpack_from(">HH", jpeg, _find_frame(jpeg)[1])
    except struct.error:
        raise BadImage("JPEG does not decode") from None
    return width, height


def _decode_bgr(
    jpeg: bytes,
    size: tuple[int, int],
    reduced: int = 1,
    bottom: int | None = None,
) -> np.ndarray:
    """Decodes at 1, 1/2, 1/4 or 1/8 of the size, down to row `bottom`."""
    # A JPEG that is cut short decodes, to gray below the cut.
    end = jpeg.rfind(b"\xff\xd9", -64)
    if end < 0:
        raise BadImage("JPEG is cut short")
    kind, size_offset = _find_frame(jpeg)
    height, width = struct.unpack_from(">HH", jpeg, size_offset)
    if (width, height) != tuple(size):
        raise BadImage("JPEG has another size than its record says")
    in_one_pass = kind in _SEQUENTIAL and _RESTARTS not in jpeg
    if bottom is not None and in_one_pass:
        # The decoder trusts the header's height and skips the rows below;
        # without an end marker it does not complain. One block more is kept,
        # as it affects the colours of the lowest row in use.
        row_count = -(-bottom * reduced // _BLOCK) * _BLOCK + _BLOCK
        if row_count < height:
            height, jpeg = row_count, bytearray(jpeg[:end])
            struct.pack_into(">H", jpeg, size_offset, row_count)
    image = _decode(jpeg, _REDUCED[reduced] | cv2.IMREAD_IGNORE_ORIENTATION)
    shape = (math.ceil(height / reduced), math.ceil(width / reduced), 3)
    if image is None or image.shape != shape:
        raise BadImage("JPEG does not decode")
    return image


def _find_frame(jpeg: bytes) -> tuple[int, int]:
    """Kind of a JPEG's frame, and the offset of its height and width.

    A marker is 0xff and its kind, then the length of its segment (ITU-T T.81,
    B.1.1.4); in a frame the precision and the size follow (B.2.2).
    """
    offset = 2
    while offset + 9 <= len(jpeg) and jpeg[offset] == 0xFF:
        kind = jpeg[offset + 1]
        if 0xC0 <= kind <= 0xCF and kind not in _NO_FRAME:
            return kind, offset + 5
        offset += 2 + int.from_bytes(jpeg[offset + 2 : offset + 4], "big")
    raise BadImage("JPEG does not decode")


def _decode(data: bytes, flags: int) -> np.ndarray | None:
    if not data:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # a header that asks for an absurd size
        return None
