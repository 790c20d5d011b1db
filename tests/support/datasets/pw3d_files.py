"""Writes a small 3DPW: pickles of sequences, and their pictures."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.support import smpl_files
from tests.support.datasets import people
from tf_hmr import joints

COCO18 = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_hip"),
    *("right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
)


def write(root: Path, scenes, split="test", name="street_00", change=None):
    """Writes a sequence, one scene per frame, the same number of people.

    Args:
        root: folder of the dataset.
        scenes: of people.scene.
        split: "train", "validation" or "test".
        name: of the sequence.
        change: called with the content before it is written.

    Returns:
        The sequence's file.
    """
    content = sequence(scenes, name)
    if change:
        change(content)
    path = root / "sequenceFiles" / split / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    smpl_files.write_pickle(path, content)
    for frame, scene in enumerate(scenes):
        picture = root / "imageFiles" / name / f"image_{frame:05d}.jpg"
        people.write_image(picture, scene.image)
    return path


def sequence(scenes, name: str) -> dict:
    """The content of a pickle; each frame has a camera elsewhere."""
    crowd = range(len(scenes[0].people))
    cameras = np.stack([camera(frame) for frame in range(len(scenes))])
    fx, fy, cx, cy = scenes[0].intrinsics
    bodies = [
        [
            in_world(scene.people[one], matrix)
            for scene, matrix in zip(scenes, cameras, strict=True)
        ]
        for one in crowd
    ]
    return {
        "sequence": name,
        "betas": [
            np.append(scenes[0].people[one].betas, np.zeros(290))
            for one in crowd
        ],
        "poses": [np.stack([b["pose"] for b in rows]) for rows in bodies],
        "trans": [np.stack([b["trans"] for b in rows]) for rows in bodies],
        "poses_60Hz": [np.zeros((7, 72)) for _ in crowd],
        "genders": [scenes[0].people[one].gender[0] for one in crowd],
        "poses2d": [
            np.stack([poses2d(scene.people[one]) for scene in scenes])
            for one in crowd
        ],
        "jointPositions": [
            np.stack([b["joints"] for b in rows]) for rows in bodies
        ],
        "img_frame_ids": np.arange(len(scenes)) * 2 + 1,
        "cam_poses": cameras,
        "campose_valid": [np.ones(len(scenes), np.int64) for _ in crowd],
        "cam_intrinsics": np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
    }


def camera(frame: int) -> np.ndarray:
    """(4, 4) from the world."""
    matrix = np.eye(4)
    turn = Rotation.from_euler("yxz", [40 + 50 * frame, 170, 8], degrees=True)
    matrix[:3, :3] = turn.as_matrix()
    matrix[:3, 3] = [0.3, -1.2 * frame, 4]
    return matrix


def in_world(person: people.Person, matrix: np.ndarray) -> dict:
    """pose (72,), trans (3,) and joints (72,) of a person."""
    turn = Rotation.from_matrix(matrix[:3, :3]).inv()
    pose = person.pose.astype(np.float64).copy()
    pose[0] = (turn * Rotation.from_rotvec(pose[0])).as_rotvec()
    camera_joints = np.array(
        [person.smpl_joints[name] for name in joints.SMPL24]
    )
    world_joints = turn.apply(camera_joints - matrix[:3, 3])
    rest = camera_joints[0] - person.translation  # of the pelvis
    trans = world_joints[0] - rest
    return {
        "pose": pose.ravel(),
        "trans": trans,
        "joints": world_joints.ravel(),
    }


def poses2d(person: people.Person) -> np.ndarray:
    """(3, 18); the neck is the middle of the shoulders."""
    shoulders = person.points(("left_shoulder", "right_shoulder"))
    keypoints = person.keypoints | {"neck": shoulders.mean(axis=0)}
    points = np.array([keypoints[name] for name in COCO18])
    return np.concatenate([points.T, np.full((1, 18), 0.8)])
