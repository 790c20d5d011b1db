"""MPJPE and PA-MPJPE: per joint, per action and per example."""

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
"""The percentiles of HMR's Figure 3 (Kanazawa et al. 2018)."""


class Measure:
    """Errors of the protocol's joints, in millimetres."""

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Takes joints, roots and regressors from the protocol."""
        self._protocol = protocol
        self._joint_pairs = joint_pairs.JointPairs(protocol, context)
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._groups: list[str] = []
        self._videos: list[str] = []
        self._sources = collections.Counter()
        self._num_examples = 0

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch; examples that lack a true joint are left out."""
        pairs = self._joint_pairs(batch, predictions)
        self._rows.append(
            (
                self._num_examples + pairs.rows,
                metrics.per_joint_error_mm(pairs.pred, pairs.true),
                metrics.mpjpe_mm(pairs.pred, pairs.true),
                metrics.pa_mpjpe_mm(pairs.pred, pairs.true),
            )
        )
        self._sources.update(pairs.source.tolist())
        for label_of, labels in (
            (self._protocol.group, self._groups),
            (self._protocol.sequence, self._videos),
        ):
            if label_of:
                ids = batch["example_id"][pairs.rows]
                labels += [label_of(example_id.decode()) for example_id in ids]
        self._num_examples += len(batch["joints3d"])

    def summary(self) -> dict[str, float]:
        """Means over the examples, and over actions if the protocol says so.

        Raises:
            ValueError: no example has all joints.
        """
        _, _, mpjpe, pa_mpjpe = self._concatenated()
        if not len(mpjpe):
            raise ValueError(
                f"No record has all joints of {self._protocol.name}: "
                f"{self._protocol.joints}, from {self._protocol.truth}. "
                "Nothing to measure."
            )
        errors = {"mpjpe_mm": mpjpe, "pa_mpjpe_mm": pa_mpjpe}
        means = {name: float(values.mean()) for name, values in errors.items()}
        if self._protocol.sequence:
            for name, values in errors.items():
                videos, first = _means(values, self._videos)
                actions, _ = _means(videos, np.array(self._groups)[first])
                means[f"{name}_over_actions"] = float(actions.mean())
        return means

    def details(self) -> dict[str, Any]:
        """Tables for the results file."""
        _, per_joint, mpjpe, pa_mpjpe = self._concatenated()
        joint_means = per_joint.mean(axis=0).tolist()
        percentiles = np.percentile(mpjpe, PERCENTILES).tolist()
        names = self._joint_pairs.names
        return {
            "per_joint_mm": dict(zip(names, joint_means, strict=True)),
            "per_action": self._per_action(mpjpe, pa_mpjpe),
            "percentiles_mpjpe_mm": {
                f"{p:g}": value
                for p, value in zip(PERCENTILES, percentiles, strict=True)
            },
            "truth": dict(self._sources),
        }

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the examples in the order added, and their MPJPE."""
        index, _, mpjpe, _ = self._concatenated()
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

    def _concatenated(self) -> list[np.ndarray]:
        return [np.concatenate(part) for part in zip(*self._rows, strict=True)]


def _means(values, names) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the values per name, and the first index of each name."""
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    return np.bincount(number, values) / np.bincount(number), first
