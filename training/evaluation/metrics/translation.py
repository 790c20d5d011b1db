"""How far the root is from where it stands in the camera's frame."""

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

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """The root is the protocol's."""
        self._compared = joint_pairs.JointPairs(protocol, given)
        self._rows: list[np.ndarray] = []

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts the examples whose true joints are stored with their place.

        Nothing where predictions have neither a translation nor a camera.
        """
        sides = self._compared(batch, found)
        placed = sides.source == "records"
        rows = sides.rows[placed]
        if found.translation is not None:
            moved = found.translation[rows]
        elif found.camera is not None:
            moved = crop_views.translation(
                found.camera[rows],
                batch["stored_box"][rows],
                batch["stored_intrinsics"][rows],
            )
        else:
            return
        off = sides.pred_root[placed] + moved - sides.true_root[placed]
        self._rows.append(1000 * np.linalg.norm(off, axis=1))

    def summary(self) -> dict[str, float]:
        """Millimetres; nothing where no example has a place."""
        errors = np.concatenate([*self._rows, np.zeros(0)])
        return {"translation_mm": float(errors.mean())} if errors.size else {}
