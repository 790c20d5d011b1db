"""Cameras: weak perspective in a crop, perspective in a crop or a full image.

Plain arithmetic, so TensorFlow tensors and NumPy arrays both work. Camera
frame: x right, y down, z forward, metres. Pixel coordinates put the centre of
the first pixel at (0, 0), so the centre of a W x H image is
((W - 1) / 2, (H - 1) / 2). In [-1, 1] coordinates of a crop of side S:
u = 2 (x + 0.5) / S - 1.

The weak perspective camera is (s, tx, ty) with keypoints = s (xy + t), as the
code of akanazawa/hmr: src/tf_smpl/projection.py has it (the paper's text
writes s xy + t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:  # What checks a focal length starts without TensorFlow.
    import tensorflow as tf

Array: TypeAlias = "tf.Tensor | np.ndarray"

# Keeps a network's scale positive; see `positive_scale`.
_SCALE_BEND = 0.05
ASSUMED_CROP_INTRINSICS = (5.0, 5.0, 0.0, 0.0)
"""fx, fy, cx, cy of a crop of which only the picture is known, in [-1, 1] of
it: a focal length of 2.5 sides, as synthetic people have in the middle, about
the crop's middle."""
MIN_DEPTH = 0.2
"""Metres; project_in_crop sees what is nearer at this distance, so that it
divides by no zero."""
# Tolerance of a square box, for float rounding.
_SQUARE_TOLERANCE = 1e-3


def project_weak_perspective(points: Array, camera: Array) -> Array:
    """Projects points with the camera (s, tx, ty): s (xy + t).

    Args:
        points: (..., J, 3) camera frame, metres.
        camera: (..., 3) weak perspective camera.

    Returns:
        (..., J, 2) in [-1, 1] of the crop.
    """
    camera = camera[..., None, :]
    return camera[..., 0:1] * (points[..., 0:2] + camera[..., 1:3])


def positive_scale(raw: tf.Tensor) -> tf.Tensor:
    """Bends a network's number to a scale over 0, smoothly.

    Almost the number itself above 0.2. At a scale of 0 or below a person would
    be at infinity or behind the camera.
    """
    import tensorflow as tf

    return 0.5 * (raw + tf.sqrt(tf.square(raw) + 4 * _SCALE_BEND**2))


def raw_scale(scale: float) -> float:
    """The number that `positive_scale` bends to a scale over 0."""
    return scale - _SCALE_BEND**2 / scale


def weak_to_translation(
    camera: Array, focal_px: float, size_px: float
) -> Array:
    """Converts a weak perspective camera of a crop to a translation.

    Points moved by it and projected with `focal_px` and the principal point
    at the centre of a crop of side `size_px` land where the weak perspective
    camera projects them; a longer focal length makes the difference smaller
    (nkolot/SPIN: train/trainer.py).

    Args:
        camera: (..., 3) weak perspective camera with s > 0; s <= 0 puts the
            body at infinity or behind the camera.
        focal_px: focal length in pixels of the crop.
        size_px: side of the crop in pixels.

    Returns:
        (..., 3) metres: tx, ty, 2 focal / (size s).
    """
    depth = 2.0 * focal_px / (size_px * camera[..., 0:1])
    return _concat([camera[..., 1:3], depth])


def crop_translation(camera: Array, intrinsics: Array) -> Array:
    """Places a weak perspective camera's body before the crop's camera.

    The root, at 0, is seen where the weak perspective camera projects it, at
    the distance f / s, as large as there (Zanfir et al., HUND, CVPR 2021, eq. 1
    has the crop's intrinsics). crop_views.translation is the same from a box.

    Args:
        camera: (..., 3) weak perspective camera with s > 0.
        intrinsics: (..., 4) fx, fy, cx, cy of the crop in [-1, 1] of it.

    Returns:
        (..., 3) metres.
    """
    focal, centre = intrinsics[..., 0:2], intrinsics[..., 2:4]
    scale = camera[..., 0:1]
    depth = 0.5 * (focal[..., 0:1] + focal[..., 1:2]) / scale
    offsets = scale * camera[..., 1:3] - centre
    return _concat([offsets * depth / focal, depth])


