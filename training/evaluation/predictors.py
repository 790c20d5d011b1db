"""Sources of predictions: a model, or a file of predictions."""

import concurrent.futures
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr import method as methods
from tf_hmr.body import pairs
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from training.engine import workdir
from training.evaluation import evaluator, predictions_file
from training.evaluation.protocol import Predictions

Stream = Iterator[tuple[evaluator.Batch, Predictions]]


class Source(Protocol):
    """A source of predictions."""

    body: Body
    joint_names: tuple[str, ...]
    folder: Path
    """Folder of the model or file; results are written there."""
    image_size: int
    crop_scale: float
    crop_m: float
    input_names: tuple[str, ...]
    """Inputs of the method; () for a file of predictions."""

    def has(self, ids: np.ndarray) -> np.ndarray:
        """(N,) bool: the source has a prediction for the example."""

    def stream(self, dataset: tf.data.Dataset, occlusion: Any = None) -> Stream:
        """Batches and their predictions, as numpy."""

    def facts(self) -> dict[str, Any]:
        """Entries of the results file that describe the source."""


class Model:
    """A trained method, loaded from a model folder."""

    def __init__(
        self,
        method: methods.Method,
        folder: Path,
        replicas: Sequence[methods.Method] = (),
    ):
        """Wraps a loaded method and its replicas on further devices."""
        self.folder, self._method = folder, method
        self.method = method
        self._copies = (method, *replicas)
        self._pool = concurrent.futures.ThreadPoolExecutor(len(self._copies))
        self._traced: set[int] = set()  # Sizes of batches.
        self.body = method.body
        self.joint_names = method.joint_names
        self.image_size = method.image_size
        self.crop_scale = method.config.crop_scale
        self.crop_m = method.config.crop_m
        self.input_names = method.input_names

    @classmethod
    def load(
        cls,
        weights: Path,
        data: BodyData,
        strategy: tf.distribute.Strategy,
    ) -> "Model":
        """Loads a folder's model once on each device of the strategy.

        Raises:
            FileNotFoundError: the folder holds no model.
            ValueError: it was trained on another body.
        """
        if strategy.num_replicas_in_sync == 1:
            with strategy.scope():
                return cls(methods.load(weights, data), weights)
        copies = []
        for device in strategy.extended.worker_devices:
            with tf.device(device):
                copies.append(methods.load(weights, data))
        return cls(copies[0], weights, copies[1:])

    def inputs(self, batch: evaluator.Batch) -> Any:
        """The inputs of the method for a batch."""
        return self._method.inputs(batch)

    def infer(self, inputs: dict[str, tf.Tensor]) -> methods.Prediction:
        """Predicts; each device takes its part of the batch."""
        if len(self._copies) == 1:
            return self._method.infer(inputs)
        parts = {
            name: tf.split(rows, len(self._copies))
            for name, rows in inputs.items()
        }
        jobs = [
            (copy.infer, {name: part[n] for name, part in parts.items()})
            for n, copy in enumerate(self._copies)
        ]
        # Graphs are traced sequentially, because Keras has global state.
        count = len(next(iter(inputs.values())))
        apply = self._pool.map if count in self._traced else map
        predictions = list(apply(lambda job: job[0](job[1]), jobs))
        self._traced.add(count)
        return methods.Prediction(
            *(
                None if values[0] is None else tf.concat(values, 0)
                for values in zip(*predictions, strict=True)
            )
        )

    def has(self, ids: np.ndarray) -> np.ndarray:
        """All true: a model predicts every example."""
        return np.ones(len(ids), bool)

    def stream(self, dataset, occlusion=None) -> Stream:
        """See Source."""
        return evaluator.predictions(
            self, dataset, occlusion, len(self._copies)
        )

    def facts(self) -> dict[str, Any]:
        """Body, weights, method, experiment and number of parameters."""
        player = self._method.player_variables()
        return {
            "body": self.body.data.name,
            "topology": self.body.data.topology,
            "weights": str(self.folder),
            "predictions": "",
            "method": methods.name_of(self._method.config),
            "experiment": experiment(self.folder),
            "configuration": configuration(self.folder),
            "parameters": sum(int(np.prod(v.shape)) for v in player),
        }


class PredictionsFile:
    """A predictions file; see training.evaluation.predictions_file."""

    def __init__(self, path: Path, data: BodyData):
        """Reads the file.

        Raises:
            OSError: it is missing.
            ValueError: it is damaged.
        """
        self._path = path
        self._predictions = predictions_file.StoredPredictions(path)
        names = [n for n in joints.COCOPLUS19 if n in data.keypoint_regressor]
        self.body = pairs.make(data, lambda one: Body(one, names, jit=False))
        self.joint_names = self._predictions.joint_names
        self.folder = path.parent
        self.image_size = methods.Config.image_size
        self.crop_scale, self.crop_m = methods.Config.crop_scale, 0.0
        self.input_names = ()

    def has(self, ids: np.ndarray) -> np.ndarray:
        """(N,) bool: the file holds the example."""
        return np.array(
            [example_id in self._predictions for example_id in ids], bool
        )

    def stream(self, dataset, occlusion=None) -> Stream:
        """See Source.

        Raises:
            ValueError: the protocol occludes images before prediction.
        """
        if occlusion is not None:
            raise ValueError(
                "This protocol covers parts of each picture before it is "
                "predicted from; a file of predictions cannot answer it. "
                "Give --weights."
            )
        return self._predictions.stream(dataset, self.body)

    def facts(self) -> dict[str, Any]:
        """Body and file."""
        return {
            "body": self.body.data.name,
            "topology": self.body.data.topology,
            "weights": "",
            "predictions": str(self._path),
            "method": "",
            "experiment": "",
            "parameters": None,
        }


def run_notes(weights: Path | None) -> dict[str, Any]:
    """The notes in the workdir of a model's run; {} for other models."""
    if weights is None:
        return {}
    return workdir.noted(weights) or workdir.noted(weights.parent)


def configuration(weights: Path) -> dict[str, Any]:
    """The configuration of the run of a model; {} where there is none."""
    stored = _stored_experiment(weights)
    return {key: stored[key] for key in stored if key != workdir.NAME}


def _stored_experiment(weights: Path) -> dict[str, Any]:
    """The experiment.json of the run of a model; {} where there is none."""
    for folder in (weights, weights.parent):
        path = folder / workdir.CONFIG_FILE
        if path.is_file():
            return workdir.read_json(path)
    return {}


def experiment(weights: Path) -> str:
    """The name of the run's experiment; "" for other models."""
    stored = _stored_experiment(weights)
    if workdir.NAME in stored:
        return stored[workdir.NAME]
    # Older runs stored no name: it is taken from the run's command line.
    command = run_notes(weights).get("command", "")
    match = re.search(r"fit(?:\.py)?(?: +([a-z]\w*))?(?: |$)", command)
    # training.fit trains `quick` where no experiment is named.
    return (match[1] or "quick") if match else ""
