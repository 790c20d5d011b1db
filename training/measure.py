"""Errors of a method, or of a baseline, over a set of records."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import body as bodies
from tf_hmr import joints, metrics, raster
from tf_hmr import method as methods
from training import protocol as rules

# Weak perspective as a far pinhole (nkolot/SPIN: constants.py).
FOCAL_PX = 5000.0


class Errors(NamedTuple):
    """Errors of N labelled examples."""

    index: np.ndarray
    """(N,) position of each example in the dataset."""
    joints_mm: np.ndarray
    """(N, J) root-aligned error of each joint."""
    mpjpe_mm: np.ndarray
    """(N,) their mean."""
    pa_mpjpe_mm: np.ndarray
    """(N,) after a similarity."""
    pve_mm: np.ndarray
    """(N,) mean vertex error; NaN without pose labels."""

    def summary(self) -> dict[str, float]:
        """Means over the examples, PCK and AUC over all joints."""
        return {
            "mpjpe_mm": float(self.mpjpe_mm.mean()),
            "pa_mpjpe_mm": float(self.pa_mpjpe_mm.mean()),
            "pve_mm": float(np.nanmean(self.pve_mm)),
            "pck3d_150mm": metrics.pck3d(self.joints_mm),
            "auc3d": metrics.auc3d(self.joints_mm),
        }


class Picture:
    """Pooled 2D figures: keypoints, silhouettes, parts."""

    def __init__(self, names: tuple[str, ...], body: bodies.Body):
        """`names` are the keypoints of the 2D PCK."""
        self._names = names
        self._faces = body.data.faces
        self._labels, part_names = body.data.parts("part14")
        self._masks = metrics.SegmentationCounts(2)
        self._parts = metrics.SegmentationCounts(len(part_names) + 1)
        self._iou: list[np.ndarray] = []
        self._points: list[tuple[np.ndarray, ...]] = []

    def add(self, batch, prediction: methods.Prediction) -> None:
        """Counts a batch of N; both with numpy leaves."""
        index = joints.select(self._names, of=joints.KEYPOINTS)
        true = batch["keypoints"][:, index]
        self._points.append((prediction.keypoints, true))
        size = batch["image"].shape[1]
        view = raster.View.of_crop(size, FOCAL_PX)
        for row in np.flatnonzero(batch["has_parts"]):
            placed = raster.place(
                prediction.vertices[row], prediction.camera[row], size, FOCAL_PX
            )
            labels = raster.part_labels(placed, self._faces, self._labels, view)
            truth = batch["parts"][row]
            self._parts.add(labels, truth)
            self._masks.add(labels > 0, truth > 0)
            self._iou.append(metrics.silhouette_iou(labels > 0, truth > 0))

    def summary(self) -> dict[str, float]:
        """PCK, IoU, accuracies and F1 so far; what has no label is absent."""
        pred, true = (
            np.concatenate(part) for part in zip(*self._points, strict=True)
        )
        torso = metrics.torso_diameter(true[..., :2], self._names)
        ends = joints.select(("left_shoulder", "right_hip"), of=self._names)
        seen = (true[:, ends, 2] > 0).all(axis=1) & (torso > 0)
        values = {
            "pck2d_torso02": metrics.pck2d(
                pred[seen], true[seen, :, :2], true[seen, :, 2], torso[seen]
            )
        }
        if self._iou:
            values |= {
                "silhouette_iou": float(np.mean(self._iou)),
                "silhouette_f1": self._masks.mean_f1,
                "part_accuracy": self._parts.accuracy,
                "part_f1": self._parts.mean_f1,
            }
        return values


def predictions(
    method: methods.Method, dataset: tf.data.Dataset
) -> Iterator[tuple[dict[str, np.ndarray], methods.Prediction]]:
    """Batches and what the method predicts for them, as numpy.

    The last, smaller batch is filled up for the method: another batch size
    would compile another graph.
    """
    full = 0
    for batch in dataset:
        images = method.inputs(batch)
        count = int(images.shape[0])
        full = max(full, count)
        padding = [[0, full - count]] + [[0, 0]] * (len(images.shape) - 1)
        found = method.infer(tf.pad(images, padding))
        yield (
            {key: value.numpy() for key, value in batch.items()},
            methods.Prediction(
                *(v if v is None else v.numpy()[:count] for v in found)
            ),
        )


class Collector:
    """Compares 3D predictions with their labels, batch by batch."""

    def __init__(self, protocol: rules.Protocol, body: bodies.Body):
        """Errors are counted by the rules of `protocol`."""
        self._protocol = protocol
        self._body = body
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._seen = 0

    def add(self, batch, pred_joints, joint_names, pred_vertices) -> None:
        """Counts a batch.

        Args:
            batch: of pipeline.eval_dataset, as numpy.
            pred_joints: (B, J, 3) metres.
            joint_names: their J names.
            pred_vertices: (B, V, 3) metres.
        """
        rule = self._protocol
        index = joints.select(rule.joints, of=joints.KEYPOINTS)
        true = batch["joints3d"][:, index]
        rows = np.flatnonzero((true[..., 3] > 0).all(axis=1))
        index = joints.select(rule.joints, of=joint_names)
        pred = metrics.align_root(
            pred_joints[rows][:, index], rule.joints, rule.root
        )
        true = metrics.align_root(true[rows, :, :3], rule.joints, rule.root)
        labelled = (batch["has_pose"] * batch["has_betas"])[rows] > 0
        pve = np.full(len(rows), np.nan)
        if labelled.any():
            vertices = self._body(batch["rotmats"], batch["betas"]).vertices
            where = rows[labelled]
            pve[labelled] = metrics.pve_mm(
                pred_vertices[where], vertices.numpy()[where]
            )
        self._rows.append(
            (
                self._seen + rows,
                metrics.per_joint_error_mm(pred, true),
                metrics.mpjpe_mm(pred, true),
                metrics.pa_mpjpe_mm(pred, true),
                pve,
            )
        )
        self._seen += len(batch["joints3d"])

    def errors(self) -> Errors:
        """All errors so far.

        Raises:
            ValueError: no example had 3D joints.
        """
        errors = Errors(
            *(np.concatenate(part) for part in zip(*self._rows, strict=True))
        )
        if not len(errors.index):
            raise ValueError(
                f"No record has all joints of {self._protocol.name}: "
                f"{self._protocol.joints}. Nothing to measure."
            )
        return errors


def measure(
    method: methods.Method,
    dataset: Iterable,
    protocol: rules.Protocol,
) -> tuple[Errors, dict[str, float]]:
    """3D errors of every example and the pooled 2D figures."""
    collector = Collector(protocol, method.body)
    picture = Picture(method.joint_names, method.body)
    for batch, found in predictions(method, dataset):
        collector.add(batch, found.joints, method.joint_names, found.vertices)
        picture.add(batch, found)
    return collector.errors(), picture.summary()


def measure_baseline(
    body: bodies.Body,
    mean: tuple[np.ndarray, np.ndarray],
    dataset: Iterable,
    protocol: rules.Protocol,
    true_rotation: bool,
) -> Errors:
    """Errors of always answering with the training set's mean.

    Args:
        body: to pose.
        mean: rotmats (24, 3, 3) and betas (10,).
        dataset: as in `measure`.
        protocol: as in `measure`.
        true_rotation: take the global rotation from the labels.
    """
    collector = Collector(protocol, body)
    for batch in dataset:
        batch = {key: value.numpy() for key, value in batch.items()}
        count = len(batch["image"])
        rotmats = np.tile(mean[0], (count, 1, 1, 1)).astype(np.float32)
        if true_rotation:
            rotmats[:, 0] = batch["rotmats"][:, 0]
        betas = np.tile(mean[1], (count, 1)).astype(np.float32)
        posed = body(rotmats, betas)
        collector.add(
            batch,
            posed.joints.numpy(),
            body.joint_names,
            posed.vertices.numpy(),
        )
    return collector.errors()
