"""Writes motion of a skeleton as BVH, a text format of animation tools.

Biovision Hierarchy: HIERARCHY gives each joint's offset from its parent,
MOTION one line of channels per frame. Every joint has three rotations in the
order Zrotation Yrotation Xrotation, which means R = Rz Ry Rx, in degrees; the
root also has its position. Metres, y up. From frame to frame the angles change
as little as they can, because players interpolate each channel by itself: they
may pass 180 degrees.
"""

import pathlib
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr.formats import atomic

CHANNELS = "Zrotation Yrotation Xrotation"
END_M = 0.05
"""Length of the bones after the last joints, which BVH requires."""

# Distance of Y from 90 degrees below which X and Z cannot be told apart.
_LOCK_DEGREES = 1e-5


class Skeleton(NamedTuple):
    """J joints of a resting body, root first.

    rest (J, 3) metres; names (J,); parents (J,) index of each joint's parent,
    -1 for the root.
    """

    rest: np.ndarray
    names: Sequence[str]
    parents: Sequence[int]

    def children(self, joint: int) -> list[int]:
        return [c for c, parent in enumerate(self.parents) if parent == joint]


def write(
    path: pathlib.Path,
    skeleton: Skeleton,
    rotmats: np.ndarray,
    positions: np.ndarray,
    frame_s: float,
) -> None:
    """Writes one person's motion.

    Args:
        path: the file.
        skeleton: skeleton of the resting body.
        rotmats: (T, J, 3, 3) relative to the parent.
        positions: (T, 3) of the root.
        frame_s: seconds from frame to frame.
    """
    count = len(rotmats)
    flat = Rotation.from_matrix(rotmats.reshape(-1, 3, 3))
    with warnings.catch_warnings():
        # SciPy's warning about what _unlocked settles.
        warnings.filterwarnings("ignore", message="Gimbal lock")
        angles = flat.as_euler("ZYX", degrees=True).reshape(count, -1, 3)
    angles = _continuous(angles)
    order = list(_depth_first(skeleton, 0))
    rows = np.concatenate(
        [positions, angles[:, order].reshape(count, -1)], axis=1
    )
    lines = ["HIERARCHY", *_joint(0, skeleton, 0)]
    lines += ["MOTION", f"Frames: {count}", f"Frame Time: {frame_s:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows]
    with atomic.replacing(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="ascii")


def _continuous(angles: np.ndarray) -> np.ndarray:
    """The same rotations with the least change from frame to frame.

    Args:
        angles: (T, J, 3) z, y, x in degrees. (z + 180, 180 - y, x + 180) is
            the same rotation, and so is any angle plus 360.

    Returns:
        (T, J, 3); the first frame is unchanged.
    """
    angles = angles.copy()
    for frame in range(1, len(angles)):
        before = angles[frame - 1]
        triple = _unlocked(angles[frame], before)
        other_triple = triple * (1, -1, 1) + 180
        options = np.stack([triple, other_triple])  # (2, J, 3)
        options += 360 * np.rint((before - options) / 360)
        changes = np.abs(options - before).sum(axis=-1)
        nearest = changes.argmin(axis=0)  # (J,)
        angles[frame] = options[nearest, np.arange(len(nearest))]
    return angles


def _unlocked(angles: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(J, 3) with the X of `before` where Y is 90 or -90 degrees.

    There Z - X, or Z + X, is all that counts, and SciPy takes X as 0.
    """
    z, y, x = angles.T
    locked = np.abs(np.abs(y) - 90) < _LOCK_DEGREES
    change = np.where(locked, before[:, 2] - x, 0.0)
    return np.stack([z + np.sign(y) * change, y, x + change], axis=-1)


def _depth_first(skeleton: Skeleton, joint: int):
    yield joint
    for child in skeleton.children(joint):
        yield from _depth_first(skeleton, child)


def _joint(joint: int, skeleton: Skeleton, depth: int) -> list[str]:
    """Lines of a joint and of all its descendants."""
    pad, root = "  " * depth, joint == 0
    rest, parent = skeleton.rest, skeleton.parents[joint]
    bone = rest[joint] * 0 if root else rest[joint] - rest[parent]
    position = "6 Xposition Yposition Zposition" if root else "3"
    children = skeleton.children(joint)
    child_lines = [
        line for c in children for line in _joint(c, skeleton, depth + 1)
    ]
    if not children:
        end = bone * END_M / np.linalg.norm(bone)
        child_lines = [f"{pad}  End Site", f"{pad}  {{"]
        child_lines += [f"{pad}    {_offset(end)}", f"{pad}  }}"]
    return [
        f"{pad}{'ROOT' if root else 'JOINT'} {skeleton.names[joint]}",
        f"{pad}{{",
        f"{pad}  {_offset(bone)}",
        f"{pad}  CHANNELS {position} {CHANNELS}",
        *child_lines,
        f"{pad}}}",
    ]


def _offset(vector: np.ndarray) -> str:
    return "OFFSET " + " ".join(f"{value:.6f}" for value in vector)
