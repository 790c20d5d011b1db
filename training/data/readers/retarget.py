"""Motion of the CMU's skeletons as joint angles of SMPL.

Both skeletons rest differently: a bone of SMPL is first turned, by the least
rotation, to where the other's rests. So limbs point where they did, while
twists about a limb are only about right. The forearm's twist is the other's
wrist's, from another zero, and is left out; fingers are straight.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from training.data.formats import acclaim

# The bone that begins at a joint of SMPL.
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
# Whose direction at rest is compared, and where SMPL's bone ends.
_ENDS = {"hip": "knee", "knee": "ankle", "ankle": "foot"}
_ENDS |= {"shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}


def to_smpl(
    skeleton: acclaim.Skeleton,
    motion: dict[str, np.ndarray],
    rest: np.ndarray,
) -> np.ndarray:
    """Poses of SMPL's joints.

    Args:
        skeleton: of a subject.
        motion: from acclaim.read_motion.
        rest: (24, 3) joints of the resting body that is to move.

    Returns:
        (T, 24, 3) rotation vectors.

    Raises:
        ValueError: the skeleton lacks a bone of the CMU's.
    """
    missing = sorted(set(BONES.values()) - set(skeleton.bones))
    if missing:
        raise ValueError(
            f"The skeleton has no bones {missing}; expected one of the CMU's."
        )
    turned = acclaim.orientations(skeleton, motion)
    world: list[Rotation] = []
    pose = np.zeros((len(motion[acclaim.ROOT]), 24, 3))
    for index, (name, parent) in enumerate(
        zip(joints.SMPL24, joints.parents(), strict=True)
    ):
        above = world[parent] if parent >= 0 else None
        if name not in BONES:  # the hands
            world.append(above)
            continue
        bone = skeleton.bones[BONES[name]]
        turn = turned[BONES[name]]
        if name.endswith("wrist"):
            seen = (above.inv() * turn).apply(bone.direction)
            own = _least(np.broadcast_to(_along(name, rest), seen.shape), seen)
            world.append(above * own)
        else:
            world.append(turn * _alignment(name, skeleton, rest))
            own = world[-1] if above is None else above.inv() * world[-1]
        pose[:, index] = own.as_rotvec()
    return pose


def _alignment(name: str, skeleton: acclaim.Skeleton, rest) -> Rotation:
    """From SMPL's resting bone to the other's."""
    # Toes stay in line with their foot.
    name = name.replace("_foot", "_ankle")
    if name.split("_")[-1] not in _ENDS:
        return Rotation.identity()
    own = _along(name, rest)
    other = skeleton.bones[BONES[name]].direction
    return _least(own[None], other[None])[0]


def _along(name: str, rest: np.ndarray) -> np.ndarray:
    """(3,) direction of the bone that begins at a joint."""
    side, joint = name.split("_")
    end = joints.SMPL24.index(f"{side}_{_ENDS[joint]}")
    bone = rest[end] - rest[joints.SMPL24.index(name)]
    return bone / np.linalg.norm(bone)


def _least(start: np.ndarray, end: np.ndarray) -> Rotation:
    """The least rotations from unit vectors (n, 3) to others."""
    cross = np.cross(start, end)
    sine = np.linalg.norm(cross, axis=1, keepdims=True)
    cosine = (start * end).sum(axis=1, keepdims=True)
    angle = np.arctan2(sine, cosine)
    axis = np.divide(cross, sine, out=np.zeros_like(cross), where=sine > 1e-12)
    # Opposite directions: any axis across will do.
    across = np.cross(start, np.eye(3)[np.abs(start).argmin(axis=1)])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    axis = np.where((sine <= 1e-12) & (cosine < 0), across, axis)
    return Rotation.from_rotvec(axis * angle)
