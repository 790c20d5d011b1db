"""Errors of every stage of a descent, person by person."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import joints, metrics
from tf_hmr.body import part_maps
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import hund
from training import config
from training.data.pipeline import batches
from training.data.records import shards

BATCH = 50
HALF_PX = 112
"""Half of a crop of 224 pixels, in which distances are told."""
POINTS, CELLS = 1024, 24
"""Points of the skin and the most cells of the maps that IoU is taken of."""


class Errors(NamedTuple):
    """Errors of bodies, (..., N) each; NaN where a label is missing."""

    loss: np.ndarray
    """L_u, HUND's eq. 3, with the model's weights."""
    detected_px: np.ndarray
    """Mean distance to the keypoints that the detector finds, of 224."""
    true_px: np.ndarray
    """Mean distance to the visible labelled keypoints, of 224."""
    iou: np.ndarray
    """Of the silhouette with the labelled one, on a map of cells."""
    mpjpe_mm: np.ndarray
    """Of HMR's 14 joints about the mid-hip."""
    pa_mpjpe_mm: np.ndarray
    """The same after Procrustes alignment."""
    angle_deg: np.ndarray
    """Mean angle between a joint's rotation and the labelled one."""


class People(NamedTuple):
    """N people of a split and what is labelled of them."""

    inputs: dict[str, np.ndarray]
    """(N, ...) inputs of the model."""
    labels: dict[str, np.ndarray]
    """(N, ...) fields of evaluation batches."""

    def take(self, rows) -> "People":
        """Some of them."""
        return People(
            *({k: v[rows] for k, v in field.items()} for field in self)
        )


_LABELS = (
    "keypoints",
    "joints3d",
    "rotmats",
    "parts",
    "has_parts",
    "has_pose",
    "has_joints3d",
)


def read_people(
    model: hund.Model, records: Path, split: str, count: int
) -> People:
    """Reads `count` people of a split, evenly spread over it.

    Raises:
        FileNotFoundError, ValueError: see batches.eval_dataset.
    """
    source = config.Source(str(records), split=split)
    batches.check_inputs(source, model.input_names)
    total = len(shards.Records(source.records, source.split))
    rows = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    dataset = batches.eval_dataset(
        source,
        BATCH,
        model.image_size,
        model.config.crop_scale,
        rows=rows.tolist(),
    )
    chunks = []
    for batch in dataset:
        inputs = {k: v.numpy() for k, v in model.inputs(batch).items()}
        chunks.append(People(inputs, {k: batch[k].numpy() for k in _LABELS}))
    fields = zip(*chunks, strict=True)
    return People(
        *(
            {
                name: np.concatenate([d[name] for d in dicts])
                for name in dicts[0]
            }
            for dicts in fields
        )
    )


