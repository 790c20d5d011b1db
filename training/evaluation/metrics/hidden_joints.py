"""Joints that were annotated though they are not visible, in pixels.

For records whose `facts` name them (training.data.prepare.mpii). Errors are
in pixels of the publisher's picture, not of the stored one or the crop.
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

_OF_HEAD, _OF_BOX = 0.5, 0.2


class _Joint(NamedTuple):
    """One hidden joint of a person; lengths in pixels."""

    error: float
    head: float
    box: float


class Measure:
    """Mean error and PCK of the hidden joints of all people together."""

    RANKED = "error of hidden joints", "px"

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """Of the protocol's joints."""
        self._joints = protocol.joints
        self._predicted = given.joint_names
        self._found: list[_Joint] = []
        self._worst: list[tuple[int, float]] = []
        self._outside = 0
        self._seen = 0

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts a batch.

        Raises:
            ValueError: the predictions have no keypoints, or not all joints.
        """
        if found.keypoints is None:
            raise ValueError(
                "Hidden joints are compared in the picture: give the "
                "predictions' keypoints."
            )
        for row in np.flatnonzero(batch["facts"] != b""):
            facts = json.loads(batch["facts"][row])
            of_person = list(self._of(facts, batch, found.keypoints[row], row))
            self._found += of_person
            if of_person:
                mean = float(np.mean([each.error for each in of_person]))
                self._worst.append((self._seen + int(row), mean))
        self._seen += len(batch["facts"])

    def _of(self, facts, batch, pred, row):
        # Half the crop's side is one unit of either coordinate.
        unit = batch["stored_box"][row, 2] / 2 / facts["shrunk"]
        true = batch["keypoints"][row]
        known = true[true[:, 2] > 0, :2]
        for name in facts["hidden"]:
            if name not in self._joints:
                continue
            x, y, annotated = true[joints.KEYPOINTS.index(name)]
            if not annotated:  # It lies outside the stored picture.
                self._outside += 1
                continue
            (place,) = joints.select([name], of=self._predicted)
            error = np.hypot(*(pred[place] - (x, y))) * unit
            box = np.ptp(known, axis=0).max() * unit
            yield _Joint(float(error), facts["head_px"], float(box))

    def summary(self) -> dict[str, float]:
        """Pixels, and per cent of the joints.

        Raises:
            ValueError: no record names hidden joints.
        """
        if not self._found:
            raise ValueError(
                "No record names joints that are not visible. Prepare MPII "
                "from the Matlab file: `python -m training.prepare mpii "
                "--split valid --rules everyone ...`."
            )
        error, head, box = np.array(self._found).T
        values = {
            "mpjpe_px": float(error.mean()),
            "pck02_box": 100 * float((error <= _OF_BOX * box).mean()),
        }
        measured = head > 0
        if measured.any():
            right = error[measured] <= _OF_HEAD * head[measured]
            values["pck"] = 100 * float(right.mean())
        return values

    def details(self) -> dict[str, Any]:
        """How many joints and people were counted."""
        return {
            "hidden_joints": len(self._found),
            "people_with_hidden_joints": len(self._worst),
            "outside_the_picture": self._outside,
            "without_a_head_box": sum(not each.head for each in self._found),
        }

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the people, and the mean error of each in pixels."""
        index, errors = zip(*self._worst, strict=True)
        return np.array(index), np.array(errors)
