"""2D metrics in the crop: keypoints, silhouettes and 14 parts.

For records with part labels for every pixel, as of rendered people. Pixels are
pooled over all examples.
"""

from collections.abc import Mapping

import numpy as np

from tf_hmr import joints, metrics, rendering
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)

# Weak perspective as a far pinhole (nkolot/SPIN: constants.py).
FOCAL_PX = 5000.0


class Measure:
    """PCK, IoU, accuracy and F1 of predicted keypoints and mesh."""

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        """Counts all predicted keypoints, not only the protocol's joints."""
        self._names = context.joint_names
        self._faces = context.body.data.faces
        self._labels, part_names = context.body.data.parts("part14")
        self._masks = metrics.SegmentationCounts(2)
        self._parts = metrics.SegmentationCounts(len(part_names) + 1)
        self._iou: list[np.ndarray] = []
        self._points: list[tuple[np.ndarray, ...]] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch; fields that are not predicted are left out."""
        if predictions.keypoints is not None:
            index = joints.select(self._names, of=joints.KEYPOINTS)
            true = batch["keypoints"][:, index]
            self._points.append((predictions.keypoints, true))
        if predictions.vertices is None or predictions.camera is None:
            return
        size = batch["image"].shape[1]
        view = rendering.View.of_crop(size, FOCAL_PX)
        for row in np.flatnonzero(batch["has_parts"]):
            vertices = rendering.apply_weak_camera(
                predictions.vertices[row],
                predictions.camera[row],
                size,
                FOCAL_PX,
            )
            labels = rendering.part_labels(
                vertices, self._faces, self._labels, view
            )
            truth = batch["parts"][row]
            self._parts.add(labels, truth)
            self._masks.add(labels > 0, truth > 0)
            self._iou.append(metrics.silhouette_iou(labels > 0, truth > 0))

    def summary(self) -> dict[str, float]:
        """PCK, IoU, accuracy and F1 so far, of those that have labels."""
        values = {}
        if self._points:
            values["pck2d_torso02"] = self._pck2d()
        if self._iou:
            values |= {
                "silhouette_iou": float(np.mean(self._iou)),
                "silhouette_f1": self._masks.mean_f1,
                "part_accuracy": self._parts.accuracy,
                "part_f1": self._parts.mean_f1,
            }
        return values

    def _pck2d(self) -> float:
        pred, true = (
            np.concatenate(part) for part in zip(*self._points, strict=True)
        )
        torso = metrics.torso_diameter(true[..., :2], self._names)
        ends = joints.select(("left_shoulder", "right_hip"), of=self._names)
        is_measured = (true[:, ends, 2] > 0).all(axis=1) & (torso > 0)
        return metrics.pck2d(
            pred[is_measured],
            true[is_measured, :, :2],
            true[is_measured, :, 2],
            torso[is_measured],
        )
