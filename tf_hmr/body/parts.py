"""Divisions of a body's vertices into named parts, from its skin weights."""

from collections.abc import Collection, Sequence

import numpy as np

from tf_hmr import joints

_SIDES = ("left", "right")
_TORSO = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")


def _limbs(**parts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {
        f"{side}_{part}": tuple(f"{side}_{name}" for name in names)
        for part, names in parts.items()
        for side in _SIDES
    }


_LIMBS12 = _limbs(
    upper_arm=("shoulder",),
    forearm=("elbow",),
    hand=("wrist", "hand"),
    thigh=("hip",),
    calf=("knee",),
    foot=("ankle", "foot"),
)
# A vertex belongs to the part whose joints carry most of its skin weight.
PARTS = {
    "part6": {"head": ("neck", "head"), "torso": _TORSO}
    | _limbs(
        arm=("shoulder", "elbow", "wrist", "hand"),
        leg=("hip", "knee", "ankle", "foot"),
    ),
    "part14": {"head": ("neck", "head"), "torso": _TORSO} | _LIMBS12,
    "part15": {
        "head": ("neck", "head"),
        "upper_torso": ("spine2", "spine3", "left_collar", "right_collar"),
        "lower_torso": ("pelvis", "spine1"),
    }
    | _LIMBS12,
}


def labels(
    name: str,
    weights: np.ndarray,
    joint_names: Sequence[str],
    parents: Sequence[int],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Part of each vertex: labels (V,) int32 and the parts' names.

    A joint that no part names, such as a finger's, belongs to its parent's
    part.

    Args:
        name: one of PARTS.
        weights: (V, J) skinning weights.
        joint_names: (J,) names of the joints.
        parents: (J,) index of each joint's parent, -1 for the root.

    Raises:
        ValueError: there is no such division, or a joint belongs to no part.
    """
    if name not in PARTS:
        raise ValueError(
            f"There is no division {name!r} of the body into parts. "
            f"Choose one of {list(PARTS)}."
        )
    part_members = [
        joint for members in PARTS[name].values() for joint in members
    ]
    nearest = nearest_ancestors(joint_names, parents, part_members)
    unassigned = [j for j, n in zip(joint_names, nearest, strict=True) if not n]
    if unassigned:
        raise ValueError(
            f"The joints {unassigned} of the body belong to no part of "
            f"{name!r}: "
            "neither they nor their ancestors are among those it names, "
            f"{part_members}. Call the body's joints as joints.SMPL24 does."
        )
    weight_of_part = []
    for members in PARTS[name].values():
        part_joints = [joint for joint in members if joint in joint_names]
        part_joints += [
            joint
            for joint, ancestor in zip(joint_names, nearest, strict=True)
            if ancestor in members and joint not in members
        ]
        columns = joints.select(part_joints, of=joint_names)
        weight_of_part.append(weights[:, columns].sum(1))
    return np.argmax(weight_of_part, axis=0).astype(np.int32), tuple(
        PARTS[name]
    )


def nearest_ancestors(
    joint_names: Sequence[str],
    parents: Sequence[int],
    named: Collection[str] = joints.SMPL24,
) -> list[str]:
    """Each joint's nearest ancestor among `named`; itself, if it is named.

    For code that knows only SMPL's joints, skin that follows a finger or the
    jaw belongs to the hand or the head.

    Args:
        joint_names: (J,) names of the joints, parents first.
        parents: (J,) index of each joint's parent, -1 for the root.
        named: the names to choose from.

    Returns:
        (J,) names; "" where there is none.
    """
    nearest: list[str] = []
    for joint, parent in zip(joint_names, parents, strict=True):
        inherited = nearest[parent] if parent >= 0 else ""
        nearest.append(joint if joint in named else inherited)
    return nearest
