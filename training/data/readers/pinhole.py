"""Unpublished camera intrinsics, fitted to points in pixels and in 3D."""

import numpy as np


def fit(points: np.ndarray, points3d: np.ndarray) -> np.ndarray:
    """Intrinsics that project 3D points onto their pixels, by least squares.

    Args:
        points: (..., 2) pixels.
        points3d: (..., 3) in the camera's frame, any unit.

    Returns:
        (4,) fx, fy, cx, cy (as anibali/h36m-fetch: process_all.py).
    """
    flat = points3d.reshape(-1, 3)
    scaled_points = points.reshape(-1, 2) * flat[:, 2:]
    is_finite = np.isfinite(flat).all(axis=1) & np.isfinite(scaled_points).all(
        axis=1
    )
    (fx, cx), (fy, cy) = (
        np.linalg.lstsq(
            flat[is_finite][:, [axis, 2]], scaled_points[is_finite, axis]
        )[0]
        for axis in (0, 1)
    )
    return np.array([fx, fy, cx, cy])
