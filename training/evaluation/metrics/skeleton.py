"""SMPLR's figures: groups of joints, lengths of bones, landmarks of the skin.

Groups: meysam-madadi/SMPLR: test.py. Bones: equations 2 and 3 of the paper.
Landmarks: the vertices of the same repository's Data/datagenerator_cloth3d.py.
"""

from collections.abc import Mapping

import numpy as np

from tf_hmr import joints, metrics
from training.evaluation import joint_pairs
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)

GROUPS = {
    "head": ("neck", "head"),
    "torso": ("spine1", "spine2", "spine3"),
    "shoulder": (
        *("left_collar", "right_collar", "left_shoulder", "right_shoulder"),
    ),
    "elbow": ("left_elbow", "right_elbow"),
    "wrist": ("left_wrist", "right_wrist"),
    "hip": ("left_hip", "right_hip"),
    "knee": ("left_knee", "right_knee"),
    "foot": ("left_ankle", "right_ankle", "left_foot", "right_foot"),
}
LANDMARKS = (
    *(3042, 4428, 3503, 4311, 822, 4361, 877, 4386, 898, 3222, 6620, 2544),
    *(2820, 1258, 4116, 5365, 5989, 331),
)
"""Vertices of SMPL: breasts, belly, hips, thighs, back, feet, hands, arms and
a point of the face that the repository calls the top of the head."""


class Measure:
    """Errors about the pelvis, or after a similarity of joints to truth.

    options["groups_aligned"] chooses the similarity.
    """

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """Truth and regressor are the protocol's."""
        self._given = given
        self._aligned = protocol.options.get("groups_aligned", False)
        self._compared = joint_pairs.JointPairs(protocol, given, joints.SMPL24)
        self._joints: list[np.ndarray] = []
        self._bones: list[np.ndarray] = []
        self._landmarks: list[np.ndarray] = []

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts the labelled examples of a batch."""
        sides = self._compared(batch, found)
        pred = sides.pred
        if self._aligned:
            pred = metrics.procrustes(pred, sides.true)
        self._joints.append(metrics.per_joint_error_mm(pred, sides.true))
        # Lengths before any alignment: a similarity would change them.
        off = np.abs(bone_lengths(sides.pred) - bone_lengths(sides.true))
        self._bones.append(1000 * off)
        smpl = self._given.body.data.topology == "smpl"
        if smpl and found.vertices is not None and not self._aligned:
            self._add_landmarks(batch, found, sides)

    def _add_landmarks(self, batch, found, sides: joint_pairs.Pair) -> None:
        index = list(LANDMARKS)
        mesh = self._given.labelled(batch)
        pred = found.vertices[sides.rows][:, index]
        true = mesh.vertices[sides.rows][:, index]
        self._landmarks.append(
            metrics.per_joint_error_mm(
                pred - sides.pred_root[:, np.newaxis],
                true - sides.true_root[:, np.newaxis],
            )
        )

    def summary(self) -> dict[str, float]:
        """Millimetres."""
        each = np.concatenate(self._joints).mean(axis=0)
        figures = {
            f"group_{name}_mm": float(
                each[list(joints.select(members, of=joints.SMPL24))].mean()
            )
            for name, members in GROUPS.items()
        }
        figures["bone_length_mm"] = float(np.concatenate(self._bones).mean())
        if self._landmarks:
            landmarks = np.concatenate(self._landmarks)
            figures["landmarks_mm"] = float(landmarks.mean())
        return figures


def bone_lengths(points: np.ndarray) -> np.ndarray:
    """(N, 23) lengths of the bones between joints (N, 24, 3) of SMPL24."""
    parents = list(joints.parents()[1:])
    return np.linalg.norm(points[:, 1:] - points[:, parents], axis=-1)
