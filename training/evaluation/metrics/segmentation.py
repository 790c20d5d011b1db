"""Annotated silhouettes and parts against the predicted mesh, pixels pooled.

Counts are pooled over the whole set and cover full images (nkolot/SPIN:
eval.py): accuracy over all pixels, F1 as the mean over the classes,
background included. Pixels to ignore are background in the accuracy and left
out of the F1 of the parts.
"""

import numpy as np

from tf_hmr import metrics
from training.data.records import part_codes
from training.evaluation import mesh_views
from training.evaluation.protocol import (
    EvaluationContext,
    Predictions,
    Protocol,
)


class Measure:
    """Foreground and parts of records with manually annotated parts.

    Args:
        protocol: option "part_set" names the division of the body.
        context: holds the predicted body.
    """

    RANKED = "wrong foreground", "% of the picture"

    def __init__(self, protocol: Protocol, context: EvaluationContext):
        self._part_set = protocol.options["part_set"]
        self._faces = context.body.data.faces
        self._labels, names = context.body.data.parts(self._part_set)
        self._masks = metrics.SegmentationCounts(2)
        self._parts = metrics.SegmentationCounts(len(names) + 1)
        self._wrong_percent: list[tuple[int, float]] = []
        self._num_examples = 0

    def add(self, batch, predictions: Predictions) -> None:
        """Adds a batch.

        Raises:
            ValueError: the predictions lack vertices or cameras, or stored
                parts are damaged.
        """
        if predictions.vertices is None or predictions.camera is None:
            raise ValueError(
                "Silhouettes and parts are drawn from the predicted mesh: "
                "give the predictions' vertices and camera."
            )
        has_parts = batch["part_set"] == self._part_set.encode()
        for row in np.flatnonzero(has_parts & (batch["parts_png"] != b"")):
            codes = part_codes.decode(batch["parts_png"][row])
            labels = mesh_views.label_image(
                (predictions.vertices[row], self._faces),
                predictions.camera[row],
                self._labels,
                batch["stored_box"][row],
                codes.shape[::-1],
            )
            self.count(labels, codes)
            wrong = (labels > 0) != part_codes.silhouette(codes)
            self._wrong_percent.append(
                (self._num_examples + row, 100 * wrong.mean())
            )
        self._num_examples += len(has_parts)

    def count(self, labels: np.ndarray, codes: np.ndarray) -> None:
        """Adds one image's predicted labels and annotated codes."""
        self._masks.add(labels > 0, part_codes.silhouette(codes))
        self._parts.add(labels, part_codes.parts(codes), part_codes.IGNORE)

    def summary(self) -> dict[str, float]:
        """Accuracies in per cent, F1 as fractions.

        Raises:
            ValueError: no record has annotated parts.
        """
        if not self._masks.counts.any():
            raise ValueError(
                f"No record has drawn parts ({self._part_set}): prepare them "
                "with `python -m training.prepare lsp --split test --parts "
                "upi-s1h/data/lsp ...`."
            )
        return {
            "fg_accuracy": 100 * self._masks.accuracy,
            "fg_f1": self._masks.mean_f1,
            "parts_accuracy": 100 * self._parts.accuracy,
            "parts_f1": self._parts.mean_f1,
        }

    def details(self) -> dict:
        """Numbers of images with and without annotated parts."""
        count = len(self._wrong_percent)
        return {"segmented": count, "not_segmented": self._num_examples - count}

    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the images and their wrong foreground pixels, per cent."""
        index, wrong = zip(*self._wrong_percent, strict=True)
        return np.array(index), np.array(wrong)
