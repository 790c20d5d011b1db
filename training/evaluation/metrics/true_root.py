"""MPJPE without the error of the heading."""

import dataclasses
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
    """MPJPE with the true global rotation in place of the predicted one.

    Limbs, shape and size remain. People without a labelled pose are left out.
    """

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes joints, roots and regressors from the protocol."""
        protocol = dataclasses.replace(protocol, true_root=True)
        self._joint_pairs = joint_pairs.JointPairs(protocol, context)
        self._errors: list[np.ndarray] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch, if rotations are predicted."""
        if predictions.rotmats is None:
            return
        pairs = self._joint_pairs(batch, predictions)
        self._errors.append(metrics.mpjpe_mm(pairs.pred, pairs.true))

    def summary(self) -> dict[str, float]:
        """The mean over the labelled examples, in mm; {} without any."""
        errors = np.concatenate([np.zeros(0), *self._errors])
        return (
            {"mpjpe_true_root_mm": float(errors.mean())} if len(errors) else {}
        )
