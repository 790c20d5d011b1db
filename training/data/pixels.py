"""From stored JPEG and PNG bytes to the pixels of a crop, in OpenCV.

Measured on 2 cores: OpenCV decodes and warps a 128 px JPEG in half the CPU
time of TensorFlow's ops, and an exception here costs one example, where a
failing TensorFlow op costs the batch.
"""

import math

import cv2
import numpy as np

from tf_hmr import body_parts, joints

# Reduced sizes that the JPEG decoder offers, with OpenCV's flag for each.
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
# Standard deviation of the blur before a shrinkage of f, over sqrt(f^2 - 1):
# of 0.25, 0.3, ..., 0.5 the closest to the area average of crop.crop_image.
_BLUR = 0.4
_LEAST_BLUR = 0.3  # below it a 5 x 5 kernel changes nothing


class BadImage(ValueError):
    """Stored bytes that give no picture; the message is a short cause."""


def mirrored_parts() -> np.ndarray:
    """(256,) lookup table of the part labels of a mirrored label image."""
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
        size: (W, H) that it has to have, pixels.
        to_ndc: (2, 3) from its pixels to [-1, 1] of the crop; no shear.
        side: of the crop in pixels.

    Returns:
        (side, side, 3) uint8 RGB; outside the image the nearest edge pixel.

    Raises:
        BadImage: the bytes give no picture of this size.
    """
    shrinkage = 2 / (side * math.hypot(to_ndc[0, 0], to_ndc[0, 1]))
    reduced = max(f for f in _REDUCED if f <= max(shrinkage, 1))
    image = decode_jpeg(jpeg, size, reduced)
    rest = shrinkage / reduced
    sigma = _BLUR * math.sqrt(max(rest * rest - 1, 0))
    if sigma > _LEAST_BLUR:
        image = cv2.GaussianBlur(image, (5, 5), sigma)
    return cv2.warpAffine(
        image,
        _to_pixels(to_ndc, side, reduced),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


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
        size: (W, H) that it has to have, pixels.
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
        _to_pixels(to_ndc, side, 1),
        (side, side),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return _MIRRORED_PARTS[labels] if mirrored else labels


def decode_jpeg(
    jpeg: bytes, size: tuple[int, int], reduced: int = 1
) -> np.ndarray:
    """Decodes a JPEG, at 1/2, 1/4 or 1/8 of its size where asked.

    Raises:
        BadImage: not a JPEG, cut short, or not of the size (W, H).
    """
    # A JPEG that is cut short decodes, to gray below the cut.
    if b"\xff\xd9" not in jpeg[-64:]:
        raise BadImage("JPEG is cut short")
    image = _decode(jpeg, _REDUCED[reduced] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise BadImage("JPEG does not decode")
    width, height = (math.ceil(length / reduced) for length in size)
    if image.shape != (height, width, 3):
        raise BadImage("JPEG has another size than its record says")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def occlude(image: np.ndarray, occluder: np.ndarray, rgb: np.ndarray) -> None:
    """Paints a rectangle (x, y, half width, half height; ndc), in place."""
    side = len(image)
    centre, half = occluder[:2], occluder[2:]
    low = np.round((centre - half + 1) * side / 2).astype(int)
    high = np.round((centre + half + 1) * side / 2).astype(int)
    (left, top), (right, bottom) = np.maximum(low, 0), np.maximum(high, 0)
    image[top:bottom, left:right] = rgb.astype(np.uint8)


def _decode(data: bytes, flags: int) -> np.ndarray | None:
    if not data:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # a header that asks for an absurd size
        return None


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
