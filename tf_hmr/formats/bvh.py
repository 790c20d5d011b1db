"""Motion of the SMPL skeleton as BVH, the text that animation tools read.

Biovision Hierarchy: HIERARCHY gives each joint's offset from its parent,
MOTION one line of channels per frame. Every joint has three rotations in the
order Zrotation Yrotation Xrotation, which means R = Rz Ry Rx, in degrees; the
root also has its position. Metres, y up.
"""

import pathlib

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints

CHANNELS = "Zrotation Yrotation Xrotation"
END_M = 0.05
"""Length of the bones after the last joints, which BVH asks for."""

_PARENTS = joints.parents()


def write(
    path: pathlib.Path,
    rest: np.ndarray,
    rotmats: np.ndarray,
    positions: np.ndarray,
    frame_s: float,
) -> None:
    """Writes one person's motion.

    Args:
        path: the file.
        rest: (24, 3) joints of the resting body, metres.
        rotmats: (T, 24, 3, 3) relative to the parent, SMPL order.
        positions: (T, 3) of the pelvis.
        frame_s: seconds from frame to frame.
    """
    count = len(rotmats)
    flat = Rotation.from_matrix(rotmats.reshape(-1, 3, 3))
    angles = flat.as_euler("ZYX", degrees=True).reshape(count, -1, 3)
    order = list(_depth_first(0))
    rows = np.concatenate(
        [positions, angles[:, order].reshape(count, -1)], axis=1
    )
    lines = ["HIERARCHY", *_joint(0, rest, 0)]
    lines += ["MOTION", f"Frames: {count}", f"Frame Time: {frame_s:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _children(joint: int) -> list[int]:
    return [child for child, parent in enumerate(_PARENTS) if parent == joint]


def _depth_first(joint: int):
    yield joint
    for child in _children(joint):
        yield from _depth_first(child)


def _joint(joint: int, rest: np.ndarray, depth: int) -> list[str]:
    """The lines of a joint and all below it."""
    pad, root = "  " * depth, joint == 0
    bone = rest[joint] * 0 if root else rest[joint] - rest[_PARENTS[joint]]
    position = "6 Xposition Yposition Zposition" if root else "3"
    children = _children(joint)
    below = [line for c in children for line in _joint(c, rest, depth + 1)]
    if not children:
        end = bone * END_M / np.linalg.norm(bone)
        below = [f"{pad}  End Site", f"{pad}  {{"]
        below += [f"{pad}    {_offset(end)}", f"{pad}  }}"]
    return [
        f"{pad}{'ROOT' if root else 'JOINT'} {joints.SMPL24[joint]}",
        f"{pad}{{",
        f"{pad}  {_offset(bone)}",
        f"{pad}  CHANNELS {position} {CHANNELS}",
        *below,
        f"{pad}}}",
    ]


def _offset(vector: np.ndarray) -> str:
    return "OFFSET " + " ".join(f"{value:.6f}" for value in vector)
