"""The annotated videos of MPI-INF-3DHP: cameras, joints, frame selection."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import joints

CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)  # at chest height
MOVED_MM = 200
SPIN_STEP = 10
# anibali/margipose: src/margipose/data/mpi_inf_3dhp/common.py; `head` is
# where SPIN puts the jaw of Human3.6M.
JOINTS = (
    "spine3",
    "spine4",
    "spine2",
    "spine",
    "pelvis",
    "neck",
    "neck_nose",
    "head_top",
    "left_clavicle",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "right_clavicle",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_foot",
    "left_toe",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
    "right_toe",
)


class Camera(NamedTuple):
    """(4,) fx, fy, cx, cy in pixels, and (W, H) of the images."""

    intrinsics: np.ndarray
    size: tuple[int, int]


def calibration(path: Path) -> list[Camera]:
    """Reads the cameras of a sequence.

    Args:
        path: path of camera.calibration: a title, then for each camera lines
            of a word and numbers: name, sensor, size, animated, intrinsic and
            extrinsic (4 x 4), radial.

    Raises:
        ValueError: the file is damaged, or lacks one of CAMERAS.
    """
    cameras, size = [], None
    for line in path.read_text(errors="replace").splitlines():
        match = re.fullmatch(r"\s*(size|intrinsic)\s+(.+)", line)
        try:
            numbers = (
                [float(word) for word in match[2].split()] if match else []
            )
            if match and match[1] == "size":
                size = int(numbers[0]), int(numbers[1])
            elif match:
                matrix = np.reshape(numbers, (4, 4))
                camera = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
                cameras.append(Camera(camera, size))
        except (ValueError, IndexError, OverflowError) as error:
            raise ValueError(f"{path} is damaged ({error}): {line}") from error
    if len(cameras) <= max(CAMERAS) or None in {
        camera.size for camera in cameras
    }:
        raise ValueError(
            f"{path} is damaged: it describes {len(cameras)} cameras, expected "
            "14 with size and intrinsic. Fetch it again."
        )
    return cameras


def points(
    path: Path, cells: Any, camera: int, count: int, axes: int
) -> np.ndarray:
    """(count, 28, axes) float32 from the cells of annot2 or annot3.

    Raises:
        ValueError: the camera's cell is missing or has another shape.
    """
    try:
        numbers = np.asarray(cells[camera], np.float32)
        return numbers.reshape(count, len(JOINTS), axes)
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: annot{axes} of camera {camera} does not hold {count} x "
            f"{len(JOINTS) * axes} numbers ({error}). Fetch it again."
        ) from error


def select_rows(
    rules: str,
    points: np.ndarray,
    points3d: np.ndarray,
    size: tuple[int, int],
) -> list[int]:
    """Selects rows of a video.

    Args:
        rules: "hmr": rows in which one of the joints of LSP moved 200 mm
            since the last selected row (akanazawa/hmr:
            src/datasets/mpi_inf_3dhp_to_tfrecords.py). "spin": every 10th of
            the rows with all 17 joints inside (nkolot/SPIN, which goes on
            counting in the next video, in the order of an unsorted folder).
        points: (N, 28, 2) pixels.
        points3d: (N, 28, 3) mm.
        size: (W, H) of the video.
    """
    if rules == "spin":
        is_keypoint = [name in joints.KEYPOINTS for name in JOINTS]
        keypoints = points[:, is_keypoint]
        inside = ((keypoints >= 0) & (keypoints < size)).all(axis=(1, 2))
        return np.flatnonzero(inside)[::SPIN_STEP].tolist()
    rows, last_joints = [], None
    for row, joints_mm in enumerate(
        points3d[:, joints.select(joints.LSP14, JOINTS)]
    ):
        if last_joints is not None:
            distances = np.linalg.norm(joints_mm - last_joints, axis=1)
            if not (distances >= MOVED_MM).any():
                continue
        rows.append(row)
        last_joints = joints_mm
    return rows
