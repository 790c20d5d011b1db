"""Errors in pixels of joints that are annotated but not visible.

For records whose `facts` name them (training.data.prepare.mpii). Errors are
in pixels of the publisher's image, not of the stored image or the crop.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import joints
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)

_HEAD_FRACTION, _BOX_FRACTION = 0.5, 0.2


class _Joint(NamedTuple):
    """One hidden joint of a person; lengths in pixels."""

    error: float
    head: float
    box: float


class Measure:
    """Mean error and PCK over the hidden joints of all people."""

    RANKED = "error of hidden joints", "px"

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Measures the protocol's joints."""
        self._joints = protocol.joints
        self._predicted_names = context.joint_names
        self._errors: list[_Joint] = []
        self._person_errors: list[tuple[int, float]] = []
        self._outside = 0
        self._num_examples = 0

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch.

        Raises:
            ValueError: the predictions have no keypoints, or not all joints.
        """
        if predictions.keypoints is None:
            raise ValueError(
                "Hidden joints are compared in the picture: give the "
                "predictions' keypoints."
            )
        for row in np.flatnonzero(batch["facts"] != b""):
            facts = json.loads(batch["facts"][row])
            keypoints = predictions.keypoints[row]
            joint_errors = list(
                self._joint_errors(facts, batch, keypoints, row)
            )
            self._errors += joint_errors
            if joint_errors:
                mean = float(np.mean([joint.error for joint in joint_errors]))
                self._person_errors.append(
                    (self._num_examples + int(row), mean)
                )
        self._num_examples += len(batch["facts"])

    def _joint_errors(self, facts, batch, pred, row):
        # Keypoints are in units of half the crop's side.
        unit = batch["stored_box"][row, 2] / 2 / facts["shrunk"]
        true = batch["keypoints"][row]
        points = true[true[:, 2] > 0, :2]
        for name in facts["hidden"]:
            if name not in self._joints:
                continue
            x, y, annotated = true[joints.KEYPOINTS.index(name)]
            if not annotated:  # The joint is outside the stored image.
                self._outside += 1
                continue
            (index,) = joints.select([name], of=self._predicted_names)
            error = np.hypot(*(pred[index] - (x, y))) * unit
            box = np.ptp(points, axis=0).max() * unit
            yield _Joint(float(error), facts["head_px"], float(box))

    def summary(self) -> dict[str, float]:
        """Mean error in pixels, and PCK in per cent of the joints.

        Raises:
            ValueError: no record names hidden joints.
        """
        if not self._errors:
            raise ValueError(
                "No record names joints that are not visible. Prepare MPII "
                "from the Matlab file: `python -m training.prepare mpii "
                "--split valid --rules everyone ...`."
            )
        error, head, box = np.array(self._errors).T
        values = {
            "mpjpe_px": float(error.mean()),
            "pck02_box": 100 * float((error <= _BOX_FRACTION * box).mean()),
        }
        measured = head > 0
        if measured.any():
            right = error[measured] <= _HEAD_FRACTION * head[measured]
            values["pck"] = 100 * float(right.mean())
        return values

    def details(self) -> dict[str, Any]:
        """Numbers of joints and people."""
        return {
            "hidden_joints": len(self._errors),
            "people_with_hidden_joints": len(self._person_errors),
            "outside_the_picture": self._outside,
            "without_a_head_box": sum(not joint.head for joint in self._errors),
        }

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the people and their mean errors in pixels."""
        index, errors = zip(*self._person_errors, strict=True)
        return np.array(index), np.array(errors)
