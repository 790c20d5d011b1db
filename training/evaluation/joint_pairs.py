"""The true and predicted joints that a protocol compares.

Each protocol names its joints and the sources of both sides; see
protocol.Protocol.regressor and .truth.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_hmr import joints, metrics
from tf_hmr.body import points as body_points
from tf_hmr.geometry import crop_views
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)

# SPIN compares row 8 of J_regressor_h36m, the thorax, with LSP's neck
# (nkolot/SPIN: constants.py, H36M_TO_J17).
H36M_NAMES = (*joints.H36M17, "neck")


class Pair(NamedTuple):
    """Joints of the n examples of a batch that have all true joints."""

    rows: np.ndarray
    """(n,) rows of the batch."""
    pred: np.ndarray
    """(n, J, 3) metres relative to the root."""
    true: np.ndarray
    """(n, J, 3) metres relative to the root."""
    pred_root: np.ndarray
    """(n, 3) metres, the subtracted root."""
    true_root: np.ndarray
    """(n, 3) metres, the subtracted root."""
    source: np.ndarray
    """(n,) str: the entry of Protocol.truth that the true joints are from."""


class JointPairs:
    """Pairs predicted and true joints by the rules of a protocol."""

    def __init__(
        self,
        protocol: Protocol,
        context: EvaluationContext,
        names: Sequence[str] | None = None,
    ):
        """Takes roots and regressors from the protocol.

        Args:
            protocol: the protocol.
            context: body and joints of the predictions.
            names: joints to compare; None for those of the protocol.
        """
        self.names = tuple(protocol.joints if names is None else names)
        self._protocol = protocol
        self._context = context
        roots = (protocol.pred_root or protocol.root, protocol.root)
        self._pred_names, self._true_names = (
            tuple(dict.fromkeys((*self.names, *root))) for root in roots
        )
        self._pred_root, self._true_root = roots

    def __call__(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> Pair:
        """Pairs the joints of the examples that have all true joints.

        Raises:
            ValueError: the predictions lack what the regressor needs.
            FileNotFoundError: the body lacks a regressor.
        """
        true, source = self._truth(batch)
        if self._protocol.true_root:
            source[np.asarray(batch["has_pose"]) <= 0] = ""
        rows = np.flatnonzero(source != "")
        pred = predicted_joints(
            self._protocol.regressor,
            self._pred_names,
            predictions,
            self._context,
        )[rows].astype(np.float64)
        true, count = true[rows], len(self.names)
        pred_root = _mean_of(pred, self._pred_names, self._pred_root)
        true_root = _mean_of(true, self._true_names, self._true_root)
        root_relative = metrics.align_root(
            pred, self._pred_names, self._pred_root
        )
        if self._protocol.true_root:
            turns = _to_true_root(batch, predictions)[rows]
            root_relative = root_relative @ np.swapaxes(turns, 1, 2)
        elif self._protocol.perspective:
            rotations = crop_views.rotation_to_crop_ray(
                batch["stored_box"][rows], batch["stored_intrinsics"][rows]
            )
            root_relative = root_relative @ np.swapaxes(rotations, 1, 2)
        true = metrics.align_root(true, self._true_names, self._true_root)
        return Pair(
            rows,
            root_relative[:, :count],
            true[:, :count],
            pred_root,
            true_root,
            source[rows],
        )

    def _truth(self, batch) -> tuple[np.ndarray, np.ndarray]:
        """(B, J, 3) joints and (B,) their sources, "" where there is none."""
        count, names = len(batch["joints3d"]), self._true_names
        points = np.zeros((count, len(names), 3))
        source = np.full(count, "", "<U16")
        for truth in self._protocol.truth:
            missing = source == ""
            if truth == "records":
                available, joints3d = stored_joints(names, batch)
            else:
                available, joints3d = self._regressed(
                    truth, names, batch, missing
                )
            rows = missing & available
            points[rows], source[rows] = joints3d[rows], truth
        return points, source

    def _regressed(self, regressor, names, batch, missing):
        """Joints of the labelled bodies for the rows `missing`."""
        available = (batch["has_pose"] * batch["has_betas"] > 0) & missing
        if not available.any():
            return available, np.zeros((len(available), len(names), 3))
        mesh = self._context.labelled(batch)
        if regressor == "smpl":
            order = self._context.body.data.joint_names
            index = list(joints.select(names, of=order))
            return available, mesh.skeleton[:, index]
        vertices = mesh.vertices.astype(np.float64)
        if regressor == "h36m":
            rows = regressor_rows(regressor, names, self._context)
            return available, rows @ vertices
        data = self._context.body.data
        rows, of_joints = body_points.keypoint_rows(data, names)
        return available, rows @ vertices + of_joints @ mesh.skeleton


def stored_joints(names, batch) -> tuple[np.ndarray, np.ndarray]:
    """Whether all these joints are labelled (B,), and the joints (B, J, 3)."""
    available = set(names) <= set(joints.KEYPOINTS)
    if not available:
        shape = (len(batch["joints3d"]), len(names), 3)
        return np.zeros(shape[0], bool), np.zeros(shape)
    index = list(joints.select(names, of=joints.KEYPOINTS))
    points = batch["joints3d"][:, index]
    return (points[..., 3] > 0).all(axis=1), points[..., :3]


def regressor_rows(
    regressor: str, names: Sequence[str], context: EvaluationContext
) -> np.ndarray:
    """Rows (J, V) of the "h36m" or "cocoplus" regressor for these joints."""
    data = context.body.data
    if regressor == "h36m":
        rows = data.h36m_rows()
        rows = np.concatenate([rows, rows[[joints.H36M17.index("thorax")]]])
        return rows[list(joints.select(names, of=H36M_NAMES))]
    return data.regressor(names)


def predicted_joints(
    regressor: str,
    names: Sequence[str],
    predictions: Predictions,
    context: EvaluationContext,
) -> np.ndarray:
    """Predicted joints (B, J, 3), metres.

    They are computed from vertices or pose where the regressor needs those; a
    predictions file may hold the joints themselves.

    Raises:
        ValueError: the predictions hold neither.
        FileNotFoundError: the body lacks the regressor.
    """
    if regressor == "h36m" and predictions.vertices is not None:
        return regressor_rows(regressor, names, context) @ predictions.vertices
    if regressor == "smpl" and predictions.rotmats is not None:
        index = list(joints.select(names, of=context.body.data.joint_names))
        posed = context.body(predictions.rotmats, predictions.betas)
        return posed.skeleton.numpy()[:, index]
    missing = [name for name in names if name not in context.joint_names]
    if predictions.joints is not None and not missing:
        index = list(joints.select(names, of=context.joint_names))
        return predictions.joints[:, index]
    raise ValueError(
        f"The predictions have no {missing or list(names)}. Give joints3d of "
        f"these names, or what the protocol's regressor {regressor!r} makes "
        "them of: vertices for h36m, rotmats and betas for smpl."
    )


def _to_true_root(batch, predictions: Predictions) -> np.ndarray:
    """Rotations (B, 3, 3) from the predicted to the true global rotation.

    A body turns as a whole about its root, so turning the joints equals posing
    it with another global rotation.

    Raises:
        ValueError: no rotations are predicted.
    """
    if predictions.rotmats is None:
        raise ValueError(
            "The predictions have no rotmats, which the true global rotation "
            "replaces. Give rotmats (N, 24, 3, 3)."
        )
    predicted = predictions.rotmats[:, 0].astype(np.float64)
    return batch["rotmats"][:, 0] @ np.swapaxes(predicted, 1, 2)


def _mean_of(points, names, root) -> np.ndarray:
    return points[:, list(joints.select(root, of=names))].mean(axis=1)
