"""Intersection over union of silhouettes in full images.

Madadi et al. 2019 (SMPLR), 4.3 and Table 4: "body silhouette after mesh
projection to the image plane". The truth is the silhouette in the records
or, where they hold none, the labelled body seen by its camera.
"""

import numpy as np

from tf_hmr import joints, metrics, rendering
from training.data.records import part_codes
from training.evaluation import mesh_views
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)

_NEAREST_M = 0.1
_HIPS = list(joints.select(metrics.MID_HIP, of=joints.KEYPOINTS))


class Measure:
    """Mean IoU of the silhouettes of predicted mesh and true person."""

    RANKED = "not shared (1 - IoU)", "%"

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        self._context = context
        self._faces = context.body.data.faces
        self._hips = context.body.data.regressor(metrics.MID_HIP)
        self._iou: list[tuple[int, float]] = []
        self._sources: dict[str, int] = {}
        self._num_examples = 0

    def add(self, batch, predictions: Predictions) -> None:
        """Adds a batch.

        Raises:
            ValueError: the predictions lack vertices or cameras, or stored
                parts are damaged.
        """
        if predictions.vertices is None or predictions.camera is None:
            raise ValueError(
                "A silhouette is drawn from the predicted mesh: give the "
                "predictions' vertices and camera."
            )
        for row in range(len(batch["stored_box"])):
            source, true = self._truth(batch, row)
            self._sources[source] = self._sources.get(source, 0) + 1
            if true is not None:
                mask = mesh_views.silhouette(
                    (predictions.vertices[row], self._faces),
                    predictions.camera[row],
                    batch["stored_box"][row],
                    true.shape[::-1],
                )
                iou = float(metrics.silhouette_iou(mask, true))
                self._iou.append((self._num_examples + row, iou))
        self._num_examples += len(batch["stored_box"])

    def _truth(self, batch, row: int) -> tuple[str, np.ndarray | None]:
        if batch["parts_png"][row]:
            codes = part_codes.decode(batch["parts_png"][row])
            return "drawn", part_codes.silhouette(codes)
        mesh = self._context.labelled(batch)
        focal, centre = np.split(batch["stored_intrinsics"][row], 2)
        if not (mesh.is_labelled[row] and (focal > 0).all()):
            return "none", None
        translation = self._translation(batch, row, mesh.vertices[row])
        if translation is None:
            return "none", None
        vertices = mesh.vertices[row] + translation
        vertices[:, 1] *= focal[1] / focal[0]  # A view has square pixels.
        width, height = int(batch["width"][row]), int(batch["height"][row])
        view = rendering.View(width, height, float(focal[0]), tuple(centre))
        return "labelled body", rendering.silhouette(
            vertices, self._faces, view
        )

    def _translation(self, batch, row: int, vertices) -> np.ndarray | None:
        """Translation of the labelled body: stored, or estimated by its hips.

        None where it is unknown.
        """
        if batch["translation"][row].any():
            return batch["translation"][row]
        hips = batch["joints3d"][row, _HIPS]
        if not (hips[:, 3] > 0).all():
            return None
        translation = (hips[:, :3] - self._hips @ vertices).mean(axis=0)
        # Root-relative joints do not locate the body in the camera's frame.
        nearest = float((vertices[:, 2] + translation[2]).min())
        return translation if nearest > _NEAREST_M else None

    def summary(self) -> dict[str, float]:
        """The mean IoU, a fraction.

        Raises:
            ValueError: no example has a true silhouette.
        """
        if not self._iou:
            raise ValueError(
                "No record has parts, or a labelled body with its camera: "
                "there are no true silhouettes."
            )
        return {"silhouette_iou": float(np.mean([iou for _, iou in self._iou]))}

    def details(self) -> dict:
        """Number of true silhouettes by their source."""
        return {"silhouettes": dict(self._sources)}

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the images, and 1 - IoU in per cent."""
        index, iou = zip(*self._iou, strict=True)
        return np.array(index), 100 * (1 - np.array(iou))
