"""Intrinsics of Human3.6M's cameras, without their lenses' distortion."""

import json
from pathlib import Path

import numpy as np

FILE = "camera-parameters.json"
"""As github.com/karfly/human36m-camera-parameters ships it."""


def intrinsics(
    path: Path, camera: str, points: np.ndarray, points3d: np.ndarray
) -> np.ndarray:
    """A camera as a file has it; without the file fitted to what it saw.

    Args:
        path: of the file, which may be absent.
        camera: its id.
        points: (..., 2) pixels.
        points3d: (..., 3) in the camera's frame, any unit.

    Returns:
        (4,) fx, fy, cx, cy in pixels.

    Raises:
        ValueError: the file is damaged.
    """
    if not path.exists():
        return pinhole(points, points3d)
    try:
        content = json.loads(path.read_bytes())
        matrix = content["intrinsics"][camera]["calibration_matrix"]
        (fx, _, cx), (_, fy, cy), _ = matrix
        return np.array([fx, fy, cx, cy], float)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}), expected the intrinsics of each "
            "camera. Fetch it again, or take it away."
        ) from error


def pinhole(points: np.ndarray, points3d: np.ndarray) -> np.ndarray:
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
