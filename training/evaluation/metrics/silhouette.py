"""Intersection over union of silhouettes, the mean over whole pictures.

Madadi et al. 2019 (SMPLR), 4.3 and Table 4: "body silhouette after mesh
projection to the image plane". The true side is the silhouette that records
hold, or, where they hold none, the labelled body seen by its camera.
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
    """Mean IoU of the predicted mesh in the picture with the true person."""

    RANKED = "not shared (1 - IoU)", "%"

    def __init__(self, protocol: Protocol, given: EvaluationContext):
        self._given = given
        self._faces = given.body.data.faces
        self._hips = given.body.data.regressor(metrics.MID_HIP)
        self._iou: list[tuple[int, float]] = []
        self._sources: dict[str, int] = {}
        self._seen = 0

    def add(self, batch, found: Predictions) -> None:
        """Counts a batch.

        Raises:
            ValueError: the predictions lack vertices or cameras, or stored
                parts are damaged.
        """
        if found.vertices is None or found.camera is None:
            raise ValueError(
                "A silhouette is drawn from the predicted mesh: give the "
                "predictions' vertices and camera."
            )
        for row in range(len(batch["stored_box"])):
            source, true = self._truth(batch, row)
            self._sources[source] = self._sources.get(source, 0) + 1
            if true is not None:
                mask = mesh_views.silhouette(
                    (found.vertices[row], self._faces),
                    found.camera[row],
                    batch["stored_box"][row],
                    true.shape[::-1],
                )
                iou = float(metrics.silhouette_iou(mask, true))
                self._iou.append((self._seen + row, iou))
        self._seen += len(batch["stored_box"])

    def _truth(self, batch, row: int) -> tuple[str, np.ndarray | None]:
        if batch["parts_png"][row]:
            codes = part_codes.decode(batch["parts_png"][row])
            return "drawn", part_codes.silhouette(codes)
        labelled = self._given.labelled(batch)
        focal, centre = np.split(batch["stored_intrinsics"][row], 2)
        if not (labelled.has[row] and (focal > 0).all()):
            return "none", None
        place = self._place(batch, row, labelled.vertices[row])
        if place is None:
            return "none", None
        placed = labelled.vertices[row] + place
        placed[:, 1] *= focal[1] / focal[0]  # A view has square pixels.
        width, height = int(batch["width"][row]), int(batch["height"][row])
        view = rendering.View(width, height, float(focal[0]), tuple(centre))
        return "labelled body", rendering.silhouette(placed, self._faces, view)

    def _place(self, batch, row: int, vertices) -> np.ndarray | None:
        """Where the labelled body is: as stored, or by its hips."""
        if batch["translation"][row].any():
            return batch["translation"][row]
        hips = batch["joints3d"][row, _HIPS]
        if not (hips[:, 3] > 0).all():
            return None
        place = (hips[:, :3] - self._hips @ vertices).mean(axis=0)
        # Joints about their own root say nothing of the camera.
        nearest = float((vertices[:, 2] + place[2]).min())
        return place if nearest > _NEAREST_M else None

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
        """How many true silhouettes come from where."""
        return {"silhouettes": dict(self._sources)}

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the pictures, and 1 - IoU of each in per cent."""
        index, iou = zip(*self._iou, strict=True)
        return np.array(index), 100 * (1 - np.array(iou))
