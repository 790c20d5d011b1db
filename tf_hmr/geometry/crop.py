"""Square crops of people: boxes, the affine maps of pixels, and the pixels.

A box is (x, y, w, h) in pixel EDGES: the box over a whole W x H image is
(0, 0, W, H). Points are in pixel-centre coordinates, where the centre of the
first pixel is (0, 0); so edge = centre + 0.5. In a crop of side S,
u = 2 (x + 0.5) / S - 1 runs over [-1, 1] from edge to edge, which stays exact
under flips and under any S.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from tf_hmr.geometry import crop_pixels

Box = tuple[float, float, float, float]

# Tolerance of a square box, for float rounding.
_SQUARE_TOLERANCE = 1e-3

# Sides and places of boxes in pixels: beyond them the arithmetic fails.
_MIN_SIDE = 1e-3
_LARGEST = 1e7

# Above this shrinkage the image is halved first. A finer sampling grid
# alone would antialias as well, but at the cost of the whole photo's pixels.
_HALVE_FROM = 4.0


def square_box(box: Sequence[float], scale: float = 1.0) -> Box:
    """Squares a box around its centre: its longer side times `scale`.

    Args:
        box: x, y, w, h.
        scale: room around the person, 1 for none.

    Returns:
        x, y, side, side; it may reach outside the image.

    Raises:
        ValueError: the box is not four finite numbers with positive size.
    """
    x, y, w, h = _numbers(box)
    side = max(w, h) * scale
    return (x + (w - side) / 2, y + (h - side) / 2, side, side)


def box_of_keypoints(
    xy: np.ndarray, visible: np.ndarray, scale: float = 1.0
) -> Box:
    """Computes the tight box of visible keypoints; pass it to `square_box`.

    Args:
        xy: (K, 2) pixels.
        visible: (K,) flags or confidences; those above 0 count.
        scale: enlarges the box about its centre.

    Returns:
        x, y, w, h.

    Raises:
        ValueError: fewer than two distinct visible keypoints.
    """
    visible_xy = np.asarray(xy, np.float64)[np.asarray(visible) > 0]
    if not len(visible_xy) or not np.ptp(visible_xy, axis=0).any():
        raise ValueError(
            f"Expected at least two visible keypoints at different places, "
            f"got {len(visible_xy)}. Leave this person out or give a box."
        )
    low, high = visible_xy.min(axis=0) + 0.5, visible_xy.max(axis=0) + 0.5
    # Keypoints on one line are a person, too: no side is thinner than 1 px.
    size = np.maximum((high - low) * scale, 1.0)
    corner = (low + high - size) / 2
    return tuple(float(number) for number in (*corner, *size))


def check_box(box: Sequence[float], image_size: tuple[int, int]) -> None:
    """Refuses a box that cannot be cropped from an image.

    Args:
        box: x, y, w, h.
        image_size: (W, H) in pixels.

    Raises:
        ValueError: not four finite numbers, empty, or outside the image.
    """
    x, y, w, h = _numbers(box)
    width, height = image_size
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(
            f"The box {_text(box)} lies outside the image of {width} x "
            f"{height} pixels. Expected x, y, w, h with x < {width}, "
            f"y < {height}, x + w > 0 and y + h > 0; was it made for another "
            "size of this image?"
        )


def crop_affine(box: Sequence[float], size: int) -> np.ndarray:
    """Affine map from pixels of the full image to pixels of the crop.

    Args:
        box: x, y, w, h, square.
        size: side of the crop in pixels.

    Returns:
        (2, 3) float64: crop = matrix @ [x, y, 1], both in pixel-centre
        coordinates.

    Raises:
        ValueError: the box is empty or not square.
    """
    x, y, side = _square(box)
    scale = size / side
    return np.array(
        [
            [scale, 0.0, scale * (0.5 - x) - 0.5],
            [0.0, scale, scale * (0.5 - y) - 0.5],
        ]
    )


def crop_image(
    image: np.ndarray, box: Sequence[float], size: int
) -> np.ndarray:
    """Crops a box and resizes it, with antialiasing when it shrinks.

    Outside the image the nearest edge pixel is repeated, as
    akanazawa/hmr: src/util/data_utils.py pad_image_edge. crop_pixels
    states the rule, also for crops that are turned.

    Args:
        image: (H, W, 3) uint8.
        box: x, y, w, h, square; may reach outside the image.
        size: side of the crop in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ValueError: the image is not (H, W, 3) uint8, or the box is empty, not
            square or outside the image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"Expected an image (H, W, 3) of uint8, got {image.shape} of "
            f"{image.dtype}. Convert gray or RGBA images to RGB first."
        )
    check_box(box, (image.shape[1], image.shape[0]))
    x, y, side = _square(box)
    while side > _HALVE_FROM * size:
        image, x, y = _covered_part(image, x, y, side)
        image = _halve(image)
        x, y, side = x / 2, y / 2, side / 2
    # Sample at least once per source pixel, then average whole blocks: an
    # area filter that keeps the sub-pixel position exact.
    blocks = math.ceil(side / size - 1e-6) or 1
    oversampled = cv2.warpAffine(
        image,
        crop_affine((x, y, side, side), size * blocks),
        (size * blocks, size * blocks),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if blocks == 1:
        return oversampled
    return cv2.resize(oversampled, (size, size), interpolation=cv2.INTER_AREA)


def pixels_to_ndc(xy: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Pixels of the full image to [-1, 1] of a crop.

    Args:
        xy: (..., 2) pixels (centre convention).
        box: x, y, w, h of the crop, square.

    Returns:
        (..., 2).

    Raises:
        ValueError: the box is empty or not square.
    """
    x, y, side = _square(box)
    return 2.0 * (np.asarray(xy) + 0.5 - (x, y)) / side - 1.0


def ndc_to_pixels(uv: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Inverse of `pixels_to_ndc`: [-1, 1] of a crop to full-image pixels."""
    x, y, side = _square(box)
    return (np.asarray(uv) + 1.0) * (side / 2.0) + (x, y) - 0.5


def _covered_part(
    image: np.ndarray, x: float, y: float, side: float
) -> tuple[np.ndarray, float, float]:
    """Cuts out the pixels a box touches; returns them and the box's corner.

    The margin keeps the crop's border from repeating the part's border.
    """
    low = np.array([x, y])
    margin = side / 16 + 2
    (left, top), (right, bottom) = crop_pixels.whole_pixels(
        low - margin, low + side + margin, np.array(image.shape[1::-1])
    )
    part = image[int(top) : int(bottom), int(left) : int(right)]
    return part, x - left, y - top


def _halve(image: np.ndarray) -> np.ndarray:
    """Averages 2 x 2 pixels; odd sides repeat their last row or column."""
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(
        image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE
    )
    size = ((width + 1) // 2, (height + 1) // 2)
    return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)


def _numbers(box: Sequence[float]) -> Box:
    """Checks a box and returns it as four floats."""
    try:
        numbers = tuple(float(number) for number in box)
    except (OverflowError, TypeError):
        raise ValueError(
            f"Expected a box of four numbers x, y, w, h, got {str(box)[:80]}."
        ) from None
    if len(numbers) != 4:
        raise ValueError(
            f"Expected a box of four numbers x, y, w, h, got {len(numbers)}."
        )
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(
            f"The box {_text(box)} is not finite. Expected x, y, w, h in "
            "pixels."
        )
    if max(abs(number) for number in numbers) > _LARGEST:
        raise ValueError(
            f"The box {_text(box)} is too large. Expected x, y, w, h in "
            f"pixels, at most {_LARGEST:g}."
        )
    if min(numbers[2:]) < _MIN_SIDE:
        raise ValueError(
            f"The box {_text(box)} is empty. Expected x, y, w, h with w > 0 "
            "and h > 0; corners x1, y1, x2, y2 must become x, y, x2 - x1, "
            "y2 - y1."
        )
    return numbers


def _square(box: Sequence[float]) -> tuple[float, float, float]:
    """Corner and side of a square box."""
    x, y, w, h = _numbers(box)
    if abs(w - h) > _SQUARE_TOLERANCE * max(w, h):
        raise ValueError(
            f"The box {_text(box)} is not square, and cropping it would "
            "stretch the person. Pass square_box(box)."
        )
    return x, y, w


def _text(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{float(number):g}" for number in box) + ")"
