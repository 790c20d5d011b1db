"""Writes a small SURREAL: clips whose labels are mirror images."""

from pathlib import Path

import cv2
import numpy as np
import scipy.io
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from training.data.prepare import surreal

SCENE = (320, 200)  # of people.scene; then it is seen with SURREAL's camera
_SIDES = [joints.mirror_name(name) for name in joints.SMPL24]


def as_seen(scene, labels: np.ndarray) -> np.ndarray:
    """A picture or its parts through SURREAL's camera."""
    fx, fy, cx, cy = surreal.INTRINSICS
    scale = fx / scene.view.focal_px
    centre = np.array(scene.view.centre)
    move = np.array([cx, cy]) - scale * centre
    matrix = np.column_stack([np.eye(2) * scale, move])
    flags = cv2.INTER_LINEAR if labels.ndim == 3 else cv2.INTER_NEAREST
    return cv2.warpAffine(labels, matrix, (320, 240), flags=flags)


def write(root: Path, scenes, split="train", run=0, name="01_01_c0001"):
    """Writes a clip, one scene per frame.

    Args:
        root: folder of the dataset.
        scenes: of people.scene(..., size=SCENE), one person each.
        split: "train", "val" or "test".
        run: 0, 1 or 2.
        name: of the clip.

    Returns:
        The film's path.
    """
    folder = root / "cmu" / split / f"run{run}" / name.rpartition("_")[0]
    folder.mkdir(parents=True, exist_ok=True)
    film = folder / f"{name}.mp4"
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(film), code, 25, (320, 240))
    for scene in scenes:
        writer.write(as_seen(scene, scene.image)[..., ::-1].copy())
    writer.release()
    scipy.io.savemat(folder / f"{name}_info.mat", info(scenes))
    scipy.io.savemat(
        folder / f"{name}_segm.mat",
        {f"segm_{i + 1}": segments(s) for i, s in enumerate(scenes)},
    )
    return film


def info(scenes, camera_location=(6.7456, -0.9839, -1.9293), turn=0.7) -> dict:
    """The content of _info.mat; Matlab drops a last axis of one."""
    crowd = [scene.people[0] for scene in scenes]
    camera = np.array(camera_location)
    positions = np.stack(
        [
            [person.smpl_joints[name] for name in _SIDES]
            - surreal.TO_CAMERA @ -camera
            for person in crowd
        ]
    )
    world = positions @ np.linalg.inv(surreal.TO_CAMERA).T
    camera_joints = np.stack(
        [[person.smpl_joints[name] for name in _SIDES] for person in crowd]
    )
    pixels = (
        600 * camera_joints[..., :2] / camera_joints[..., 2:]
        + surreal.INTRINSICS[2:]
    )
    poses = np.stack([mirrored(person.pose, turn) for person in crowd])
    count = len(crowd)
    content = {
        "pose": poses.reshape(count, 72).T,
        "shape": np.stack([person.betas for person in crowd]).T,
        "joints3D": world.transpose(2, 1, 0).astype(np.float32),
        "joints2D": np.rint(pixels).transpose(2, 1, 0).astype(np.float32),
        "camLoc": camera[:, None],
        "zrot": np.full((count, 1), turn),
        "gender": np.array([[p.gender == "male"] for p in crowd], np.uint8),
        "sequence": "01_01_c0001",
        "stride": 50,
    }
    for name in ("joints3D", "joints2D"):
        if count == 1:
            content[name] = content[name][..., 0]
    return content


def mirrored(pose: np.ndarray, turn: float) -> np.ndarray:
    """The pose that is stored for what the picture shows."""
    flip = np.diag([-1.0, 1, 1])
    order = list(joints.select(_SIDES, joints.SMPL24))
    matrices = Rotation.from_rotvec(pose[order]).as_matrix()
    matrices = flip @ matrices @ flip
    # 90 degrees about x and the turn about z come on top.
    above = Rotation.from_euler("zx", [turn, np.pi / 2]).as_matrix()
    global_rotation = Rotation.from_rotvec(pose[0]).as_matrix()
    inverse = np.linalg.inv(surreal.TO_CAMERA @ above)
    matrices[0] = inverse @ global_rotation @ flip
    return Rotation.from_matrix(matrices).as_rotvec()


def segments(scene) -> np.ndarray:
    """Labels 1 to 24 of SMPL's joints, left for right."""
    parts = as_seen(scene, scene.people[0].parts)
    table = np.zeros(15, np.uint8)
    for label, members in enumerate(
        body_parts.PARTS["part14"].values(), start=1
    ):
        stored = joints.mirror_name(members[0])
        table[label] = joints.SMPL24.index(stored) + 1
    return table[parts]
