"""Joint orders of the field, by name; every index is computed from a name.

Sources of the orders: SMPL24 vchoutas/smplx: smplx/joint_names.py;
COCOPLUS19 and LSP14 akanazawa/hmr: src/tf_smpl/batch_smpl.py;
COCO17 the COCO keypoint page; H36M17 the official Human3.6M order with the
right leg first (SPIN's stored regressor has the left leg first: map by name);
BLAZEPOSE33 google-ai-edge/mediapipe: docs/solutions/pose.md.
"""

from collections.abc import Sequence

SMPL24 = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)

SMPL24_PARENTS = {
    "left_hip": "pelvis",
    "right_hip": "pelvis",
    "spine1": "pelvis",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "spine2": "spine1",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "spine3": "spine2",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
    "neck": "spine3",
    "left_collar": "spine3",
    "right_collar": "spine3",
    "head": "neck",
    "left_shoulder": "left_collar",
    "right_shoulder": "right_collar",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_hand": "left_wrist",
    "right_hand": "right_wrist",
}

LSP14 = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)

FACE5 = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")

COCOPLUS19 = LSP14 + FACE5

COCO17 = FACE5 + (
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

H36M17 = (
    "pelvis",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "spine",
    "thorax",
    "neck_nose",
    "head_top",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)

# SMPLR averages over these joints of SMPL24 (meysam-madadi/SMPLR: test.py).
SMPLR16 = (
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "spine3",
    "neck",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
)

# Points of the skin beside the joints, in the order of SMPLR (Madadi et al.
# 2020, section 3; meysam-madadi/SMPLR: Models/e2ePoseestimator.py). The last is
# no `nose` of COCOPLUS19, which has rows of its own.
LANDMARKS18 = (
    "left_breast",
    "right_breast",
    "belly",
    "right_hip_side",
    "left_hip_side",
    "right_thigh_front",
    "left_thigh_front",
    "right_thigh_back",
    "left_thigh_back",
    "left_toe",
    "right_toe",
    "left_fingertip",
    "left_biceps",
    "left_triceps",
    "right_biceps",
    "right_triceps",
    "right_fingertip",
    "nose_tip",
)

# The authors' kinematic tree is only in their download; this one agrees with
# the bone lengths that their code lists.
LANDMARKS18_PARENTS = {
    "left_breast": "spine3",
    "right_breast": "spine3",
    "belly": "pelvis",
    "right_hip_side": "pelvis",
    "left_hip_side": "pelvis",
    "right_thigh_front": "right_hip",
    "left_thigh_front": "left_hip",
    "right_thigh_back": "right_thigh_front",
    "left_thigh_back": "left_thigh_front",
    "left_toe": "left_foot",
    "right_toe": "right_foot",
    "left_fingertip": "left_hand",
    "left_biceps": "left_shoulder",
    "left_triceps": "left_biceps",
    "right_biceps": "right_shoulder",
    "right_triceps": "right_biceps",
    "right_fingertip": "right_hand",
    "nose_tip": "head",
}

# What SMPLR's networks find, relative to the pelvis.
SMPLR41 = SMPL24[1:] + LANDMARKS18

FEET6 = (
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)

# The one superset order in which records store keypoints and 3D joints.
KEYPOINTS = COCOPLUS19 + ("pelvis", "spine", "thorax", "neck_nose") + FEET6

BLAZEPOSE33 = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "left_mouth",
    "right_mouth",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)

BLAZEPOSE_OF_KEYPOINT = {
    **{name: name for name in COCO17 + ("left_heel", "right_heel")},
    "left_big_toe": "left_foot_index",
    "right_big_toe": "right_foot_index",
}
"""Landmark of BLAZEPOSE33 that stands for a keypoint; others have none."""

# Lines of a drawn skeleton, as pairs of KEYPOINTS names.
BONES = (
    ("head_top", "neck"),
    ("neck", "left_shoulder"),
    ("neck", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)


def select(names: Sequence[str], of: Sequence[str]) -> tuple[int, ...]:
    """Indices that pick `names`, in their order, out of the order `of`.

    Raises:
        ValueError: a name is not in `of`; the message lists all missing ones.
    """
    missing = [name for name in names if name not in of]
    if missing:
        raise ValueError(
            f"Joints {missing} are not in the order {list(of)}. "
            "Choose names from that order, or map through joints.KEYPOINTS."
        )
    return tuple(of.index(name) for name in names)


def check_smpl24(names: Sequence[str], subject: str) -> None:
    """Refuses a skeleton that is not SMPL24, for code defined on it alone.

    Args:
        names: names of a body's joints, root first.
        subject: the asset or method defined on SMPL24, for the message.

    Raises:
        ValueError: the joints differ, or their order; the message names
            them.
    """
    if tuple(names) == SMPL24:
        return
    extra = [name for name in names if name not in SMPL24]
    missing = [name for name in SMPL24 if name not in names]
    differences = [f"has {extra} beside them"] if extra else []
    differences += [f"lacks {missing}"] if missing else []
    raise ValueError(
        f"{subject} is defined on SMPL's {len(SMPL24)} joints, in their order; "
        f"this body {' and '.join(differences) or 'has another order'}. Give "
        "a body whose joints are joints.SMPL24."
    )


def mirror_name(name: str) -> str:
    """The joint on the other side: `left_x` <-> `right_x`, others stay."""
    if name.startswith("left_"):
        return "right_" + name[len("left_") :]
    if name.startswith("right_"):
        return "left_" + name[len("right_") :]
    return name


def mirror(names: Sequence[str]) -> tuple[int, ...]:
    """Permutation that swaps left and right joints.

    `values[mirror(names)]` holds at the index of `left_x` the value of
    `right_x`. Applied twice it is the identity.
    """
    return select([mirror_name(name) for name in names], of=names)


def parents() -> tuple[int, ...]:
    """Index of each SMPL24 joint's parent; -1 for the pelvis."""
    return (-1,) + tuple(
        SMPL24.index(SMPL24_PARENTS[name]) for name in SMPL24[1:]
    )


def smplr41_parents() -> tuple[int, ...]:
    """Row of each SMPLR41 point's parent in ("pelvis",) + SMPLR41."""
    rows = ("pelvis",) + SMPLR41
    names = {**SMPL24_PARENTS, **LANDMARKS18_PARENTS}
    return tuple(rows.index(names[name]) for name in SMPLR41)
