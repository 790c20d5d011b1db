"""Runs a method or a baseline over records and measures its predictions."""

import importlib
import math
import weakref
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
BASELINE_MEASURES = ("joints3d", "surface", "pck3d", "true_root")
"""Measures of a baseline: those that need no image."""


class Scores:
    """All measures of a protocol over the same stream of batches."""

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Creates the measures that the protocol names.

        Raises:
            ValueError: unknown measure.
        """
        self.protocol = protocol
        self.examples = 0
        """Number of examples added so far."""
        self._measures = [
            _measure_class(name)(protocol, context)
            for name in dict.fromkeys(protocol.measures)
        ]

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Adds a batch to every measure."""
        for measure in self._measures:
            measure.add(batch, predictions)
        self.examples += len(batch["image"])

    def summary(self) -> dict[str, float]:
        """The metrics of all measures."""
        metrics: dict[str, float] = {}
        for measure in self._measures:
            metrics |= measure.summary()
        return metrics

    def details(self) -> dict[str, Any]:
        """The tables of all measures that have any."""
        tables: dict[str, Any] = {}
        for measure in self._measures:
            if hasattr(measure, "details"):
                tables |= measure.details()
        return tables

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices in the stream (N,) and errors (N,).

        They are those of the first measure that ranks examples; empty where
        no measure does.
        """
        for measure in self._measures:
            if hasattr(measure, "ranking"):
                return measure.ranking()
        return np.zeros(0, int), np.zeros(0)

    @property
    def ranked(self) -> tuple[str, str]:
        """Name and unit of the error that `ranking` returns."""
        for measure in self._measures:
            if hasattr(measure, "ranking"):
                return getattr(measure, "RANKED", ("MPJPE", "mm"))
        return "", ""


def _measure_class(name: str) -> type[Measure]:
    try:
        module = importlib.import_module(f"training.evaluation.metrics.{name}")
    except ModuleNotFoundError as error:
        folder = Path(__file__).parent / "metrics"
        available = sorted(p.stem for p in folder.glob("[a-z]*.py"))
        raise ValueError(
            f"There is no measure {name!r}. There are: {available}."
        ) from error
    return module.Measure


def make_context(
    body: Body,
    joint_names: tuple[str, ...],
    true_bodies: Path | None = None,
) -> EvaluationContext:
    """Collects what measures need to know about the predictions.

    Args:
        body: body of the predicted vertices.
        joint_names: names of the predicted joints.
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
    """Yields batches and the method's predictions for them, as numpy.

    Batches smaller than the largest so far, in this call or an earlier one, are
    padded for the method: another batch size would compile another graph.

    Args:
        method: its `inputs` and `infer` are called.
        dataset: of batches.eval_dataset.
        occlusion: occluder put in front of the people. Each batch is yielded
            once per variant, with the variant's name as `variant`.
        multiple: the batch size that `infer` sees is a multiple of this.
    """
    for tensors in dataset:
        numpy_batch = {key: value.numpy() for key, value in tensors.items()}
        for batch in _occluded(numpy_batch, occlusion):
            count = len(batch["image"])
            largest = max(count, _largest.get(method, 0))
            batch_size = math.ceil(largest / multiple) * multiple
            _largest[method] = batch_size
            inputs = {
                name: _padded(rows, batch_size)
                for name, rows in method.inputs(batch).items()
            }
            prediction = method.infer(inputs)[: len(_METHOD_FIELDS)]
            arrays = (v if v is None else v.numpy()[:count] for v in prediction)
            yield batch, Predictions(*arrays)


_largest: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""The largest batch that each method has seen, padding included."""


def _padded(rows: np.ndarray, count: int) -> tf.Tensor:
    """(N, ...) -> (count, ...), padded with copies of the last row."""
    padding = [rows[-1:]] * (count - len(rows))
    return tf.constant(np.concatenate([rows, *padding]))


# All but the translation, which `infer` does not return.
_METHOD_FIELDS = Predictions._fields[:-1]


def _occluded(batch: Batch, occlusion: Occlusion | None) -> Iterator[Batch]:
    if occlusion is None:
        yield batch
        return
    for variant in occlusion.variants:
        image = occlusion.apply(batch, variant)
        yield batch | {"image": image, "variant": variant}


def without_bodies(batch: Batch) -> Batch:
    """Marks the labels of pose, shape and parts of a batch as missing."""
    flags = ("has_pose", "has_betas", "has_parts")
    return batch | {name: np.zeros_like(batch[name]) for name in flags}


def measure(
    method: methods.Method, dataset: Iterable, protocol: Protocol
) -> Scores:
    """Measures a method whose body is also the body of the labels."""
    scores = Scores(protocol, make_context(method.body, method.joint_names))
    for batch, predicted in predictions(method, dataset):
        scores.add(batch, predicted)
    return scores


class Baseline:
    """Scores of always predicting the training set's mean pose and shape.

    Args:
        body: body to pose.
        mean: rotmats (J, 3, 3) and betas (P,).
        protocol: its measures among BASELINE_MEASURES are used.
        context: as in Scores.
        true_rotation: take the global rotation from the labels. If a label
            has none, this baseline is impossible and `measures` becomes empty.
    """

    def __init__(
        self,
        body: Body,
        mean: tuple[np.ndarray, np.ndarray],
        protocol: Protocol,
        context: EvaluationContext,
        true_rotation: bool,
    ):
        self._body, self._mean = body, mean
        self._true_rotation = true_rotation
        self.measures = {
            name: _measure_class(name)(
                protocol, context._replace(joint_names=body.joint_names)
            )
            for name in BASELINE_MEASURES
            if name in protocol.measures
        }

    def add(self, batch: Batch) -> None:
        """Adds a batch of labels."""
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
        predicted = Predictions(
            rotmats=rotmats,
            betas=betas,
            joints=posed.joints.numpy(),
            vertices=posed.vertices.numpy(),
        )
        for measure in self.measures.values():
            measure.add(batch, predicted)

    def summary(self) -> dict[str, float]:
        """The metrics of all its measures."""
        metrics: dict[str, float] = {}
        for measure in self.measures.values():
            metrics |= measure.summary()
        return metrics