def project_in_crop(points: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Pinhole projection by the camera of a crop.

    Args:
        points: (B, N, 3) camera frame, metres.
        intrinsics: (B, 4) fx, fy, cx, cy of the crop in [-1, 1] of it.

    Returns:
        (B, N, 2) in [-1, 1] of the crop.
    """
    import tensorflow as tf

    intrinsics = intrinsics[:, tf.newaxis]
    depth = tf.maximum(points[..., 2:3], MIN_DEPTH)
    return (
        intrinsics[..., 0:2] * points[..., 0:2] / depth + intrinsics[..., 2:4]
    )


def full_image_camera(
    camera: Array,
    box: Sequence[float],
    image_size: tuple[float, float],
    focal_px: float,
) -> Array:
    """Converts a crop's weak perspective camera to the full image's frame.

    As shubham-goel/4D-Humans: hmr2/utils/renderer.py cam_crop_to_full.

    Args:
        camera: (3,) weak perspective camera of the crop.
        box: x, y, w, h of the crop in the full image, pixel edges, square.
        image_size: (W, H) of the full image in pixels.
        focal_px: focal length in full-image pixels; its principal point is
            the image's centre, `image_centre(image_size)`.

    Returns:
        (3,) metres: the translation of vertices and joints in the camera
        frame.

    Raises:
        ValueError: the box is empty or not square.
    """
    x, y, w, h = (float(number) for number in box)
    if not (w > 0 and abs(w - h) <= _SQUARE_TOLERANCE * w):
        raise ValueError(
            f"Expected the square box that was cropped, got width {w} and "
            f"height {h}. Pass crop.square_box(box) to crop and camera alike."
        )
    width, height = image_size
    from_centre = np.array(
        [x + w / 2 - width / 2, y + h / 2 - height / 2, 0.0], np.float32
    )
    metres_per_px = 2.0 / (w * camera[..., 0:1])
    return weak_to_translation(camera, focal_px, w) + (
        metres_per_px * from_centre
    )


def project_perspective(
    points: Array, focal_px: float | Array, centre: Sequence[float] | Array
) -> Array:
    """Pinhole projection.

    Args:
        points: (..., 3) camera frame, metres, z > 0.
        focal_px: focal length in pixels, one number or (fx, fy).
        centre: (2,) principal point in pixels (centre convention).

    Returns:
        (..., 2) pixels (centre convention).
    """
    return focal_px * points[..., 0:2] / points[..., 2:3] + centre


def image_centre(image_size: tuple[float, float]) -> tuple[float, float]:
    """The centre of a (W, H) image in pixel coordinates."""
    width, height = image_size
    return (width - 1) / 2, (height - 1) / 2


def check_focal(focal_px: float | None) -> None:
    """Refuses a focal length, in pixels, that is none; None is unknown.

    Raises:
        ValueError: it is not a finite number over 0.
    """
    if focal_px is None:
        return
    try:
        is_valid = 0 < float(focal_px) < math.inf
    except (OverflowError, TypeError, ValueError):
        is_valid = False
    if not is_valid:
        raise ValueError(
            f"The focal length is {str(focal_px)[:80]}, expected a finite "
            "number of pixels over 0."
        )


def default_intrinsics(image_size: tuple[float, float]) -> np.ndarray:
    """Intrinsics of a photo whose camera is unknown.

    The focal length is the longer side, the principal point the centre.
    Training and inference use the same values.

    Args:
        image_size: (W, H) of the image in pixels.

    Returns:
        (4,) float32 fx, fy, cx, cy in pixels (centre convention).
    """
    focal = max(image_size)
    return np.float32([focal, focal, *image_centre(image_size)])


def crop_intrinsics(
    intrinsics: Sequence[float], box: Sequence[float]
) -> np.ndarray:
    """Intrinsics of an upright crop, in its [-1, 1] coordinates.

    Args:
        intrinsics: fx, fy, cx, cy of the image in pixels (centre convention).
        box: x, y, w, h of the crop in pixels, edges.

    Returns:
        (4,) float32 fx, fy, cx, cy: [-1, 1] = f xy / z + c.
    """
    corner, side = np.float64(box[:2]), np.float64(box[2:])
    focal, centre = np.split(np.float64(intrinsics), 2)
    crop_centre = 2.0 * (centre + 0.5 - corner) / side - 1.0
    return np.float32([*(2.0 * focal / side), *crop_centre])


def _concat(parts: list[Array]) -> Array:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts, axis=-1)
    import tensorflow as tf

    return tf.concat(parts, axis=-1)
