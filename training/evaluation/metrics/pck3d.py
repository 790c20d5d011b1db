"""3D PCK and its area under the curve, as MPI-INF-3DHP defines them."""

from collections.abc import Mapping

import numpy as np

from tf_hmr import metrics
from training.evaluation import joint_pairs
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)


class Measure:
    """PCK at 150 mm and AUC over all joints of all examples.

    options["pck_joints"] names the joints, by default the protocol's; with
    options["pck_aligned"] both are measured after a similarity, too.
    """

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes joints, roots and regressors from the protocol."""
        self._joint_pairs = joint_pairs.JointPairs(protocol, context)
        names = protocol.options.get("pck_joints", protocol.joints)
        self._index = [protocol.joints.index(name) for name in names]
        self._errors: dict[str, list[np.ndarray]] = {"": []}
        if protocol.options.get("pck_aligned"):
            self._errors["_aligned"] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch; examples that lack a true joint are left out."""
        pairs = self._joint_pairs(batch, predictions)
        for name, errors in self._errors.items():
            # The similarity is fitted to all joints, as for PA-MPJPE.
            pred = (
                metrics.procrustes(pairs.pred, pairs.true)
                if name
                else pairs.pred
            )
            joint_errors = metrics.per_joint_error_mm(pred, pairs.true)
            errors.append(joint_errors[:, self._index])

    def summary(self) -> dict[str, float]:
        """PCK and AUC in per cent."""
        percentages = {}
        for name, errors in self._errors.items():
            joined = np.concatenate(errors)
            if joined.size:
                percentages[f"pck3d_150mm{name}"] = metrics.pck3d(joined)
                percentages[f"auc3d{name}"] = metrics.auc3d(joined)
        return percentages
