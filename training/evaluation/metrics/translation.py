"""Error of the root's position in the camera's frame."""

from collections.abc import Mapping

import numpy as np

from tf_hmr.geometry import crop_views
from training.evaluation import joint_pairs
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)


class Measure:
    """Mean distance of the predicted root from the true one."""

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes the root from the protocol."""
        self._joint_pairs = joint_pairs.JointPairs(protocol, context)
        self._rows: list[np.ndarray] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds examples whose true joints are stored in the camera's frame.

        Adds nothing if predictions have neither a translation nor a camera.
        """
        pairs = self._joint_pairs(batch, predictions)
        is_absolute = pairs.source == "records"
        rows = pairs.rows[is_absolute]
        if predictions.translation is not None:
            translation = predictions.translation[rows]
        elif predictions.camera is not None:
            translation = crop_views.translation(
                predictions.camera[rows],
                batch["stored_box"][rows],
                batch["stored_intrinsics"][rows],
            )
        else:
            return
        differences = (
            pairs.pred_root[is_absolute]
            + translation
            - pairs.true_root[is_absolute]
        )
        self._rows.append(1000 * np.linalg.norm(differences, axis=1))

    def summary(self) -> dict[str, float]:
        """Mean error in millimetres; {} where no example has one."""
        errors = np.concatenate([*self._rows, np.zeros(0)])
        return {"translation_mm": float(errors.mean())} if errors.size else {}
