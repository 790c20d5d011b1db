"""The joints that a protocol compares, on the side of truth and of prediction.

Each protocol names its joints and where either side's come from; see
protocol.Protocol.regressor and .truth.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_hmr import joints, metrics
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
    """n examples of a batch that have all true joints."""

    rows: np.ndarray
    """(n,) which ones of the batch."""
    pred: np.ndarray
    """(n, J, 3) metres about the root."""
    true: np.ndarray
    """(n, J, 3) metres about the root."""
    pred_root: np.ndarray
    """(n, 3) metres, what was subtracted."""
    true_root: np.ndarray
    """(n, 3) metres, what was subtracted."""
    source: np.ndarray
    """(n,) str: which of the protocol's truths."""


class JointPairs:
    """Both sides' joints by the rules of a protocol."""

    def __init__(
        self,
        protocol: Protocol,
        given: EvaluationContext,
        names: Sequence[str] | None = None,
    ):
        """Of the joints `names`, by default those of the protocol."""
        self.names = tuple(protocol.joints if names is None else names)
        self._rule = protocol
        self._given = given
        roots = (protocol.pred_root or protocol.root, protocol.root)
        self._pred_names, self._true_names = (
            tuple(dict.fromkeys((*self.names, *root))) for root in roots
        )
        self._pred_root, self._true_root = roots

    def __call__(
        self, batch: Mapping[str, np.ndarray], found: Predictions
    ) -> Pair:
        """The examples of a batch whose true joints are all known.

        Raises:
            ValueError: the predictions do not hold what is needed.
            FileNotFoundError: the body lacks a regressor.
        """
        true, source = self._truth(batch)
        rows = np.flatnonzero(source != "")
        pred = predicted(
            self._rule.regressor, self._pred_names, found, self._given
        )[rows].astype(np.float64)
        true, count = true[rows], len(self.names)
        pred_root = _mean_of(pred, self._pred_names, self._pred_root)
        true_root = _mean_of(true, self._true_names, self._true_root)
        rooted = metrics.align_root(pred, self._pred_names, self._pred_root)
        if self._rule.perspective:
            turns = crop_views.rotation_to_crop_ray(
                batch["stored_box"][rows], batch["stored_intrinsics"][rows]
            )
            rooted = rooted @ np.swapaxes(turns, 1, 2)
        true = metrics.align_root(true, self._true_names, self._true_root)
        return Pair(
            rows,
            rooted[:, :count],
            true[:, :count],
            pred_root,
            true_root,
            source[rows],
        )

    def _truth(self, batch) -> tuple[np.ndarray, np.ndarray]:
        """(B, J, 3) joints and (B,) where they come from, "" for nowhere."""
        count, names = len(batch["joints3d"]), self._true_names
        points = np.zeros((count, len(names), 3))
        source = np.full(count, "", "<U16")
        for each in self._rule.truth:
            missing = source == ""
            if each == "records":
                has, values = stored(names, batch)
            else:
                has, values = self._regressed(each, names, batch, missing)
            rows = missing & has
            points[rows], source[rows] = values[rows], each
        return points, source

    def _regressed(self, regressor, names, batch, wanted):
        """Of the labelled bodies; posed only where some are wanted."""
        has = (batch["has_pose"] * batch["has_betas"] > 0) & wanted
        if not has.any():
            return has, np.zeros((len(has), len(names), 3))
        mesh = self._given.labelled(batch)
        if regressor == "smpl":
            order = self._given.body.data.joint_names
            index = list(joints.select(names, of=order))
            return has, mesh.skeleton[:, index]
        rows = regressor_rows(regressor, names, self._given)
        return has, rows @ mesh.vertices.astype(np.float64)


def stored(names, batch) -> tuple[np.ndarray, np.ndarray]:
    """(B,) which examples have all these joints, and (B, J, 3) of them."""
    known = set(names) <= set(joints.KEYPOINTS)
    if not known:
        shape = (len(batch["joints3d"]), len(names), 3)
        return np.zeros(shape[0], bool), np.zeros(shape)
    index = list(joints.select(names, of=joints.KEYPOINTS))
    points = batch["joints3d"][:, index]
    return (points[..., 3] > 0).all(axis=1), points[..., :3]


def regressor_rows(
    regressor: str, names: Sequence[str], given: EvaluationContext
) -> np.ndarray:
    """Rows (J, V) of "h36m" or "cocoplus" for these joints."""
    data = given.body.data
    if regressor == "h36m":
        rows = data.h36m_rows()
        rows = np.concatenate([rows, rows[[joints.H36M17.index("thorax")]]])
        return rows[list(joints.select(names, of=H36M_NAMES))]
    return data.regressor(names)


def predicted(
    regressor: str,
    names: Sequence[str],
    found: Predictions,
    given: EvaluationContext,
) -> np.ndarray:
    """Predicted joints (B, J, 3), metres.

    From vertices or pose where the regressor asks for them; a predictions
    file may hold the joints themselves.

    Raises:
        ValueError: the predictions hold neither.
        FileNotFoundError: the body lacks the regressor.
    """
    if regressor == "h36m" and found.vertices is not None:
        return regressor_rows(regressor, names, given) @ found.vertices
    if regressor == "smpl" and found.rotmats is not None:
        index = list(joints.select(names, of=given.body.data.joint_names))
        posed = given.body(found.rotmats, found.betas)
        return posed.skeleton.numpy()[:, index]
    missing = [name for name in names if name not in given.joint_names]
    if found.joints is not None and not missing:
        index = list(joints.select(names, of=given.joint_names))
        return found.joints[:, index]
    raise ValueError(
        f"The predictions have no {missing or list(names)}. Give joints3d of "
        f"these names, or what the protocol's regressor {regressor!r} makes "
        "them of: vertices for h36m, rotmats and betas for smpl."
    )


def _mean_of(points, names, root) -> np.ndarray:
    return points[:, list(joints.select(root, of=names))].mean(axis=1)
