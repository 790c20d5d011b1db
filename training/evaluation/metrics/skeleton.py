"""SMPLR's metrics: groups of joints, lengths of bones, landmarks of the skin.

Groups: meysam-madadi/SMPLR: test.py. Bones: equations 2 and 3 of the paper, of
the tree of all 41 points. Landmarks: tf_hmr/body/surface_landmarks.py.
"""

from collections.abc import Mapping

import numpy as np

from tf_hmr import joints, metrics
from tf_hmr.body import surface_landmarks
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


class Measure:
    """Errors relative to the pelvis, or after aligning joints by a similarity.

    options["groups_aligned"] selects the similarity.
    """

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes truth and regressor from the protocol."""
        self._context = context
        self._aligned = protocol.options.get("groups_aligned", False)
        self._protocol = protocol
        self._joint_pairs = joint_pairs.JointPairs(
            protocol, context, joints.SMPL24
        )
        # Of a body whose landmarks are not known, the joints' bones count.
        self._landmark_ids = list(
            surface_landmarks.IDS.get(context.body.data.topology, {}).values()
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
        points = self._points(batch, predictions, pairs)
        # Unaligned: a similarity would change the lengths.
        differences = np.abs(bone_lengths(points[0]) - bone_lengths(points[1]))
        self._bones.append(1000 * differences)
        pred, true = (side[:, len(joints.SMPL24) :] for side in points)
        if pred.size and not self._aligned:
            self._landmarks.append(
                metrics.per_joint_error_mm(
                    pred - pairs.pred_root[:, np.newaxis],
                    true - pairs.true_root[:, np.newaxis],
                )
            )

    def _points(
        self, batch, predictions, pairs: joint_pairs.Pair
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true joints, then landmarks where there are any.

        As they are, not turned to another root: the distance between a joint
        and a landmark is that of one body.
        """
        pred = joint_pairs.predicted_joints(
            self._protocol.regressor, joints.SMPL24, predictions, self._context
        )[pairs.rows]
        true = pairs.true + pairs.true_root[:, np.newaxis]
        ids = self._landmark_ids
        pred_landmarks = self._landmarks_of(predictions)
        if pred_landmarks is not None:
            mesh = self._context.labelled(batch)
            pred_landmarks = pred_landmarks[pairs.rows]
            true_landmarks = mesh.vertices[pairs.rows][:, ids]
            pred = np.concatenate([pred, pred_landmarks], axis=1)
            true = np.concatenate([true, true_landmarks], axis=1)
        return pred.astype(np.float64), true.astype(np.float64)

    def _landmarks_of(self, predictions: Predictions) -> np.ndarray | None:
        """(B, L, 3) of the mesh, or of joints of these names; else None."""
        if predictions.vertices is not None:
            return predictions.vertices[:, self._landmark_ids]
        names = self._context.joint_names
        if (
            predictions.joints is None
            or not self._landmark_ids
            or not set(joints.LANDMARKS18) <= set(names)
        ):
            return None
        index = list(joints.select(joints.LANDMARKS18, of=names))
        return predictions.joints[:, index]

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
    """Lengths of the bones of SMPLR's tree.

    Args:
        points: (N, 24, 3) joints.SMPL24, or (N, 42, 3) with
            joints.LANDMARKS18 after them.

    Returns:
        (N, 23) or (N, 41): the pelvis ends no bone.
    """
    parents = list(joints.smplr41_parents()[: points.shape[1] - 1])
    return np.linalg.norm(points[:, 1:] - points[:, parents], axis=-1)
