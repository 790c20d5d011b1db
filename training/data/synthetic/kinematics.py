"""Kinematics: ranges of motion, positions of joints, colliding limbs.

Numpy only, batched, for the processes that draw poses and render images.

Angles are degrees of swing and twist, R = exp(swing) exp(twist), in the
frame of the resting body (x to its left, y up, z forward). Ranges of motion
agree with the clinical tables of the AAOS and the AMA; the wrists are kept
tighter.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.body import capsules as body_capsules
from tf_hmr.body.data import BodyData

JOINTS = len(joints.SMPL24)
"""Number of joints of a drawn pose: SMPL's, which records hold."""

_INDEX = {name: index for index, name in enumerate(joints.SMPL24)}
_PARENTS = joints.parents()

_SIDES = ("left_", "right_")
_FOOT_SOFTNESS_M = 0.05  # A foot higher by this carries e times less.


@dataclasses.dataclass(frozen=True)
class Limits:
    """Range of motion of a left or middle joint, degrees.

    Attributes:
        twist: the axis along the bone, "x" or "y".
        x, y, z: lowest and highest angle about the axis.
    """

    twist: str
    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float]


LIMITS = {
    "hip": Limits("y", (-120, 25), (-35, 45), (-25, 45)),  # x < 0 flexion
    "knee": Limits("y", (0, 140), (-12, 12), (-4, 4)),  # x > 0 flexion
    "ankle": Limits("y", (-20, 45), (-15, 15), (-20, 20)),  # x < 0 dorsal
    "foot": Limits("y", (-40, 20), (-5, 5), (-5, 5)),
    "spine1": Limits("y", (-10, 30), (-12, 12), (-12, 12)),  # x > 0 flexion
    "spine2": Limits("y", (-10, 25), (-15, 15), (-12, 12)),
    "spine3": Limits("y", (-8, 18), (-15, 15), (-10, 10)),
    "neck": Limits("y", (-28, 28), (-35, 35), (-20, 20)),
    "head": Limits("y", (-25, 25), (-35, 35), (-18, 18)),
    "collar": Limits("x", (-8, 8), (-20, 18), (-18, 28)),  # z > 0 elevation
    # z < 0 lowers the arm, y < 0 brings it forward, x < 0 turns it outwards.
    "shoulder": Limits("x", (-90, 70), (-125, 40), (-90, 85)),
    "elbow": Limits("x", (-110, 12), (-145, 0), (-4, 4)),  # y < 0 flexion
    "wrist": Limits("x", (-20, 20), (-20, 25), (-60, 55)),
    "hand": Limits("x", (-3, 3), (-4, 4), (-70, 8)),
}


