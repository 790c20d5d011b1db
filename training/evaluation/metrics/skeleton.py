"""SMPLR's metrics: groups of joints, lengths of bones, landmarks of the skin.

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
        "left_collar",
        "right_collar",
        "left_shoulder",
        "right_shoulder",
    ),
    "elbow": ("left_elbow", "right_elbow"),
    "wrist": ("left_wrist", "right_wrist"),
    "hip": ("left_hip", "right_hip"),
    "knee": ("left_knee", "right_knee"),
    "foot": ("left_ankle", "right_ankle", "left_foot", "right_foot"),
}
LANDMARKS = (
    3042,
    4428,
    3503,
    4311,
    822,
    4361,
    877,
    4386,
    898,
    3222,
    6620,
    2544,
    2820,
    1258,
    4116,
    5365,
    5989,
    331,
)
"""Vertices of SMPL: breasts, belly, hips, thighs, back, feet, hands, arms and
a point of the face that the repository calls the top of the head."""


class Measure:
    """Errors relative to the pelvis, or after aligning joints by a similarity.

    options["groups_aligned"] selects the similarity.
    """

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes truth and regressor from the protocol."""
        self._context = context
        self._aligned = protocol.options.get("groups_aligned", False)
        self._joint_pairs = joint_pairs.JointPairs(
            protocol, context, joints.SMPL24
        )
        self._joints: list[np.ndarray] = []
        self._bones: list[np.ndarray] = []
        self._landmarks: list[np.ndarray] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds the labelled examples of a batch."""
        pairs = self._joint_pairs(batch, predictions)
        pred = pairs.pred
        if self._aligned:
            pred = metrics.procrustes(pred, pairs.true)
        self._joints.append(metrics.per_joint_error_mm(pred, pairs.true))
        # Unaligned: a similarity would change the lengths.
        differences = np.abs(
            bone_lengths(pairs.pred) - bone_lengths(pairs.true)
        )
        self._bones.append(1000 * differences)
        smpl = self._context.body.data.topology == "smpl"
        if smpl and predictions.vertices is not None and not self._aligned:
            self._add_landmarks(batch, predictions, pairs)

    def _add_landmarks(
        self, batch, predictions, pairs: joint_pairs.Pair
    ) -> None:
        index = list(LANDMARKS)
        mesh = self._context.labelled(batch)
        pred = predictions.vertices[pairs.rows][:, index]
        true = mesh.vertices[pairs.rows][:, index]
        self._landmarks.append(
            metrics.per_joint_error_mm(
                pred - pairs.pred_root[:, np.newaxis],
                true - pairs.true_root[:, np.newaxis],
            )
        )

    def summary(self) -> dict[str, float]:
        """Errors of groups, bones and landmarks in millimetres."""
        joint_means = np.concatenate(self._joints).mean(axis=0)
        errors_mm = {
            f"group_{name}_mm": float(
                joint_means[
                    list(joints.select(members, of=joints.SMPL24))
                ].mean()
            )
            for name, members in GROUPS.items()
        }
        errors_mm["bone_length_mm"] = float(np.concatenate(self._bones).mean())
        if self._landmarks:
            landmarks = np.concatenate(self._landmarks)
            errors_mm["landmarks_mm"] = float(landmarks.mean())
        return errors_mm


def bone_lengths(points: np.ndarray) -> np.ndarray:
    """(N, 23) lengths of the bones between joints (N, 24, 3) of SMPL24."""
    parents = list(joints.parents()[1:])
    return np.linalg.norm(points[:, 1:] - points[:, parents], axis=-1)
