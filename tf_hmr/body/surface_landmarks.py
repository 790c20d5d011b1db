"""SMPLR's landmarks: 18 vertices of the skin, by name and topology.

SMPL's ids: meysam-madadi/SMPLR: Data/datagenerator_cloth3d.py. Those of the
open body are the same points, found by names that it has, and otherwise as the
outermost vertex around a bone; its tests find them again.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tf_hmr import joints

_OPEN = {
    "left_breast": 934,
    "right_breast": 4311,
    "belly": 98,
    "right_hip_side": 5611,
    "left_hip_side": 2234,
    "right_thigh_front": 5784,
    "left_thigh_front": 2407,
    "right_thigh_back": 5767,
    "left_thigh_back": 2390,
    "left_toe": 3132,
    "right_toe": 6509,
    "left_fingertip": 1080,
    "left_biceps": 867,
    "left_triceps": 876,
    "right_biceps": 4244,
    "right_triceps": 4253,
    "right_fingertip": 4457,
    "nose_tip": 122,
}
_SMPL = {
    "left_breast": 3042,
    "right_breast": 4428,
    "belly": 3503,
    "right_hip_side": 4311,
    "left_hip_side": 822,
    "right_thigh_front": 4361,
    "left_thigh_front": 877,
    "right_thigh_back": 4386,
    "left_thigh_back": 898,
    "left_toe": 3222,
    "right_toe": 6620,
    "left_fingertip": 2544,
    "left_biceps": 2820,
    "left_triceps": 1258,
    "right_biceps": 4116,
    "right_triceps": 5365,
    "right_fingertip": 5989,
    # The repository calls it the top of the head; it is a point of the face.
    "nose_tip": 331,
}

IDS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"open-v1": _OPEN, "smpl": _SMPL}
)
"""Vertex of each of joints.LANDMARKS18, by topology."""


def vertices(topology: str, names: Sequence[str]) -> tuple[int, ...]:
    """Vertex ids of landmarks.

    Args:
        topology: of the body.
        names: of joints.LANDMARKS18.

    Raises:
        ValueError: the landmarks of this topology are not known.
    """
    if topology not in IDS:
        raise ValueError(
            f"The landmarks {list(names)[:3]} of the topology {topology!r} are "
            f"not known, only those of {list(IDS)}. Add their vertices to "
            "tf_hmr/body/surface_landmarks.py, or take a body of those."
        )
    return tuple(IDS[topology][name] for name in names)


def rows(topology: str, count: int, names: Sequence[str]) -> np.ndarray:
    """Regressor (len(names), count) of landmarks from `count` vertices.

    Raises:
        ValueError: as `vertices`.
    """
    regressor = np.zeros((len(names), count), np.float32)
    regressor[range(len(names)), vertices(topology, names)] = 1
    return regressor


def rest_points(data) -> np.ndarray:
    """joints.SMPLR41 of the mean body at rest, about the pelvis: (41, 3) m.

    Args:
        data: a BodyData whose joints are joints.SMPL24.

    Raises:
        ValueError: its joints are others, or its landmarks not known.
    """
    joints.check_smpl24(data.joint_names, "SMPLR")
    skeleton = data.J_regressor @ data.v_template
    ids = list(vertices(data.topology, joints.LANDMARKS18))
    points = np.concatenate([skeleton[1:], data.v_template[ids]])
    return points - skeleton[0]


def bone_template(data) -> np.ndarray:
    """Lengths (41,) of the bones of the mean body, metres; as `rest_points`."""
    points = rest_points(data)
    parents = np.concatenate([np.zeros((1, 3)), points])
    parents = parents[list(joints.smplr41_parents())]
    return np.linalg.norm(points - parents, axis=1).astype(np.float32)
