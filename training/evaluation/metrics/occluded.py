"""What one covered joint costs, by degree and by joint: HKMR's Figure 6."""

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

    For protocols whose occlusion is occluders.OneJoint: of each degree the
    mean over examples, then over joints, as the paper averages.
    """

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """Joints, roots and regressors are the protocol's."""
        self._compared = joint_pairs.JointPairs(protocol, given)
        self._errors: dict[str, list[np.ndarray]] = {}
        self._not_visible = 0

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts a batch, all of whose pictures are of one variant.

        Raises:
            KeyError: the batch does not say which.
        """
        variant = batch["variant"]
        sides = self._compared(batch, found)
        place = joints.KEYPOINTS.index(occluders.joint_of(variant))
        points = batch["keypoints"][sides.rows, place]
        shown = occluders.visible(points)
        errors = metrics.mpjpe_mm(sides.pred[shown], sides.true[shown])
        self._errors.setdefault(variant, []).append(errors)
        self._not_visible += int((~shown).sum())

    def summary(self) -> dict[str, float]:
        """Nothing: the figure is joints3d's."""
        return {}

    def details(self) -> dict[str, Any]:
        """MPJPE by degree and by covered joint, of what was visible."""
        means = {
            variant: float(values.mean())
            for variant, found in self._errors.items()
            if len(values := np.concatenate(found))
        }
        tables = {}
        for key, part in (
            ("by_degree", occluders.degree_of),
            ("by_covered_joint", occluders.joint_of),
        ):
            of = {part(variant) for variant in means}
            tables[key] = {
                name: float(
                    np.mean([m for v, m in means.items() if part(v) == name])
                )
                for name in sorted(of)
            }
        return tables | {"not_visible": self._not_visible}
