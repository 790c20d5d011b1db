"""Figures of predictions: numpy in, numpy out.

Images and figures are (H, W, 3) uint8 RGB. Drawing libraries are imported in
the functions, so that a run that draws nothing does not load them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_hmr import joints, rendering
from tf_hmr.formats import atomic

if TYPE_CHECKING:  # For names of types, TensorFlow is not imported.
    from tf_hmr import method

PERCENTILES = (15, 30, 60, 90, 95)
"""Error percentiles of HMR's Figure 3 (Kanazawa et al. 2018)."""

FOCAL_PX = 5000.0
"""Long enough that perspective looks like weak perspective."""

_WHITE, _INK = 255, (40, 40, 40)
_CAPTION_PX = 22
_GAP_PX = 4


def overlay(
    image: np.ndarray,
    prediction: "method.Prediction",
    faces: np.ndarray,
    truth: np.ndarray | None = None,
    size: int = 224,
) -> np.ndarray:
    """Draws three panels: the input, the mesh over it, the mesh from its side.

    Args:
        image: (S, S, 3) the crop, RGB 0..255, uint8 or float.
        prediction: the prediction for it, without a batch axis, as numpy, with
            vertices.
        faces: (F, 3) triangles of the vertices.
        truth: (K, 3) true keypoints in joints.KEYPOINTS order: x, y in
            [-1, 1] of the crop, visibility. Drawn on the input.
        size: side of each panel in pixels.

    Returns:
        (size, 3 * size + gaps, 3) figure.
    """
    import cv2

    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    shrink = cv2.INTER_AREA if len(pixels) > size else cv2.INTER_LINEAR
    pixels = cv2.resize(pixels, (size, size), interpolation=shrink)
    vertices = rendering.apply_weak_camera(
        prediction.vertices, prediction.camera, size, FOCAL_PX
    )
    view = rendering.View.of_crop(size, FOCAL_PX)
    mesh_panel = rendering.shade(vertices, faces, view, background=pixels)
    side_panel = rendering.side_view(prediction.vertices, faces, size)
    input_panel = pixels if truth is None else draw_truth(pixels, truth)
    return side_by_side([input_panel, mesh_panel, side_panel])


def example(
    batch: Mapping[str, np.ndarray],
    predictions: "method.Prediction",
    row: int,
    faces: np.ndarray,
) -> np.ndarray:
    """Draws the `overlay` of one example of an evaluation batch.

    Args:
        batch: a batch of batches.eval_dataset, as numpy; its keypoints are
            drawn on the input.
        predictions: predictions for it, as numpy, with vertices.
        row: row of the example in the batch.
        faces: (F, 3) triangles of the vertices.
    """
    prediction = predictions._replace(
        vertices=predictions.vertices[row], camera=predictions.camera[row]
    )
    return overlay(
        batch["image"][row], prediction, faces, batch["keypoints"][row]
    )


