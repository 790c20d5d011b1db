"""Intrinsics of Human3.6M's cameras, without lens distortion."""

from pathlib import Path

import numpy as np

from tf_hmr.formats import json_files
from training.data.readers import pinhole

FILE = "camera-parameters.json"
"""File name in github.com/karfly/human36m-camera-parameters."""


def intrinsics(
    path: Path, camera: str, points: np.ndarray, points3d: np.ndarray
) -> np.ndarray:
    """A camera's intrinsics from a file, or fitted to points without it.

    Args:
        path: path of the file, which may be missing.
        camera: id of the camera.
        points: (..., 2) pixels.
        points3d: (..., 3) in the camera's frame, any unit.

    Returns:
        (4,) fx, fy, cx, cy in pixels.

    Raises:
        ValueError: the file is damaged.
    """
    if not path.exists():
        return pinhole.fit(points, points3d)
    try:
        content = json_files.read(path)
        matrix = content["intrinsics"][camera]["calibration_matrix"]
        (fx, _, cx), (_, fy, cy), _ = matrix
        return np.array([fx, fy, cx, cy], float)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}), expected the intrinsics of each "
            "camera. Fetch it again, or take it away."
        ) from error
