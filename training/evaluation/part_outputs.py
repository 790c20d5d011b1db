"""Parts of a method as sources of predictions: its `outputs`, one by one."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from training.evaluation import evaluator, predictors

_OWN = "pelvis_of_the_input"


class PartOutput:
    """One output of a model: predictors.Source."""

    def __init__(self, model: predictors.Model, name: str):
        """Takes an output by name.

        Raises:
            ValueError: the method has no such output.
        """
        self._method = model.method
        if name not in self._method.outputs:
            available = list(self._method.outputs) or "none"
            raise ValueError(
                f"--output {name}: the method {self._method.name!r} of "
                f"{model.folder} has no such output. It has: {available}."
            )
        self.name, self._model = name, model
        self.body, self.folder = model.body, model.folder
        self.joint_names = self._method.output_joint_names(name)
        self.image_size = model.image_size
        self.crop_scale, self.crop_m = model.crop_scale, model.crop_m
        self.input_names = model.input_names
        self._labels = self._method.output_labels(name)
        self._traced = tf.function(
            lambda inputs, labels: self._method.output(name, inputs, labels),
            autograph=False,
        )

    @property
    def own_joint_names(self) -> tuple[str, ...]:
        """The joints' names about the body's own pelvis; () if it is one.

        A body that was moved onto points is about the points' pelvis.
        """
        if methods.OWN_PELVIS not in self.joint_names:
            return ()
        renamed = {"pelvis": _OWN, methods.OWN_PELVIS: "pelvis"}
        return tuple(renamed.get(name, name) for name in self.joint_names)

    def has(self, ids: np.ndarray) -> np.ndarray:
        """All true."""
        return self._model.has(ids)

    def inputs(self, batch: evaluator.Batch) -> dict[str, np.ndarray]:
        """Inputs of the method, and labels that stand in for other parts.

        Raises:
            ValueError: an example has no such label.
        """
        for label in self._labels:
            flag = {"rotmats": "has_pose"}.get(label, f"has_{label}")
            missing = np.flatnonzero(np.asarray(batch[flag]) <= 0)
            if len(missing):
                example = batch["example_id"][missing[0]].decode()
                raise ValueError(
                    f"--output {self.name} poses the body with labelled "
                    f"{label}, which {example!r} has not. Choose records with "
                    "SMPL labels, or another output."
                )
        labels = {f"label/{name}": batch[name] for name in self._labels}
        return dict(self._model.inputs(batch)) | labels

    def infer(self, inputs: dict[str, tf.Tensor]) -> methods.Prediction:
        """The output's prediction; on one device."""
        labels = {name: inputs[f"label/{name}"] for name in self._labels}
        names = self._method.input_names
        return self._traced({name: inputs[name] for name in names}, labels)

    def stream(self, dataset, occlusion=None) -> predictors.Stream:
        """See predictors.Source."""
        return evaluator.predictions(self, dataset, occlusion)

    def facts(self) -> dict[str, Any]:
        """Those of the model, and the output's name."""
        return self._model.facts() | {"output": self.name}
