"""Writes collections of poses: AMASS, MoSh, and the CMU's Acclaim files."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.support import smpl_files
from tf_hmr import joints
from training.data.readers import retarget

# Directions at rest and axes in degrees as a skeleton of the CMU has them
# (gsimchoni/mocap: inst/extdata/zombie.asf), for the left side.
_MIDDLE = {
    "lowerback": ("root", (-0.033, 0.991, -0.131), (0, 0, 0)),
    "upperback": ("lowerback", (-0.004, 0.999, -0.039), (0, 0, 0)),
    "thorax": ("upperback", (0.009, 0.9997, 0.022), (0, 0, 0)),
    "lowerneck": ("thorax", (0.018, 0.991, 0.136), (0, 0, 0)),
    "upperneck": ("lowerneck", (0.006, 0.962, -0.274), (0, 0, 0)),
    "head": ("upperneck", (0.001, 0.994, -0.107), (0, 0, 0)),
}
_LEFT = {
    "hipjoint": ("root", (0.602, -0.665, 0.442), (0, 0, 0)),
    "femur": ("hipjoint", (0.342, -0.940, 0), (0, 0, 20)),
    "tibia": ("femur", (0.342, -0.940, 0), (0, 0, 20)),
    "foot": ("tibia", (0.088, -0.242, 0.966), (-90, 0, 20)),
    "toes": ("foot", (0, 0, 1), (-90, 0, 20)),
    "clavicle": ("thorax", (0.916, 0.390, -0.090), (0, 0, 0)),
    "humerus": ("clavicle", (1, 0, 0), (180, -30, -90)),
    "radius": ("humerus", (1, 0, 0), (180, -30, -90)),
    "wrist": ("radius", (1, 0, 0), (0, 90, 90)),
    "hand": ("wrist", (1, 0, 0), (0, 90, 90)),
}


def _bones() -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """(parent, direction, axes) by name, parents first."""
    bones = {
        name: (parent, np.array(direction), np.array(axes, float))
        for name, (parent, direction, axes) in _MIDDLE.items()
    }
    for side, sign in (("l", 1), ("r", -1)):
        for name, (parent, direction, axes) in _LEFT.items():
            inner = parent in ("root", "thorax")
            bones[side + name] = (
                parent if inner else side + parent,
                np.array(direction) * (sign, 1, 1),
                np.array(axes, float) * (1, sign, sign),
            )
    return bones


BONES = _bones()


def write_asf(path: Path) -> Path:
    """A skeleton; all bones but hips may turn about all three axes."""
    lines = ["# a skeleton", ":version 1.10", ":units", "  length 0.45"]
    lines += ["  angle deg", ":root", "   order TX TY TZ RX RY RZ"]
    lines += ["   axis XYZ", "   position 0 0 0", ":bonedata"]
    for name, (_, direction, axes) in BONES.items():
        numbers = " ".join(f"{value:.9g}" for value in direction)
        angles = " ".join(f"{value:g}" for value in axes)
        lines += ["  begin", f"     name {name}", f"     direction {numbers} "]
        lines += ["     length 2.1", f"     axis {angles}   XYZ"]
        if not name.endswith("hipjoint"):
            lines += ["    dof rx ry rz", "    limits (-160.0 20.0)"]
            lines += ["           (-70.0 70.0)", "           (-60.0 70.0)"]
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    lines += [f"    {p} {name}" for name, (p, _, _) in BONES.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "  end"]) + "\n")
    return path


def write_amc(path: Path, poses: np.ndarray, rest: np.ndarray) -> Path:
    """Motion that has a body's bones (T, 24, 3) where its poses have them.

    Twists of forearms are what they like; all frames are followed by 11
    others, as 120 a second are recorded.
    """
    world = _body_orientations(poses)
    bone_rotations = {}
    joint_of_bone = {bone: joint for joint, bone in retarget.BONES.items()}
    lines = ["#!OML:ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    count = len(poses)
    angles = {"root": world["pelvis"].as_euler("xyz", degrees=True)}
    bone_rotations["root"] = world["pelvis"]
    for name, (parent, _, axes) in BONES.items():
        joint = joint_of_bone.get(name)
        above = bone_rotations[parent]
        if joint is None:
            bone_rotations[name] = above
        else:
            start = _rest_direction(joint, rest)
            foot_rotation = Rotation.identity()
            if start is not None:
                # Toes keep the angle to their foot that they rest at.
                foot = BONES[name.replace("toes", "foot")]
                foot_rotation = _between(start, foot[1])
            bone_rotations[name] = world[joint] * foot_rotation.inv()
        axis = Rotation.from_euler("xyz", axes, degrees=True)
        local = axis.inv() * (above.inv() * bone_rotations[name]) * axis
        angles[name] = local.as_euler("xyz", degrees=True).reshape(count, 3)
    for frame in range(12 * count):
        lines.append(str(frame + 1))
        for name, values in angles.items():
            numbers = " ".join(f"{value:.9g}" for value in values[frame // 12])
            if frame % 12:
                numbers = "7 8 9"
            head = "root 1.5 17.25 -3" if name == "root" else name
            if not name.endswith("hipjoint"):
                lines.append(f"{head} {numbers}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _body_orientations(poses: np.ndarray) -> dict[str, Rotation]:
    orientations = {}
    for index, name in enumerate(joints.SMPL24):
        turn = Rotation.from_rotvec(poses[:, index])
        parent = joints.SMPL24_PARENTS.get(name)
        orientations[name] = orientations[parent] * turn if parent else turn
    return orientations


def _rest_direction(joint: str, rest: np.ndarray) -> np.ndarray | None:
    """Of the limb that begins at a joint; toes go with their foot."""
    limb = joint.split("_")[-1].replace("foot", "ankle")
    if limb in ("collar",) or "_" not in joint:
        return None
    start = joint.replace("foot", "ankle")
    (end,) = (
        child
        for child, parent in joints.SMPL24_PARENTS.items()
        if parent == start
    )
    index = joints.SMPL24.index
    return rest[index(end)] - rest[index(start)]


def _between(start: np.ndarray, end: np.ndarray) -> Rotation:
    """The least rotation, by half a turn about the middle and another."""
    start, end = (v / np.linalg.norm(v) for v in (start, end))
    middle = (start + end) / np.linalg.norm(start + end)
    turn = Rotation.from_rotvec(np.pi * middle)
    return turn * Rotation.from_rotvec(np.pi * start)


def write_amass(
    path: Path, poses, betas, rate=60, gender="female", change=None
) -> Path:
    """Every frame but each `rate / 10`th shows nobody."""
    step = round(rate / 10)
    rows = np.full((step * len(poses), 156), 9.0)
    rows[::step, :66] = poses.reshape(len(poses), 72)[:, :66]
    content = {
        "poses": rows,
        "trans": np.zeros((len(rows), 3)),
        "betas": np.append(betas, np.zeros(6)),
        "dmpls": np.zeros((len(rows), 8)),
        "gender": np.array(gender),
        "mocap_framerate": np.array(float(rate)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(content | (change or {})))
    return path


def write_mosh(path: Path, poses, betas, key="poses") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {key: poses.reshape(-1, 72), "betas": betas, "trans": 0}
    return smpl_files.write_pickle(path, content)
