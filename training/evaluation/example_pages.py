"""Figures of a result: examples by percentile of the error, and the worst."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from tf_hmr.formats import image_writing
from training import visualization
from training.evaluation import evaluator
from training.evaluation.protocol import Predictions

WORST = 6


def examples(
    stream: Iterable[tuple[evaluator.Batch, Predictions]], faces: np.ndarray
) -> Iterator[np.ndarray]:
    """The overlay of each example; nothing where no mesh is predicted."""
    for batch, predictions in stream:
        if predictions.vertices is None or predictions.camera is None:
            return
        for row in range(len(batch["image"])):
            yield visualization.example(batch, predictions, row, faces)


def draw(
    results: Path,
    errors: np.ndarray,
    draw_rows: Callable[[list[int]], dict[int, np.ndarray]],
    ranked: tuple[str, str] = ("MPJPE", "mm"),
) -> str:
    """Writes the figures into the folder of a results file.

    Args:
        results: the file; its figures are named after it.
        errors: (N,), high is worse.
        draw_rows: draws examples, given rows of `errors`; returns the
            drawings by row, {} where there is nothing to draw.
        ranked: name and unit of the errors.

    Returns:
        File name of the figure by percentile; "" where nothing is drawn.
    """
    rows_by_percentile = visualization.percentile_rows(errors)
    worst = np.argsort(errors, kind="stable")[::-1][:WORST].tolist()
    overlays = draw_rows(sorted({*rows_by_percentile.values(), *worst}))
    if not overlays:
        return ""
    metric, unit = ranked
    by_percentile = visualization.percentile_sheet(
        errors, overlays.__getitem__, metric=metric, unit=unit
    )
    captioned = [
        (f"{metric} {errors[row]:.1f} {unit}", overlays[row]) for row in worst
    ]
    results.parent.mkdir(parents=True, exist_ok=True)
    for name, sheet in (
        (f"{results.stem}.png", by_percentile),
        (
            f"{results.stem}_worst.png",
            visualization.sheet(
                captioned, f"The worst of {len(errors)}", columns=2
            ),
        ),
    ):
        image_writing.write(results.with_name(name), sheet)
    return f"{results.stem}.png"