class Measure:
    """Descents of people and errors of states."""

    def __init__(self, model: hund.Model, with_parts: bool):
        """Takes a model; L_u has L_b only `with_parts`, where the model has."""
        self.model = model
        self.with_parts = with_parts and model.config.parts > 0
        side = model.image_size
        self._cells = max(n for n in range(1, CELLS + 1) if side % n == 0)
        self._renderer = part_maps.PartRenderer(model.body, POINTS, self._cells)
        self._descend = tf.function(model.stages_of, autograph=False)
        self._errors = tf.function(self._errors_of_states, autograph=False)

    def descend(self, people: People) -> hund.Stages:
        """Detects and descends; see hund.Model.stages_of."""
        return self._descend(
            {k: tf.constant(v) for k, v in people.inputs.items()}
        )

    def loss(self, states, detection, intrinsics) -> tf.Tensor:
        """L_u (B,) of states (B, n)."""
        return self.model.alignment(
            states, detection, intrinsics, self.with_parts
        )

    def errors(self, states, stages: hund.Stages, people: People) -> Errors:
        """Errors (N,) of states (N, n) of people with these detections."""
        labels = {k: tf.constant(v) for k, v in people.labels.items()}
        values = self._errors(
            tf.convert_to_tensor(states, tf.float32),
            stages.detection,
            stages.intrinsics,
            labels,
        )
        loss, detected, true, iou, points, angle = (x.numpy() for x in values)
        return Errors(
            loss,
            detected,
            true,
            iou,
            *self._joint_errors(points, people.labels),
            angle,
        )

    def _errors_of_states(self, states, detection, intrinsics, labels):
        estimate = self.model.decode(states)
        points, keypoints = self.model.project(estimate, intrinsics)
        rows = list(joints.select(self.model.joint_names, of=joints.KEYPOINTS))
        true = tf.gather(labels["keypoints"], rows, axis=1)
        visible = tf.cast(true[..., 2] > 0, tf.float32)
        distance = tf.norm(keypoints - true[..., :2], axis=-1) * visible
        true_px = HALF_PX * _mean_or_nan(distance, visible)
        detected = tf.norm(keypoints - detection.keypoints, axis=-1)
        maps = self._renderer(
            estimate.rotmats,
            estimate.betas,
            camera.crop_translation(estimate.camera, intrinsics),
            intrinsics,
        )
        shares = part_maps.of_labels(
            labels["parts"], self._cells, self._renderer.channels
        )
        iou = _or_nan(part_maps.iou(maps, shares), labels["has_parts"])
        angles = rotations.geodesic_distance(
            estimate.rotmats, labels["rotmats"]
        )
        angle = tf.reduce_mean(angles, axis=1) * (180 / np.pi)
        return (
            self.loss(states, detection, intrinsics),
            HALF_PX * tf.reduce_mean(detected, axis=-1),
            true_px,
            iou,
            points,
            _or_nan(angle, labels["has_pose"]),
        )

    def _joint_errors(self, points, labels) -> tuple[np.ndarray, np.ndarray]:
        """MPJPE and PA-MPJPE (N,) of joints (N, J, 3)."""
        own = list(joints.select(joints.LSP14, of=self.model.joint_names))
        stored = list(joints.select(joints.LSP14, of=joints.KEYPOINTS))
        true = labels["joints3d"][:, stored]
        is_labelled = (labels["has_joints3d"] > 0) & (true[..., 3] > 0).all(
            axis=1
        )
        errors = np.full((2, len(points)), np.nan)
        if is_labelled.any():
            pair = [
                metrics.align_root(values[is_labelled], joints.LSP14)
                for values in (points[:, own], true[..., :3])
            ]
            errors[0, is_labelled] = metrics.mpjpe_mm(*pair)
            errors[1, is_labelled] = metrics.pa_mpjpe_mm(*pair)
        return errors[0], errors[1]


def descents(
    measure: Measure, people: People
) -> tuple[np.ndarray, Errors, Errors]:
    """Descends with all people.

    Returns:
        The states (M + 1, N, n), their errors (M + 1, N), and the errors (N,)
        of the mean pose.
    """
    states, errors, constants = [], [], []
    mean = measure.model.mean_state()
    count = len(people.labels["keypoints"])
    for start in range(0, count, BATCH):
        chunk = people.take(slice(start, start + BATCH))
        stages = measure.descend(chunk)
        states.append(np.stack([state.numpy() for state in stages.states]))
        errors.append(
            _stacked([measure.errors(s, stages, chunk) for s in stages.states])
        )
        size = len(chunk.labels["keypoints"])
        constants.append(
            measure.errors(tf.tile(mean, (size, 1)), stages, chunk)
        )
    return (
        np.concatenate(states, axis=1),
        _joined(errors, axis=1),
        _joined(constants, axis=0),
    )


def mean_of(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Means over people of whom something is labelled; NaN of none."""
    labelled = np.isfinite(values)
    total = np.where(labelled, values, 0).sum(axis=axis)
    count = labelled.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _stacked(errors: list[Errors]) -> Errors:
    return Errors(*(np.stack(values) for values in zip(*errors, strict=True)))


def _joined(errors: list[Errors], axis: int) -> Errors:
    return Errors(
        *(
            np.concatenate(values, axis=axis)
            for values in zip(*errors, strict=True)
        )
    )


def _mean_or_nan(values, flags) -> tf.Tensor:
    """Means (B,) of values (B, K) whose flag is set; NaN where none is."""
    total, count = (tf.reduce_sum(x, axis=-1) for x in (values, flags))
    return _or_nan(total / tf.maximum(count, 1.0), count)


def _or_nan(values, flag) -> tf.Tensor:
    return tf.where(flag > 0, values, np.nan)
