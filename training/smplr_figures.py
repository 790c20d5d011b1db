"""Figures of SMPLR: maps, points and bodies."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.formats import image_writing
from tf_hmr.methods import _smplr_maps, _smplr_regressor
from tf_hmr.networks import volumetric_hourglass
from training import visualization

SIDE = 192
"""Pixels of a panel."""
SHOWN = 6
"""People in a figure."""
_SPAN_M = 2.2  # Side of a panel of points.
_TRUE, _BEFORE, _AFTER = (150, 150, 150), (220, 60, 40), (30, 90, 220)
_COLOURS = {
    "right_arm": (230, 60, 50),
    "left_arm": (250, 170, 30),
    "right_leg": (40, 120, 240),
    "left_leg": (40, 190, 120),
}
_TRUNK = (170, 90, 200)


def limb_of(name: str) -> str:
    """The limb of a point of joints.SMPLR41; "" for the trunk."""
    parents = joints.SMPL24_PARENTS | joints.LANDMARKS18_PARENTS
    while name != "pelvis":
        for limb, members in volumetric_hourglass.LIMBS.items():
            if name in members:
                return limb
        name = parents[name]
    return ""


def marginals(logits: np.ndarray, bins: int) -> list[np.ndarray]:
    """Probabilities of the points' maps, summed along an axis of the volume.

    Args:
        logits: (H, W, bins * maps) of one person; maps of limbs come last.
        bins: voxels in depth.

    Returns:
        From the front (H, W, P), from the side (H, bins, P) and from above
        (bins, W, P), each map's largest value 1.
    """
    limbs = len(volumetric_hourglass.LIMBS)
    height, width, channels = logits.shape
    volume = logits.reshape(height, width, bins, channels // bins)
    volume = np.float64(volume[..., :-limbs])
    volume = np.exp(volume - volume.max(axis=(0, 1, 2)))
    views = [
        volume.sum(axis=2),
        volume.sum(axis=1),
        volume.sum(axis=0).transpose(1, 0, 2),
    ]
    return [view / view.max(axis=(0, 1)) for view in views]


def coloured(view: np.ndarray, side: int = SIDE) -> np.ndarray:
    """(h, w, 41) of `marginals` -> (side, side, 3), a colour for each limb."""
    import cv2

    canvas = np.zeros((side, side, 3))
    names = joints.SMPLR41[: view.shape[2]]
    for name, values in zip(names, np.moveaxis(view, 2, 0), strict=True):
        colour = np.array(_COLOURS.get(limb_of(name), _TRUNK), float)
        large = cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR)
        canvas = np.maximum(canvas, large[..., None] * colour)
    return np.uint8(np.clip(canvas, 0, 255))


def write_maps(path: Path, model, people) -> None:
    """Writes crops beside their maps from the front, the side and above."""
    chosen = people.take(slice(0, SHOWN))
    images = model.encoder.inputs({"image": tf.constant(chosen.image)})
    logits = np.float32(model.encoder(images).logits[-1])
    rows = []
    for image, one in zip(chosen.image, logits, strict=True):
        front, side, above = (
            coloured(view) for view in marginals(one, model.config.bins)
        )
        picture = _resized(image)
        over = np.uint8(0.45 * picture + 0.55 * front)
        panels = [picture, over, side, above]
        rows.append(("crop; front; side; above", _beside(panels)))
    _write(path, rows, columns=2)


def write_points(path: Path, true, before, after) -> None:
    """Writes points before and after the denoiser, from the front and side.

    The worst after it come last. True points are gray, those before red, those
    after blue.

    Args:
        path: file to write.
        true: (N, 41, 3) metres about the pelvis.
        before: likewise.
        after: likewise.
    """
    errors = np.linalg.norm(after - true, axis=2).mean(axis=1)
    rows = []
    for number in _from_typical_to_worst(errors):
        panels = []
        for axes in ((0, 1), (2, 1)):
            panel = np.full((SIDE, SIDE, 3), 255, np.uint8)
            for points, colour in (
                (true, _TRUE),
                (before, _BEFORE),
                (after, _AFTER),
            ):
                _draw_tree(panel, points[number][:, axes], colour)
            panels.append(panel)
        mm = [
            1000 * np.linalg.norm(p[number] - true[number], axis=1).mean()
            for p in (before, after)
        ]
        rows.append((f"{mm[0]:.0f} mm, denoised {mm[1]:.0f}", _beside(panels)))
    _write(path, rows, columns=3)


def write_bodies(path: Path, model, people) -> None:
    """Writes bodies over their crops, before and after Procrustes.

    The worst come last.
    """
    faces = model.body.data.faces
    errors = np.linalg.norm(people.places - people.true_places, axis=2)
    rows = []
    for number in _from_typical_to_worst(errors.mean(axis=1)):
        one = people.take(slice(number, number + 1))
        relative = one.places - model.encoder.root(one.places)
        maps = _smplr_maps.Maps(
            [], one.places, one.scale, 2.0 * relative / one.scale
        )
        estimate = model.estimate(maps)
        maps = model.target(maps, estimate)
        rotmats = _smplr_regressor.rotations_of(estimate)
        panels = []
        for procrustes in (False, True):
            posed = model.posed(maps, rotmats, estimate.betas, procrustes)
            posed = posed._replace(
                vertices=posed.vertices[0].numpy(),
                camera=posed.camera[0].numpy(),
            )
            figure = visualization.overlay(
                one.image[0], posed, faces, size=SIDE
            )
            # The crop is the same in both.
            panels.append(figure if not procrustes else figure[:, SIDE:])
        rows.append(("crop; body, side; on the points, side", _beside(panels)))
    _write(path, rows, columns=1)


def _from_typical_to_worst(errors: np.ndarray) -> list[int]:
    """Rows of SHOWN people: from the median on, the worst last."""
    ranked = np.argsort(errors, kind="stable")
    places = np.linspace(len(ranked) // 2, len(ranked) - 1, SHOWN)
    return [int(ranked[int(place)]) for place in places]


def _draw_tree(panel: np.ndarray, points: np.ndarray, colour) -> None:
    """Draws the bones of (P, 2) metres about the pelvis."""
    import cv2

    rows = np.concatenate([np.zeros((1, 2)), points])
    pixels = np.rint((rows / _SPAN_M + 0.5) * SIDE).astype(int)
    parents = joints.smplr41_parents()[: len(points)]
    for child, parent in enumerate(parents, start=1):
        ends = (tuple(map(int, pixels[row])) for row in (parent, child))
        cv2.line(panel, *ends, colour, 1, cv2.LINE_AA)


def _resized(image: np.ndarray) -> np.ndarray:
    import cv2

    pixels = np.uint8(np.clip(np.rint(image), 0, 255))
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _beside(panels) -> np.ndarray:
    return visualization.side_by_side(panels)


def _write(path: Path, rows, columns: int) -> None:
    sheet = visualization.sheet(rows, columns=columns)
    image_writing.write(path, sheet)
