"""Divisions of a body's vertices into named parts, from its skin weights."""

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
    name: str, weights: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The part of each vertex: labels (V,) int32 and the parts' names.

    Args:
        name: one of PARTS.
        weights: (V, 24) skinning weights in SMPL24 order.

    Raises:
        ValueError: there is no such division.
    """
    if name not in PARTS:
        raise ValueError(
            f"There is no division {name!r} of the body into parts. "
            f"Choose one of {list(PARTS)}."
        )
    weight_of_part = [
        weights[:, joints.select(members, of=joints.SMPL24)].sum(1)
        for members in PARTS[name].values()
    ]
    return np.argmax(weight_of_part, axis=0).astype(np.int32), tuple(
        PARTS[name]
    )
