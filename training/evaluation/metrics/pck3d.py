"""3D PCK and its area under the curve, as MPI-INF-3DHP counts them."""

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

    Of options["pck_joints"], or of the protocol's joints; with
    options["pck_aligned"] also after a similarity.
    """

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """Joints, roots and regressors are the protocol's."""
        self._compared = joint_pairs.JointPairs(protocol, given)
        names = protocol.options.get("pck_joints", protocol.joints)
        self._index = [protocol.joints.index(name) for name in names]
        self._errors: dict[str, list[np.ndarray]] = {"": []}
        if protocol.options.get("pck_aligned"):
            self._errors["_aligned"] = []

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts a batch; examples that lack a true joint are left out."""
        sides = self._compared(batch, found)
        for name, errors in self._errors.items():
            # The similarity is that of all joints, as PA-MPJPE has it.
            pred = (
                metrics.procrustes(sides.pred, sides.true)
                if name
                else sides.pred
            )
            each = metrics.per_joint_error_mm(pred, sides.true)
            errors.append(each[:, self._index])

    def summary(self) -> dict[str, float]:
        """Percent."""
        figures = {}
        for name, errors in self._errors.items():
            joined = np.concatenate(errors)
            if joined.size:
                figures[f"pck3d_150mm{name}"] = metrics.pck3d(joined)
                figures[f"auc3d{name}"] = metrics.auc3d(joined)
        return figures