def angle_limits() -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest angles (24, 3), degrees; the pelvis has 0 and 0."""
    low, high = np.zeros((JOINTS, 3)), np.zeros((JOINTS, 3))
    for name, index in _INDEX.items():
        limit = LIMITS.get(_without_side(name))
        if limit is not None:
            low[index], high[index] = zip(
                limit.x, limit.y, limit.z, strict=True
            )
        if name.startswith("right_"):
            low[index, 1:], high[index, 1:] = -high[index, 1:], -low[index, 1:]
    return low, high


def swing_twist_rotations(angles: np.ndarray) -> Rotation:
    """Converts swing and twist (N, 24, 3) in degrees to N * 24 rotations."""
    twist_axis = np.zeros((JOINTS, 3))
    for name, index in _INDEX.items():
        limit = LIMITS.get(_without_side(name))
        twist_axis[index, "xyz".index(limit.twist if limit else "y")] = 1
    radians = np.deg2rad(angles)
    twist = (radians * twist_axis).reshape(-1, 3)
    swing = radians.reshape(-1, 3) - twist
    return Rotation.from_rotvec(swing) * Rotation.from_rotvec(twist)


def forward(
    rotmats: np.ndarray,
    rest: np.ndarray,
    parents: Sequence[int] = _PARENTS,
) -> tuple[np.ndarray, np.ndarray]:
    """Computes forward kinematics of a kinematic tree.

    Args:
        rotmats: (N, J, 3, 3) relative to the parent.
        rest: (J, 3) or (N, J, 3) joints of the unposed body, metres.
        parents: (J,) index of each joint's parent, which comes before it; by
            default the tree of joints.SMPL24, whose poses records hold.

    Returns:
        Rotations (N, J, 3, 3) and positions (N, J, 3) in the body's frame;
        the root stays where `rest` has it.

    Raises:
        ValueError: the rotations are of another number of joints.
    """
    if rotmats.shape[1] != len(parents):
        raise ValueError(
            f"rotmats have shape {rotmats.shape}, expected "
            f"(N, {len(parents)}, 3, 3) for a tree of {len(parents)} joints."
        )
    rest = np.broadcast_to(rest, (len(rotmats), *rest.shape[-2:]))
    rotations = np.empty(rotmats.shape, rotmats.dtype)
    positions = np.empty(rest.shape, rotmats.dtype)
    rotations[:, 0], positions[:, 0] = rotmats[:, 0], rest[:, 0]
    for joint, parent in enumerate(parents[1:], start=1):
        bone = rest[:, joint] - rest[:, parent]
        rotations[:, joint] = rotations[:, parent] @ rotmats[:, joint]
        positions[:, joint] = positions[:, parent] + np.squeeze(
            rotations[:, parent] @ bone[..., None], axis=-1
        )
    return rotations, positions


def smpl24_rest(data: BodyData) -> np.ndarray:
    """Positions (24, 3) of joints.SMPL24 on the resting mean body, metres.

    Raises:
        ValueError: the body lacks one of them.
    """
    index = list(joints.select(joints.SMPL24, of=data.joint_names))
    return (data.J_regressor @ data.v_template)[index]


def of_body(rotmats: np.ndarray, data: BodyData) -> np.ndarray:
    """Rotations of all joints of a body that bends as SMPL does.

    Args:
        rotmats: (N, 24, 3, 3) of joints.SMPL24, relative to the parent.
        data: the body.

    Returns:
        (N, J, 3, 3) in the order of `data.joint_names`; joints that SMPL
        lacks, such as fingers, have the identity.

    Raises:
        ValueError: the body lacks a joint of SMPL24.
    """
    index = list(joints.select(joints.SMPL24, of=data.joint_names))
    bent = np.tile(np.eye(3), (len(rotmats), data.num_joints, 1, 1))
    bent[:, index] = rotmats
    return bent


def balance(rotmats: np.ndarray, rest: np.ndarray) -> Rotation:
    """Computes rotations that bring a body's weight over its feet.

    The lower foot carries more. Sitting people, with hips bent by 55 degrees
    or more, have no weight on the feet and are not turned.

    Args:
        rotmats: (N, 24, 3, 3), the pelvis unturned.
        rest: (24, 3) joints of the resting body, metres.

    Returns:
        N rotations of the body, by 45 degrees at most.
    """
    positions = forward(rotmats, rest)[1]
    joint = {name: positions[:, index] for name, index in _INDEX.items()}
    feet = np.stack([joint["left_ankle"], joint["right_ankle"]])
    load = np.exp(-feet[..., 1:2] / _FOOT_SOFTNESS_M)
    support = (feet * load).sum(axis=0) / load.sum(axis=0)
    thighs = np.stack(
        [joint[side + "knee"] - joint[side + "hip"] for side in _SIDES]
    )
    thighs /= np.linalg.norm(thighs, axis=-1, keepdims=True)
    stands = np.any(-thighs[..., 1] > np.cos(np.deg2rad(55)), axis=0)
    trunk = (joint["pelvis"] + joint["spine3"]) / 2 - support
    trunk /= np.linalg.norm(trunk, axis=-1, keepdims=True)
    # The shortest turn of `trunk` to y: its cross product with y, by angle.
    axis = np.stack([-trunk[:, 2], np.zeros(len(trunk)), trunk[:, 0]], axis=-1)
    sine = np.linalg.norm(axis, axis=-1)
    angle = np.minimum(np.arctan2(sine, trunk[:, 1]), np.pi / 4)
    scale = np.where(stands & (sine > 0), angle, 0) / np.where(
        sine > 0, sine, 1
    )
    return Rotation.from_rotvec(axis * scale[:, None])


class SelfPenetration:
    """Finds limbs inside other parts of the body, with 16 capsules.

    The capsules are measured on the mean body; a heavy one may still touch
    itself. Checked against winding numbers of the mesh: of the poses that
    pass at 20 mm, 3 % have more than 5 % of their limb vertices inside; of
    those that fail, 56 %.
    """

    def __init__(self, data: BodyData):
        """Measures the capsules of a body.

        Args:
            data: the body; has all joints of SMPL24. Only its mean shape is
                used.
        """
        self._rest = smpl24_rest(data).astype(np.float64)
        capsules = body_capsules.measure(data)
        joint = np.array([_INDEX[capsule.joint] for capsule in capsules])
        ends = np.array([(c.start, c.end) for c in capsules])  # (C, 2, 3)
        self._joint = joint
        self._offsets = ends - self._rest[joint][:, None]
        self._radius = np.array([capsule.radius for capsule in capsules])
        self._first, self._second = np.array(
            [
                (a, b)
                for a, b in itertools.combinations(range(len(capsules)), 2)
                if not body_capsules.may_touch(
                    capsules[a].name, capsules[b].name
                )
            ]
        ).T

    def depth(self, rotmats: np.ndarray) -> np.ndarray:
        """Computes how deep the deepest pair of capsules overlaps.

        Args:
            rotmats: (N, 24, 3, 3) relative to the parent.

        Returns:
            (N,) metres, negative for a gap.
        """
        rotations, positions = forward(rotmats, self._rest)
        rotated = np.einsum(
            "ncij,cej->cnei", rotations[:, self._joint], self._offsets
        )
        ends = positions[:, self._joint].swapaxes(0, 1)[:, :, None] + rotated
        first, second = ends[self._first], ends[self._second]
        gap = segment_distance(
            first[:, :, 0], first[:, :, 1], second[:, :, 0], second[:, :, 1]
        )
        reach = self._radius[self._first] + self._radius[self._second]
        return np.max(reach[:, None] - gap, axis=0)


def segment_distance(a0, a1, b0, b1) -> np.ndarray:
    """Computes the distance of segments a0-a1 and b0-b1, (..., 3) -> (...).

    Closed form of Ericson, Real-Time Collision Detection (2005), 5.1.9.
    """
    along_a, along_b, between = a1 - a0, b1 - b0, a0 - b0

    def dot(x, y):
        return np.einsum("...i,...i->...", x, y)

    aa, bb, ab = (
        dot(along_a, along_a),
        dot(along_b, along_b),
        dot(along_a, along_b),
    )
    a_between, b_between = dot(along_a, between), dot(along_b, between)
    determinant = aa * bb - ab * ab
    parallel = determinant < 1e-9
    s = np.where(
        parallel,
        0.0,
        (ab * b_between - a_between * bb)
        / np.where(parallel, 1.0, determinant),
    )
    s = np.clip(s, 0, 1)
    t = (ab * s + b_between) / bb
    # Where the nearest point of b lies beyond an end, go back to a.
    s = np.where(t < 0, np.clip(-a_between / aa, 0, 1), s)
    s = np.where(t > 1, np.clip((ab - a_between) / aa, 0, 1), s)
    t = np.clip(t, 0, 1)
    gap = between + s[..., None] * along_a - t[..., None] * along_b
    return np.linalg.norm(gap, axis=-1)


def _without_side(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")
