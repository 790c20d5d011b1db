"""Retargets motion of the CMU's skeletons to joint angles of SMPL.

The two skeletons rest differently: a bone of SMPL is first turned, by the
least rotation, to the resting direction of the CMU's bone. So limbs keep their
directions, while twists about a limb are only approximate. The CMU's wrist
stores the forearm's twist, from another zero, so it is ignored; fingers are
straight.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from training.data.formats import acclaim

# The CMU's bone that starts at each joint of SMPL.
_MIDDLE = {
    "pelvis": acclaim.ROOT,
    "spine1": "lowerback",
    "spine2": "upperback",
    "spine3": "thorax",
    "neck": "lowerneck",
    "head": "head",
}
_SIDE = {
    "hip": "femur",
    "knee": "tibia",
    "ankle": "foot",
    "foot": "toes",
    "collar": "clavicle",
    "shoulder": "humerus",
    "elbow": "radius",
    "wrist": "hand",
}
BONES = _MIDDLE | {
    f"{side}_{joint}": side[0] + bone
    for side in ("left", "right")
    for joint, bone in _SIDE.items()
}
# Joints whose bones are aligned at rest, and where SMPL's bone ends.
_ENDS = {"hip": "knee", "knee": "ankle", "ankle": "foot"}
_ENDS |= {"shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}


def to_smpl(
    skeleton: acclaim.Skeleton,
    motion: dict[str, np.ndarray],
    rest: np.ndarray,
) -> np.ndarray:
    """Retargets a motion to SMPL.

    Args:
        skeleton: skeleton of a subject.
        motion: motion from acclaim.read_motion.
        rest: (24, 3) joints of the resting SMPL body.

    Returns:
        (T, 24, 3) rotation vectors.

    Raises:
        ValueError: a bone of the CMU's skeletons is missing.
    """
    missing = sorted(set(BONES.values()) - set(skeleton.bones))
    if missing:
        raise ValueError(
            f"The skeleton has no bones {missing}; expected one of the CMU's."
        )
    orientations = acclaim.orientations(skeleton, motion)
    world_rotations: list[Rotation] = []
    pose = np.zeros((len(motion[acclaim.ROOT]), 24, 3))
    for index, (name, parent) in enumerate(
        zip(joints.SMPL24, joints.parents(), strict=True)
    ):
        parent_rotation = world_rotations[parent] if parent >= 0 else None
        if name not in BONES:  # the hands
            world_rotations.append(parent_rotation)
            continue
        bone = skeleton.bones[BONES[name]]
        orientation = orientations[BONES[name]]
        if name.endswith("wrist"):
            direction = (parent_rotation.inv() * orientation).apply(
                bone.direction
            )
            local_rotation = _least_rotation(
                np.broadcast_to(_bone_direction(name, rest), direction.shape),
                direction,
            )
            world_rotations.append(parent_rotation * local_rotation)
        else:
            world_rotations.append(
                orientation * _alignment(name, skeleton, rest)
            )
            local_rotation = (
                world_rotations[-1]
                if parent_rotation is None
                else parent_rotation.inv() * world_rotations[-1]
            )
        pose[:, index] = local_rotation.as_rotvec()
    return pose


def _alignment(name: str, skeleton: acclaim.Skeleton, rest) -> Rotation:
    """Rotation from SMPL's resting bone to the CMU's."""
    # Toes stay in line with their foot.
    name = name.replace("_foot", "_ankle")
    if name.split("_")[-1] not in _ENDS:
        return Rotation.identity()
    smpl_direction = _bone_direction(name, rest)
    cmu_direction = skeleton.bones[BONES[name]].direction
    return _least_rotation(smpl_direction[None], cmu_direction[None])[0]


def _bone_direction(name: str, rest: np.ndarray) -> np.ndarray:
    """(3,) unit direction of the resting bone that starts at a joint."""
    side, joint = name.split("_")
    end = joints.SMPL24.index(f"{side}_{_ENDS[joint]}")
    bone = rest[end] - rest[joints.SMPL24.index(name)]
    return bone / np.linalg.norm(bone)


def _least_rotation(start: np.ndarray, end: np.ndarray) -> Rotation:
    """Least rotations from unit vectors (n, 3) to others."""
    cross = np.cross(start, end)
    sine = np.linalg.norm(cross, axis=1, keepdims=True)
    cosine = (start * end).sum(axis=1, keepdims=True)
    angle = np.arctan2(sine, cosine)
    axis = np.divide(cross, sine, out=np.zeros_like(cross), where=sine > 1e-12)
    # Opposite directions: any perpendicular axis will do.
    across = np.cross(start, np.eye(3)[np.abs(start).argmin(axis=1)])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    axis = np.where((sine <= 1e-12) & (cosine < 0), across, axis)
    return Rotation.from_rotvec(axis * angle)
