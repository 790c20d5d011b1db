"""Converts a crop's predictions to the frame of the full image's camera.

A method that sees only a crop predicts the pose as seen by a camera whose
optical axis goes through the crop's centre. In the full image that ray is not
the optical axis.
"""

import numpy as np


def rotation_to_crop_ray(box: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Rotations of the optical axis to the ray through a crop's centre.

    They turn a pose in the crop's frame into the pose in the camera's frame.
    These are the shortest such rotations: they do not roll.

    Args:
        box: (N, 4) x, y, w, h of the crops in pixels, edges.
        intrinsics: (N, 4) fx, fy, cx, cy in pixels, centres.

    Returns:
        (N, 3, 3) float64.

    Raises:
        ValueError: a focal length is not positive.
    """
    box, intrinsics = _check(box, intrinsics)
    middle = box[:, :2] + box[:, 2:] / 2 - 0.5
    offsets = (middle - intrinsics[:, 2:]) / intrinsics[:, :2]
    ray = np.concatenate([offsets, np.ones((len(box), 1))], axis=1)
    x, y, z = (ray / np.linalg.norm(ray, axis=1, keepdims=True)).T
    # Rodrigues' formula about the axis (-y, x, 0), by sine and cosine z.
    bend = 1 / (1 + z)
    rows = [
        [1 - bend * x * x, -bend * x * y, x],
        [-bend * x * y, 1 - bend * y * y, y],
        [-x, -y, z],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def translation(
    camera: np.ndarray, box: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray:
    """Converts weak perspective cameras of crops to the full image's frame.

    Points near the crop's centre that are moved by the translation are
    projected where the weak perspective camera projects them. With the
    principal point at the image's centre it is camera.full_image_camera.

    Args:
        camera: (N, 3) s, tx, ty.
        box: (N, 4) x, y, w, h of the crops in pixels, edges, square.
        intrinsics: (N, 4) fx, fy, cx, cy in pixels, centres.

    Returns:
        (N, 3) metres: translations of predicted joints and vertices.

    Raises:
        ValueError: a focal length is not positive.
    """
    box, intrinsics = _check(box, intrinsics)
    camera = np.asarray(camera, np.float64)
    focal, centre = intrinsics[:, :2], intrinsics[:, 2:]
    middle = box[:, :2] + box[:, 2:] / 2 - 0.5
    pixels_per_metre = camera[:, :1] * box[:, 2:3] / 2
    depth = focal / pixels_per_metre
    shift = camera[:, 1:] + (middle - centre) / pixels_per_metre
    # With pixels that are not square, x and y have different depths.
    shift *= depth.mean(axis=1, keepdims=True) / depth
    return np.concatenate([shift, depth.mean(axis=1, keepdims=True)], axis=1)


def _check(box, intrinsics) -> tuple[np.ndarray, np.ndarray]:
    intrinsics = np.asarray(intrinsics, np.float64)
    if not (intrinsics[:, :2] > 0).all():
        raise ValueError(
            "An example has no intrinsics, but the protocol needs its camera. "
            "Prepare its records with a reader that knows it."
        )
    return np.asarray(box, np.float64), intrinsics
