"""Pictures of a result: examples by percentile of the error, and the worst."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from training import visualization
from training.evaluation import evaluator
from training.evaluation.protocol import Predictions

WORST = 6


def examples(
    stream: Iterable[tuple[evaluator.Batch, Predictions]], faces: np.ndarray
) -> Iterator[np.ndarray]:
    """The overlay of each example; none where no mesh is predicted."""
    for batch, found in stream:
        if found.vertices is None or found.camera is None:
            return
        for row in range(len(batch["image"])):
            yield visualization.example(batch, found, row, faces)


def draw(
    results: Path,
    errors: np.ndarray,
    show: Callable[[list[int]], dict[int, np.ndarray]],
    ranked: tuple[str, str] = ("MPJPE", "mm"),
) -> str:
    """Writes the pictures beside a results file.

    Args:
        results: the file; its pictures are named after it.
        errors: (N,), high is worse.
        show: pictures of rows of the errors, by row; {} where there is
            nothing to draw.
        ranked: what the errors are, and their unit.

    Returns:
        Name of the picture by percentile; "" where there is none.
    """
    standing = visualization.percentile_rows(errors)
    worst = np.argsort(errors, kind="stable")[::-1][:WORST].tolist()
    shown = show(sorted({*standing.values(), *worst}))
    if not shown:
        return ""
    metric, unit = ranked
    by_percentile = visualization.percentile_sheet(
        errors, shown.__getitem__, metric=metric, unit=unit
    )
    last = [(f"{metric} {errors[row]:.1f} {unit}", shown[row]) for row in worst]
    results.parent.mkdir(parents=True, exist_ok=True)
    for name, sheet in (
        (f"{results.stem}.png", by_percentile),
        (
            f"{results.stem}_worst.png",
            visualization.sheet(last, f"The worst of {len(errors)}", columns=2),
        ),
    ):
        cv2.imwrite(str(results.with_name(name)), sheet[..., ::-1])
    return f"{results.stem}.png"
