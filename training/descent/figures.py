"""Figures of a descent: bodies over their pictures, falls, and BFGS."""

from pathlib import Path

import cv2
import numpy as np

from tf_hmr import rendering
from tf_hmr.formats import atomic, image_writing
from tf_hmr.geometry import camera
from training import visualization
from training.descent import measures
from training.descent import search as searches

SIDE = 224
"""Pixels of a panel."""
_PANELS = {
    "loss": "alignment loss L_u",
    "detected_px": "off detected keypoints (px of 224)",
    "iou": "IoU of silhouettes",
    "mpjpe_mm": "MPJPE (mm)",
}
_TIMES = 60  # Points of a line of losses over time.


def write_stages(
    path: Path, model, people: measures.People, states: np.ndarray
) -> None:
    """Draws the body of each stage over its picture (HUND, Figure 6).

    Args:
        path: of the PNG.
        model: whose states they are.
        people: N of them.
        states: (M + 1, N, n).
    """
    rows = []
    for row in range(states.shape[1]):
        person = people.take(slice(row, row + 1))
        intrinsics = person.inputs["intrinsics"]
        picture = _picture(person.inputs["image"][0])
        panels = [
            visualization.draw_truth(picture, person.labels["keypoints"][0])
        ]
        for state in states[:, row : row + 1]:
            vertices = _vertices(model, state, intrinsics)
            panels.append(
                rendering.shade(
                    vertices,
                    model.body.data.faces,
                    _view(intrinsics[0]),
                    background=picture,
                )
            )
        panels.append(
            rendering.side_view(vertices, model.body.data.faces, SIDE)
        )
        rows.append(visualization.side_by_side(panels))
    names = ["picture and labels", *_stage_names(len(states)), "from the side"]
    head = visualization.side_by_side(
        [visualization.caption(name, SIDE) for name in names]
    )
    image_writing.write(path, np.concatenate([head, *rows]))


def write_curves(
    path: Path, errors: measures.Errors, constant: measures.Errors
) -> None:
    """Draws means over people by stage; dashed, those of the mean pose."""
    figure = _figure((8, 6))
    grid = figure.subplots(2, 2)
    for axes, (name, label) in zip(grid.flat, _PANELS.items(), strict=True):
        values = measures.mean_of(getattr(errors, name))
        axes.plot(values, marker="o", markersize=4)
        level = measures.mean_of(getattr(constant, name))
        if np.isfinite(level):
            axes.axhline(level, linestyle="--", linewidth=1, color="0.5")
        axes.set(xlabel="stage", ylabel=label, xticks=range(len(values)))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    _save(figure, path)


def write_search(path: Path, comparison: searches.Search) -> None:
    """Draws the mean loss over time, HUND's and BFGS's (HUND, Figure 3)."""
    figure = _figure((7, 5))
    axes = figure.add_subplot(
        xlabel="milliseconds of one core, from the crop's code on",
        ylabel="loss",
        xscale="log",
        yscale="log",
    )
    offsets = 1e3 * start_seconds(comparison)
    stages = measures.mean_of(comparison.before.loss)[1:]
    for name, traces, offset in zip(
        comparison.starts, comparison.traces, offsets, strict=True
    ):
        times, losses = mean_trace(traces)
        axes.plot(
            offset + 1e3 * times,
            losses,
            linewidth=2 if name == "mean pose" else 1,
            label=f"BFGS from {name}",
        )
    axes.plot(
        np.maximum(offsets[1:], offsets[-1] / (10 * len(stages))),
        stages,
        "k-o",
        markersize=4,
        label="HUND, by stage",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    _save(figure, path)


def start_seconds(comparison: searches.Search) -> np.ndarray:
    """When each start is there, in seconds: all stages take as long."""
    last = len(comparison.starts) - 2
    shares = np.arange(last + 1) / max(last, 1)
    return np.concatenate([[0.0], comparison.stages_s * shares])


def mean_trace(
    traces: list[searches.Trace],
) -> tuple[np.ndarray, np.ndarray]:
    """Means over people of the least loss so far: times (k,), losses (k,)."""
    first = min(trace.seconds[0] for trace in traces)
    last = max(trace.seconds[-1] for trace in traces)
    times = np.geomspace(max(first, 1e-6), max(last, 2e-6), _TIMES)
    losses = [
        trace.losses[
            np.maximum(np.searchsorted(trace.seconds, times, "right") - 1, 0)
        ]
        for trace in traces
    ]
    return times, np.mean(losses, axis=0)


def _stage_names(count: int) -> list[str]:
    return [f"stage {number}" for number in range(count)]


def _picture(image: np.ndarray) -> np.ndarray:
    """A crop (S, S, 3) RGB 0..255 at the size of a panel."""
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    shrink = cv2.INTER_AREA if len(pixels) > SIDE else cv2.INTER_LINEAR
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=shrink)


def _vertices(model, state, intrinsics) -> np.ndarray:
    """(V, 3) of a state (1, n) before the crop's camera."""
    estimate = model.decode(np.float32(state))
    vertices = model.body(estimate.rotmats, estimate.betas).vertices
    translation = camera.crop_translation(estimate.camera, intrinsics)
    return (vertices + translation[:, None])[0].numpy()


def _view(intrinsics: np.ndarray) -> rendering.View:
    """The camera (4,) of a crop, [-1, 1], in pixels of a panel."""
    focal, _, *centre = intrinsics * SIDE / 2
    middle = (SIDE - 1) / 2
    return rendering.View(
        SIDE, SIDE, float(focal), (centre[0] + middle, centre[1] + middle)
    )


def _figure(size: tuple[float, float]):
    # Figure, not pyplot: no display is touched and no global state is left.
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=120, layout="constrained")


def _save(figure, path: Path) -> None:
    with atomic.replacing(path) as part:
        figure.savefig(part)
