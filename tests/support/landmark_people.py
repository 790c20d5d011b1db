"""Landmarks that are the true joints of posed bodies, in a photo."""

import dataclasses

import numpy as np

from tf_hmr import joints
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from training.data.records import schema

SIZE = (400, 300)
NAMES = joints.BLAZEPOSE_OF_KEYPOINT
ROWS = list(joints.select(list(NAMES.values()), of=joints.BLAZEPOSE33))


def of_pose(
    data: BodyData,
    pose: np.ndarray,
    translation: np.ndarray,
    focal_px: float,
    size: tuple[int, int] = SIZE,
) -> np.ndarray:
    """Landmarks (33, 7) in pixels; those that are no keypoints are not known.

    Args:
        data: the body.
        pose: (24, 3) rotation vectors.
        translation: (3,) metres.
        focal_px: of the photo's camera.
        size: of the photo.
    """
    body = Body(data, list(NAMES), jit=False)
    rotmats = rotations.rotvec_to_rotmat(np.float32(pose[None]))
    points, skeleton = body.keypoints(rotmats, np.zeros((1, 10), np.float32))
    points, hips = points[0].numpy(), skeleton[0, 1:3].numpy().mean(axis=0)
    landmarks = np.zeros((len(joints.BLAZEPOSE33), 7), np.float32)
    landmarks[ROWS, :2] = camera.project_perspective(
        points + translation, focal_px, camera.image_centre(size)
    )
    landmarks[ROWS, 2:5] = points - hips
    landmarks[ROWS, 5:] = 1
    return landmarks


def keypoints_3d(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (33, 7) as 3D keypoints (29, 4): metres and weight."""
    points = np.zeros((len(joints.KEYPOINTS), 4), np.float32)
    rows = list(joints.select(list(NAMES), of=joints.KEYPOINTS))
    points[rows, :3] = landmarks[ROWS, 2:5]
    points[rows, 3] = 1
    return points


def standing(rng: np.random.Generator, by: float = 0.2) -> np.ndarray:
    """(24, 3) pose of a body that faces the camera, turned by `by` radians."""
    pose = rng.normal(0, by, (24, 3))
    pose[0] = [np.pi, 0, 0]
    return pose


def of_example(example: schema.Example, size: float = 1.0) -> schema.Example:
    """A record with the landmarks that its labels are.

    Args:
        example: with keypoints and 3D joints.
        size: factor of the points in metres.
    """
    rows = list(joints.select(list(NAMES), of=joints.KEYPOINTS))
    landmarks = np.zeros((len(joints.BLAZEPOSE33), 7), np.float32)
    landmarks[ROWS, :2] = example.keypoints[rows, :2]
    landmarks[ROWS, 2:5] = size * example.joints3d[rows, :3]
    landmarks[ROWS, 5:] = 1
    return dataclasses.replace(example, landmarks=landmarks)
