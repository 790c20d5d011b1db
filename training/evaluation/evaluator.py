"""Runs a method, or a baseline, over records and through the measures."""

import importlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.body.model import Body
from training.evaluation import ground_truth
from training.evaluation.protocol import (
    EvaluationContext,
    Measure,
    Occlusion,
    Predictions,
    Protocol,
)

Batch = dict[str, np.ndarray]
OF_BASELINES = ("joints3d", "surface", "pck3d")
"""Measures that need no picture."""


class Scores:
    """All measures of a protocol over the same stream of batches."""

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        """Makes the measures; the protocol names them.

        Raises:
            ValueError: there is no measure of a name.
        """
        self.protocol = protocol
        self.examples = 0
        """How many have been added."""
        self._measures = [
            _kind(name)(protocol, given)
            for name in dict.fromkeys(protocol.measures)
        ]

    def add(self, batch: Batch, found: Predictions) -> None:
        """Counts a batch."""
        for measure in self._measures:
            measure.add(batch, found)
        self.examples += len(batch["image"])

    def summary(self) -> dict[str, float]:
        """The figures of all measures."""
        figures: dict[str, float] = {}
        for measure in self._measures:
            figures |= measure.summary()
        return figures

    def details(self) -> dict[str, Any]:
        """The tables of all measures that have some."""
        tables: dict[str, Any] = {}
        for measure in self._measures:
            if hasattr(measure, "details"):
                tables |= measure.details()
        return tables

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in the stream (N,) and errors (N,) of the first that ranks.

        Empty where no measure does.
        """
        for measure in self._measures:
            if hasattr(measure, "ranking"):
                return measure.ranking()
        return np.zeros(0, int), np.zeros(0)

    @property
    def ranked(self) -> tuple[str, str]:
        """What `ranking` ranks by, and its unit."""
        for measure in self._measures:
            if hasattr(measure, "ranking"):
                return getattr(measure, "RANKED", ("MPJPE", "mm"))
        return "", ""


def _kind(name: str) -> type[Measure]:
    try:
        module = importlib.import_module(f"training.evaluation.metrics.{name}")
    except ModuleNotFoundError as error:
        folder = Path(__file__).parent / "metrics"
        there = sorted(p.stem for p in folder.glob("[a-z]*.py"))
        raise ValueError(
            f"There is no measure {name!r}. There are: {there}."
        ) from error
    return module.Measure


def make_context(
    body: Body,
    joint_names: tuple[str, ...],
    true_bodies: Path | None = None,
) -> EvaluationContext:
    """What measures know of predictions of these joints by this body.

    Args:
        body: that of the predicted vertices.
        joint_names: of the predicted joints.
        true_bodies: folder of SMPL's female and male files.
    """
    bodies_of_labels = ground_truth.TrueBodies(body, true_bodies)
    return EvaluationContext(
        body, joint_names, ground_truth.Labelled(bodies_of_labels)
    )


def predictions(
    method: methods.Method,
    dataset: Iterable,
    occlusion: Occlusion | None = None,
    multiple: int = 1,
) -> Iterator[tuple[Batch, Predictions]]:
    """Batches and what the method predicts for them, as numpy.

    The last, smaller batch is filled up for the method: another batch size
    would compile another graph.

    Args:
        method: its `inputs` and `infer` are called.
        dataset: of pipeline.eval_dataset.
        occlusion: put in front of the people, a batch per variant, which it
            then names as `variant`.
        multiple: what the size of a batch that `infer` sees is made of.
    """
    full = 0
    for tensors in dataset:
        plain = {key: value.numpy() for key, value in tensors.items()}
        for batch in _covered(plain, occlusion):
            count = len(batch["image"])
            full = max(full, math.ceil(count / multiple) * multiple)
            inputs = {
                name: _padded(rows, full)
                for name, rows in method.inputs(batch).items()
            }
            found = method.infer(inputs)[: len(_PREDICTED)]
            values = (v if v is None else v.numpy()[:count] for v in found)
            yield batch, Predictions(*values)


def _padded(rows: np.ndarray, count: int) -> tf.Tensor:
    """(N, ...) -> (count, ...): the last row again and again."""
    spare = [rows[-1:]] * (count - len(rows))
    return tf.constant(np.concatenate([rows, *spare]))


# Beside these a Prediction holds what training needs.
_PREDICTED = Predictions._fields[:-1]


def _covered(batch: Batch, occlusion: Occlusion | None) -> Iterator[Batch]:
    if occlusion is None:
        yield batch
        return
    for variant in occlusion.variants:
        image = occlusion.apply(batch, variant)
        yield batch | {"image": image, "variant": variant}


def without_bodies(batch: Batch) -> Batch:
    """The batch without labels that belong to a body."""
    flags = ("has_pose", "has_betas", "has_parts")
    return batch | {name: np.zeros_like(batch[name]) for name in flags}


def measure(
    method: methods.Method, dataset: Iterable, protocol: Protocol
) -> Scores:
    """The scores of a method whose body is also that of the labels."""
    scores = Scores(protocol, make_context(method.body, method.joint_names))
    for batch, found in predictions(method, dataset):
        scores.add(batch, found)
    return scores


class Baseline:
    """Scores of always answering with the training set's mean.

    Args:
        body: to pose.
        mean: rotmats (J, 3, 3) and betas (P,).
        protocol: its measures that need no picture are taken.
        given: as of Scores.
        true_rotation: take the global rotation from the labels; where one
            lacks it, there is no such baseline, and `measures` become empty.
    """

    def __init__(
        self,
        body: Body,
        mean: tuple[np.ndarray, np.ndarray],
        protocol: Protocol,
        given: EvaluationContext,
        true_rotation: bool,
    ):
        self._body, self._mean = body, mean
        self._true_rotation = true_rotation
        self.measures = {
            name: _kind(name)(
                protocol, given._replace(joint_names=body.joint_names)
            )
            for name in OF_BASELINES
            if name in protocol.measures
        }

    def add(self, batch: Batch) -> None:
        """Counts a batch of labels."""
        if self._true_rotation and not np.all(batch["has_pose"]):
            self.measures = {}
        if not self.measures:
            return
        count = len(batch["image"])
        rotmats = np.tile(self._mean[0], (count, 1, 1, 1)).astype(np.float32)
        if self._true_rotation:
            rotmats[:, 0] = batch["rotmats"][:, 0]
        betas = np.tile(self._mean[1], (count, 1)).astype(np.float32)
        posed = self._body(rotmats, betas)
        found = Predictions(
            rotmats=rotmats,
            betas=betas,
            joints=posed.joints.numpy(),
            vertices=posed.vertices.numpy(),
        )
        for measure in self.measures.values():
            measure.add(batch, found)

    def summary(self) -> dict[str, float]:
        """Its figures."""
        figures: dict[str, float] = {}
        for measure in self.measures.values():
            figures |= measure.summary()
        return figures
