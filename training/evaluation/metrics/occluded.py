"""Errors with one joint covered, by degree and by joint: HKMR's Figure 6."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_hmr import joints, metrics
from training.evaluation import joint_pairs, occluders
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)


class Measure:
    """MPJPE of the examples in whose crop the covered joint is visible.

    For protocols whose occlusion is occluders.OneJoint. As in the paper, the
    error of a degree is averaged over examples, then over joints.
    """

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes joints, roots and regressors from the protocol."""
        self._joint_pairs = joint_pairs.JointPairs(protocol, context)
        self._errors: dict[str, list[np.ndarray]] = {}
        self._not_visible = 0

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch, all of whose images show one variant.

        Raises:
            KeyError: the batch does not name its variant.
        """
        variant = batch["variant"]
        pairs = self._joint_pairs(batch, predictions)
        index = joints.KEYPOINTS.index(occluders.joint_of(variant))
        points = batch["keypoints"][pairs.rows, index]
        is_visible = occluders.visible(points)
        errors = metrics.mpjpe_mm(
            pairs.pred[is_visible], pairs.true[is_visible]
        )
        self._errors.setdefault(variant, []).append(errors)
        self._not_visible += int((~is_visible).sum())

    def summary(self) -> dict[str, float]:
        """No metrics: joints3d computes the MPJPE."""
        return {}

    def details(self) -> dict[str, Any]:
        """MPJPE by degree and by covered joint, where the joint is visible."""
        means = {
            variant: float(values.mean())
            for variant, errors in self._errors.items()
            if len(values := np.concatenate(errors))
        }
        tables = {}
        for key, part in (
            ("by_degree", occluders.degree_of),
            ("by_covered_joint", occluders.joint_of),
        ):
            names = {part(variant) for variant in means}
            tables[key] = {
                name: float(
                    np.mean([m for v, m in means.items() if part(v) == name])
                )
                for name in sorted(names)
            }
        return tables | {"not_visible": self._not_visible}
