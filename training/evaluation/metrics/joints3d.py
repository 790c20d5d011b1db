"""MPJPE and PA-MPJPE, of each joint, action and example."""

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_hmr import metrics
from training.evaluation import joint_pairs
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)

PERCENTILES = (15, 30, 60, 90, 95)
"""Of HMR's Figure 3 (Kanazawa et al. 2018)."""


class Measure:
    """Errors of the protocol's joints, in millimetres."""

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """Joints, roots and regressors are the protocol's."""
        self._rule = protocol
        self._compared = joint_pairs.JointPairs(protocol, given)
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._groups: list[str] = []
        self._films: list[str] = []
        self._sources = collections.Counter()
        self._seen = 0

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts a batch; examples that lack a true joint are left out."""
        sides = self._compared(batch, found)
        self._rows.append(
            (
                self._seen + sides.rows,
                metrics.per_joint_error_mm(sides.pred, sides.true),
                metrics.mpjpe_mm(sides.pred, sides.true),
                metrics.pa_mpjpe_mm(sides.pred, sides.true),
            )
        )
        self._sources.update(sides.source.tolist())
        for name, kept in (
            (self._rule.group, self._groups),
            (self._rule.sequence, self._films),
        ):
            if name:
                ids = batch["example_id"][sides.rows]
                kept += [name(each.decode()) for each in ids]
        self._seen += len(batch["joints3d"])

    def summary(self) -> dict[str, float]:
        """Means over the examples; as the protocol says, also over actions.

        Raises:
            ValueError: no example had all joints.
        """
        _, _, mpjpe, pa_mpjpe = self._joined()
        if not len(mpjpe):
            raise ValueError(
                f"No record has all joints of {self._rule.name}: "
                f"{self._rule.joints}, from {self._rule.truth}. Nothing to "
                "measure."
            )
        errors = {"mpjpe_mm": mpjpe, "pa_mpjpe_mm": pa_mpjpe}
        found = {name: float(each.mean()) for name, each in errors.items()}
        if self._rule.sequence:
            for name, each in errors.items():
                films, first = _means(each, self._films)
                actions, _ = _means(films, np.array(self._groups)[first])
                found[f"{name}_over_actions"] = float(actions.mean())
        return found

    def details(self) -> dict[str, Any]:
        """Tables for the results file."""
        _, each, mpjpe, pa_mpjpe = self._joined()
        means = each.mean(axis=0).tolist()
        percentiles = np.percentile(mpjpe, PERCENTILES).tolist()
        names = self._compared.names
        return {
            "per_joint_mm": dict(zip(names, means, strict=True)),
            "per_action": self._per_action(mpjpe, pa_mpjpe),
            "percentiles_mpjpe_mm": {
                f"{p:g}": value
                for p, value in zip(PERCENTILES, percentiles, strict=True)
            },
            "truth": dict(self._sources),
        }

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the examples in what was added, and their MPJPE."""
        index, _, mpjpe, _ = self._joined()
        return index, mpjpe

    def _per_action(self, mpjpe, pa_mpjpe) -> dict[str, dict[str, float]]:
        groups = np.array(self._groups)
        return {
            str(name): {
                "mpjpe_mm": float(mpjpe[groups == name].mean()),
                "pa_mpjpe_mm": float(pa_mpjpe[groups == name].mean()),
                "count": int((groups == name).sum()),
            }
            for name in np.unique(groups)
        }

    def _joined(self) -> list[np.ndarray]:
        return [np.concatenate(part) for part in zip(*self._rows, strict=True)]


def _means(values, names) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the values of each name, and where each name is first."""
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    return np.bincount(number, values) / np.bincount(number), first
