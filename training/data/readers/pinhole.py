"""Cameras that a dataset does not publish, from what they saw."""

import numpy as np


def fit(points: np.ndarray, points3d: np.ndarray) -> np.ndarray:
    """The camera that shows points where they are seen, by least squares.

    Args:
        points: (..., 2) pixels.
        points3d: (..., 3) in the camera's frame, any unit.

    Returns:
        (4,) fx, fy, cx, cy (as anibali/h36m-fetch: process_all.py).
    """
    flat = points3d.reshape(-1, 3)
    seen = points.reshape(-1, 2) * flat[:, 2:]
    whole = np.isfinite(flat).all(axis=1) & np.isfinite(seen).all(axis=1)
    (fx, cx), (fy, cy) = (
        np.linalg.lstsq(flat[whole][:, [axis, 2]], seen[whole, axis])[0]
        for axis in (0, 1)
    )
    return np.array([fx, fy, cx, cy])
