"""Errors of a method with one joint of the person occluded: HKMR's Figure 6.

Occluders are in occluders.py. An example in whose crop the joint is not
visible is left out of that joint's mean, and counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import joints, metrics
from tf_hmr import method as methods
from training.evaluation import evaluator, joint_pairs, occluders
from training.evaluation.protocol import Protocol

PATTERNS, DEGREES = occluders.PATTERNS, occluders.DEGREES
NONE = ("none", 0)
"""Pattern and degree of the same people without an occluder."""


class Errors(NamedTuple):
    """Errors for one pattern and degree, with J joints occluded in turn."""

    joints: tuple[str, ...]
    """(J,) names of the covered joints."""
    mpjpe_mm: np.ndarray
    """(J,) MPJPE of the body; NaN where no example shows the joint."""
    covered_joint_mm: np.ndarray
    """(J,) error of the covered joint; NaN if the protocol leaves it out."""
    unoccluded_mm: np.ndarray
    """(J,) MPJPE of the same examples without an occluder."""
    count: np.ndarray
    """(J,) examples."""
    skipped: np.ndarray
    """(J,) examples in whose crop the joint is not visible."""

    @property
    def mean_mm(self) -> float:
        """The MPJPE averaged over the joints: Figure 6's number."""
        return float(np.nanmean(self.mpjpe_mm))

    @property
    def unoccluded_mean_mm(self) -> float:
        """The same average without an occluder."""
        return float(np.nanmean(self.unoccluded_mm))


def measure_all(
    method: methods.Method,
    dataset: Iterable,
    protocol: Protocol,
    patterns: Sequence[str] = PATTERNS,
    degrees: Sequence[float] = DEGREES,
    names: Sequence[str] = joints.LSP14,
) -> dict[tuple[str, float], Errors]:
    """Errors for each pattern and degree, one joint covered at a time.

    The cost is that of len(patterns) * len(degrees) * len(names) + 1
    predictions per example: 211 by default.

    Args:
        method: the method to measure.
        dataset: batches of batches.eval_dataset, or of some of its people.
        protocol: defines the compared joints and their alignment.
        patterns: of PATTERNS.
        degrees: above 0.
        names: the joints to cover, of joints.KEYPOINTS.

    Raises:
        ValueError: no example has the joints of `protocol`.
    """
    runs = [(p, d, name) for p in patterns for d in degrees for name in names]
    tables = {(p, d): _Table(names, protocol) for p, d, _ in runs}
    compare = joint_pairs.JointPairs(
        protocol, evaluator.make_context(method.body, method.joint_names)
    )
    current_batch: list[evaluator.Batch] = []
    unoccluded = np.zeros(0)
    stream = _occluded(dataset, runs, current_batch)
    for inputs, predictions in evaluator.predictions(method, stream):
        pairs = compare(current_batch[-1], predictions)
        joint_errors = metrics.per_joint_error_mm(pairs.pred, pairs.true)
        if inputs["run"] < 0:
            unoccluded = joint_errors.mean(axis=1)
            continue
        pattern, degree, name = runs[inputs["run"]]
        is_visible = inputs["is_visible"][pairs.rows]
        tables[pattern, degree].add(name, joint_errors, unoccluded, is_visible)
    if not any(table.examples for table in tables.values()):
        raise ValueError(
            f"No record has all joints of {protocol.name}: {protocol.joints}. "
            "Nothing to measure."
        )
    return {key: table.errors() for key, table in tables.items()}


def errors(
    method: methods.Method,
    dataset: Iterable,
    protocol: Protocol,
    patterns: Sequence[str] = PATTERNS,
    degrees: Sequence[float] = DEGREES,
    names: Sequence[str] = joints.LSP14,
) -> dict[tuple[str, float], float]:
    """The numbers of HKMR's Figure 6: `measure_all`, averaged over joints.

    Returns:
        (pattern, degree) -> MPJPE in millimetres; and NONE -> the same average
        without an occluder.
    """
    measured = measure_all(method, dataset, protocol, patterns, degrees, names)
    unoccluded = next(iter(measured.values())).unoccluded_mean_mm
    return {NONE: unoccluded} | {
        k: table.mean_mm for k, table in measured.items()
    }


class _Table:
    """Sums of the errors of one pattern and degree."""

    def __init__(self, names: Sequence[str], protocol: Protocol):
        self._names = tuple(names)
        self._protocol_joints = protocol.joints
        self._sums = np.zeros((4, len(names)))
        self._skipped = np.zeros(len(names), np.int64)

    @property
    def examples(self) -> int:
        """Number of examples added, summed over all joints."""
        return int(self._sums[-1].sum() + self._skipped.sum())

    def add(self, name: str, joint_errors, unoccluded, is_visible) -> None:
        """Adds errors (B, J) with `name` occluded, (B,) without occluder."""
        own_error = np.nan
        if name in self._protocol_joints:
            own_error = joint_errors[
                is_visible, self._protocol_joints.index(name)
            ].sum()
        row = self._names.index(name)
        self._sums[:, row] += (
            joint_errors[is_visible].mean(axis=1).sum(),
            own_error,
            unoccluded[is_visible].sum(),
            is_visible.sum(),
        )
        self._skipped[row] += (~is_visible).sum()

    def errors(self) -> Errors:
        *sums, count = self._sums
        means = [
            np.divide(s, count, np.full_like(s, np.nan), where=count > 0)
            for s in sums
        ]
        return Errors(
            self._names, *means, count.astype(np.int64), self._skipped
        )


def _occluded(
    dataset: Iterable,
    runs: Sequence[tuple],
    current_batch: list[evaluator.Batch],
) -> Iterator[dict[str, tf.Tensor]]:
    """Yields each batch unoccluded (run -1), then once for each of `runs`.

    Puts the batch, with its labels, into the list `current_batch`.
    """
    for batch in dataset:
        batch = {key: np.asarray(value) for key, value in batch.items()}
        current_batch[:] = [batch]
        images = batch["image"]
        numbers = occluders.id_checksums(batch["example_id"])
        yield _inputs(images, np.zeros(len(images), bool), -1)
        for run, (pattern, degree, name) in enumerate(runs):
            points = batch["keypoints"][:, joints.KEYPOINTS.index(name)]
            covered = occluders.occlude(
                images, points, pattern, degree, numbers
            )
            yield _inputs(*covered, run)


def _inputs(images, is_visible, run: int) -> dict[str, tf.Tensor]:
    values = {"image": images, "is_visible": is_visible, "run": run}
    return {key: tf.constant(value) for key, value in values.items()}