def draw_truth(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draws the visible ones of (K, 3) true keypoints, x, y in [-1, 1]."""
    size = np.array([image.shape[1], image.shape[0]])
    visible = truth[:, 2] > 0
    pixels = (truth[:, :2] + 1) / 2 * size - 0.5
    # Points that are not finite are not drawn.
    pixels = np.where(visible[:, None], pixels, np.nan)
    return rendering.skeleton(image, pixels, joints.KEYPOINTS)


def side_by_side(images: Sequence[np.ndarray]) -> np.ndarray:
    """Joins images of equal height side by side, with white gaps."""
    gap = np.full((len(images[0]), _GAP_PX, 3), _WHITE, np.uint8)
    parts = [part for image in images for part in (gap, image)][1:]
    return np.concatenate(parts, axis=1)


def caption(text: str, width: int) -> np.ndarray:
    """Draws one line of text, shrunk to fit, on a white strip of `width`."""
    import cv2

    strip = np.full((_CAPTION_PX, width, 3), _WHITE, np.uint8)
    font, thickness, scale = cv2.FONT_HERSHEY_SIMPLEX, 1, 0.5
    text_width = cv2.getTextSize(text, font, scale, thickness)[0][0] + 8
    scale *= min(1.0, width / text_width)
    corner = (4, _CAPTION_PX - 7)
    cv2.putText(strip, text, corner, font, scale, _INK, thickness, cv2.LINE_AA)
    return strip


def sheet(
    rows: Sequence[tuple[str, np.ndarray]], title: str = "", columns: int = 1
) -> np.ndarray:
    """Arranges captioned images on one white sheet.

    Args:
        rows: (caption, image) in reading order; sizes may differ.
        title: first line of the sheet, if any.
        columns: images per line.

    Returns:
        The sheet.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("A sheet needs at least one (caption, picture).")
    height = max(image.shape[0] for _, image in rows)
    width = max(image.shape[1] for _, image in rows)
    cells = []
    for text, image in rows:
        cell = np.full((height, width, 3), _WHITE, np.uint8)
        cell[: image.shape[0], : image.shape[1]] = image
        cells.append(np.concatenate([caption(text, width), cell]))
    blank = np.full_like(cells[0], _WHITE)
    cells += [blank] * (math.ceil(len(cells) / columns) * columns - len(cells))
    lines = [
        side_by_side(cells[start : start + columns])
        for start in range(0, len(cells), columns)
    ]
    if title:
        lines.insert(0, caption(title, lines[0].shape[1]))
    return np.concatenate(lines)


def percentile_rows(
    errors: np.ndarray, percentiles: Sequence[float] = PERCENTILES
) -> dict[float, int]:
    """Finds the example at each percentile of the errors.

    Args:
        errors: (N,) one error per example; NaN if it has none.
        percentiles: 0..100.

    Returns:
        Percentile -> row of `errors`: the smallest error that at least so
        many percent of the errors do not exceed.

    Raises:
        ValueError: no error is finite.
    """
    rows = np.flatnonzero(np.isfinite(errors))
    if not len(rows):
        raise ValueError("No example has a finite error; nothing to rank.")
    ranked = rows[np.argsort(errors[rows], kind="stable")]
    last = len(ranked) - 1
    ranks = {p: math.ceil(p / 100 * len(ranked)) - 1 for p in percentiles}
    return {p: int(ranked[min(max(i, 0), last)]) for p, i in ranks.items()}


def percentile_sheet(
    errors: np.ndarray,
    draw: Callable[[int], np.ndarray],
    percentiles: Sequence[float] = PERCENTILES,
    metric: str = "MPJPE",
    unit: str = "mm",
) -> np.ndarray:
    """Draws examples from good to bad, after HMR's Figure 3.

    Args:
        errors: (N,) one error per example.
        draw: draws an example, given its row in `errors`, for instance with
            `overlay`; called once per percentile.
        percentiles: percentiles of the examples to show.
        metric: name of the errors, for the captions.
        unit: unit of the errors.

    Returns:
        The sheet.
    """
    rows = [
        (f"{p:g}th percentile: {metric} {errors[row]:.1f} {unit}", draw(row))
        for p, row in percentile_rows(errors, percentiles).items()
    ]
    count = int(np.isfinite(errors).sum())
    return sheet(rows, f"{metric} over {count} examples; high is worse")


def curve(
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    baselines: Mapping[str, float],
    path: str | Path,
    xlabel: str = "training time (minutes)",
    ylabel: str = "error (mm)",
) -> Path:
    """Writes a learning curve as a PNG.

    Args:
        points: name -> (x values, y values) of each line.
        baselines: name -> y of a dashed line across the plot. A baseline with
            the name of a line has the colour of the line.
        path: file to write; its folder is created.
        xlabel: label of x.
        ylabel: label of y, with its unit.

    Returns:
        The path.
    """
    # Figure, not pyplot: no display is touched and no global state is left.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    colours = {}
    for name, (x, y) in points.items():
        (line,) = axes.plot(x, y, marker="o", markersize=3, label=name)
        colours[name] = line.get_color()
    for name, y in baselines.items():
        colour = colours.get(name, "0.5")
        axes.axhline(y, linestyle="--", linewidth=1, color=colour)
        axes.annotate(
            f"{name} baseline {y:.0f}",
            (0.01, y),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="bottom",
            fontsize=8,
            color=colour,
        )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as part:
        figure.savefig(part)
    return path
