"""Errors of the vertices against the labelled body."""

from collections.abc import Mapping

import numpy as np

from tf_hmr import metrics
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)


class Measure:
    """PVE, and with options["surface_aligned"] also after a similarity.

    options["surface_root"]: "none" compares the meshes as the body function
    returns them, without a translation; "pelvis" relative to the first joint
    of the skeleton.
    """

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes the options of the protocol."""
        self._context = context
        self._root = protocol.options.get("surface_root", "none")
        self._aligned = protocol.options.get("surface_aligned", False)
        self._rows: dict[str, list[np.ndarray]] = {"pve_mm": []}
        if self._aligned:
            self._rows["pve_pa_mm"] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds the labelled examples of a batch, if vertices are predicted.

        Raises:
            ValueError: the protocol needs a pelvis that is not predicted.
        """
        rows = np.flatnonzero(batch["has_pose"] * batch["has_betas"] > 0)
        if not len(rows) or predictions.vertices is None:
            return
        mesh = self._context.labelled(batch)
        pred, true = predictions.vertices[rows], mesh.vertices[rows]
        if self._root == "pelvis":
            pred = pred - self._pelvis(predictions)[rows, np.newaxis]
            true = true - mesh.skeleton[rows, :1]
        self._rows["pve_mm"].append(metrics.pve_mm(pred, true))
        if self._aligned:
            self._rows["pve_pa_mm"].append(metrics.pa_mpjpe_mm(pred, true))

    def _pelvis(self, predictions: Predictions) -> np.ndarray:
        """(B, 3): the root joint, whose position depends on shape alone."""
        if predictions.betas is not None:
            data = self._context.body.data
            row = data.J_regressor[0].astype(np.float64)
            blends = np.einsum("v,vcp->cp", row, data.shapedirs)
            return row @ data.v_template + predictions.betas @ blends.T
        if (
            predictions.joints is not None
            and "pelvis" in self._context.joint_names
        ):
            return predictions.joints[
                :, self._context.joint_names.index("pelvis")
            ]
        raise ValueError(
            "The protocol measures the surface about the pelvis: give betas, "
            "or a joint named pelvis in joints3d."
        )

    def summary(self) -> dict[str, float]:
        """Means over the labelled examples; {} where there are none."""
        return {
            name: float(np.concatenate(rows).mean())
            for name, rows in self._rows.items()
            if rows
        }
