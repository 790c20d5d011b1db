"""A body's parts as capsules, to find limbs that collide.

Numpy only. Capsules are measured on a shape of the body from its skin
weights, so any body with SMPL's joints has them.
"""

from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.body import parts
from tf_hmr.body.data import BodyData

_SIDES = ("left_", "right_")
_TRUNK = ("pelvis", "belly", "chest", "head")
# Limbs of one side that touch because they share a joint, or nearly so.
_NEIGHBOURS = (
    {"thigh", "shank"},
    {"shank", "foot"},
    {"thigh", "foot"},
    {"upper_arm", "forearm"},
    {"forearm", "hand"},
    {"upper_arm", "hand"},
)
_ROOTED = ({"thigh", "pelvis"}, {"upper_arm", "chest"})


class Capsule(NamedTuple):
    """A cylinder with round ends that moves with a joint.

    Attributes:
        name: name of the part.
        joint: name of the body's joint.
        start: (3,) centre of one end on the resting body, metres.
        end: (3,) centre of the other end.
        radius: metres.
    """

    name: str
    joint: str
    start: np.ndarray
    end: np.ndarray
    radius: float


class _Shape(NamedTuple):
    """A resting body of some shape."""

    vertices: np.ndarray  # (V, 3)
    rest: np.ndarray  # (J, 3), float64
    data: BodyData

    def joint_position(self, name: str) -> np.ndarray:
        return self.rest[self.index(name)]

    def index(self, name: str) -> int:
        return joints.select([name], of=self.data.joint_names)[0]

    def follows_joint(self, name: str) -> np.ndarray:
        """(V,) whether a vertex mostly follows the joint or a descendant of it.

        For example the jaw's skin belongs to the head.
        """
        data = self.data
        nearest = parts.nearest_ancestors(data.joint_names, data.parents)
        joint_indices = [
            i for i, ancestor in enumerate(nearest) if ancestor == name
        ]
        return np.isin(np.argmax(data.weights, axis=1), joint_indices)


def measure(
    data: BodyData, vertices: np.ndarray | None = None
) -> list[Capsule]:
    """Measures the 16 capsules of a body: 12 limbs, 4 of trunk and head.

    Args:
        data: the body.
        vertices: (V, 3) metres, its resting surface in some shape; None for
            the mean shape.

    Raises:
        ValueError: a part has no skin of its own, or the body lacks a joint
            of joints.SMPL24 that a part is named by.
    """
    if vertices is None:
        vertices = data.v_template
    rest = (data.J_regressor @ vertices).astype(np.float64)
    shape = _Shape(vertices, rest, data)
    capsules = []
    for side in _SIDES:
        capsules += _limbs(shape, side)
    return capsules + _trunk(shape)


def may_touch(a: str, b: str) -> bool:
    """Whether two parts are neighbours, whose overlap is no collision."""
    if a in _TRUNK and b in _TRUNK:
        return True
    names = {_without_side(a), _without_side(b)}
    same_side = a.split("_")[0] == b.split("_")[0]
    return names in _ROOTED or (same_side and names in _NEIGHBOURS)


def _limbs(shape: _Shape, side: str) -> list[Capsule]:
    def tube(name, joint, end, skip=0.0, thinner=1.0):
        start, stop = (
            shape.joint_position(side + joint),
            shape.joint_position(side + end),
        )
        radius = thinner * _radius(shape, side + joint, start, stop)
        start = start + skip * (stop - start)
        return Capsule(side + name, side + joint, start, stop, radius)

    wrist, hand = (
        shape.joint_position(side + "wrist"),
        shape.joint_position(side + "hand"),
    )
    ankle, foot = (
        shape.joint_position(side + "ankle"),
        shape.joint_position(side + "foot"),
    )
    fingers = wrist + 1.9 * (hand - wrist)
    heel, toes = ankle + [0.0, -0.03, -0.02], foot + [0.0, 0.0, 0.05]
    return [
        # The skipped start is inside the trunk, even at rest.
        tube("thigh", "hip", "knee", skip=0.25),
        tube("shank", "knee", "ankle"),
        tube("upper_arm", "shoulder", "elbow", skip=0.35),
        tube("forearm", "elbow", "wrist", thinner=0.9),
        Capsule(side + "hand", side + "wrist", wrist, fingers, 0.022),
        Capsule(side + "foot", side + "ankle", heel, toes, 0.035),
    ]


def _trunk(shape: _Shape) -> list[Capsule]:
    # The skin is chosen on the mean shape, so it is the same for every shape.
    lateral_distance = np.abs(shape.data.v_template[:, 0])
    capsules = []
    for name, joint, half_width in (
        ("pelvis", "pelvis", 0.08),
        ("belly", "spine1", 0.06),
        ("chest", "spine3", 0.07),
    ):
        # The chest's joint also moves the inner shoulders: leave them out.
        mask = shape.follows_joint(joint) & (lateral_distance < 0.2)
        skin = _require_skin(shape.vertices[mask], joint)
        middle = skin.mean(axis=0)
        radius = 0.43 * float(np.ptp(skin[:, 2]))
        sideways = np.array([half_width, 0.0, 0.0])
        capsules.append(
            Capsule(name, joint, middle - sideways, middle + sideways, radius)
        )
    skin = _require_skin(shape.vertices[shape.follows_joint("head")], "head")
    middle = (skin.max(axis=0) + skin.min(axis=0)) / 2
    ends = middle + np.array([[0.0, 0.04, 0.0], [0.0, -0.06, 0.0]])
    return [*capsules, Capsule("head", "head", ends[0], ends[1], 0.08)]


def _radius(
    shape: _Shape, joint: str, start: np.ndarray, end: np.ndarray
) -> float:
    """Median distance between a bone and the skin around its middle."""
    skin = shape.vertices[shape.data.weights[:, shape.index(joint)] > 0.6]
    bone = end - start
    fraction = (skin - start) @ bone / (bone @ bone)
    middle = (fraction > 0.15) & (fraction < 0.85)
    radial_offsets = _require_skin(
        (skin - start - fraction[:, None] * bone)[middle], joint
    )
    return float(np.median(np.linalg.norm(radial_offsets, axis=1)))


def _require_skin(skin: np.ndarray, joint: str) -> np.ndarray:
    if not len(skin):
        raise ValueError(
            f"No skin of the body follows its {joint}, so how thick it is "
            "there cannot be measured. Are the skin weights those of this "
            "body, in the order of its joint_names?"
        )
    return skin


def _without_side(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")
