"""Renders a predicted mesh into the full image, not only into its crop."""

from collections.abc import Sequence

import numpy as np

from tf_hmr import rendering

SPIN_SIDE, FOCAL_PX = 224, 5000.0
"""The crop that SPIN renders, and its focal length: constants.py."""


def label_image(
    mesh: tuple[np.ndarray, np.ndarray],
    camera: np.ndarray,
    vertex_labels: np.ndarray,
    box: Sequence[float],
    size: tuple[int, int],
) -> np.ndarray:
    """Draws the part labels of a mesh in the full image, as SPIN does.

    They are rendered in a crop of 224 px, whatever the method's crop, and
    pasted into the image by nearest neighbour (nkolot/SPIN: eval.py,
    utils/part_utils.py, utils/imutils.py uncrop). SPIN rounds the box to whole
    pixels; here it is not rounded.

    Args:
        mesh: vertices (V, 3), metres, camera frame; and faces (F, 3).
        camera: (3,) weak perspective s, tx, ty of the crop.
        vertex_labels: (V,) integers 0..254.
        box: x, y, w, h of the crop in the image, pixel edges, square.
        size: (W, H) of the image.

    Returns:
        (H, W) uint8: 0 for background, label + 1 on the mesh. All background
        where the camera is invalid (s <= 0).
    """
    width, height = size
    if not camera[0] > 0:
        return np.zeros((height, width), np.uint8)
    vertices = rendering.apply_weak_camera(mesh[0], camera, SPIN_SIDE, FOCAL_PX)
    view = rendering.View.of_crop(SPIN_SIDE, FOCAL_PX)
    labels = rendering.part_labels(vertices, mesh[1], vertex_labels, view)
    return uncrop(labels, box, size)


def uncrop(
    labels: np.ndarray, box: Sequence[float], size: tuple[int, int]
) -> np.ndarray:
    """Pastes a square label image back to where it was cropped from.

    Args:
        labels: (S, S) integers.
        box: x, y, w, h of the crop in the image, pixel edges, square.
        size: (W, H) of the image.

    Returns:
        (H, W) of the type of `labels`, nearest neighbour; 0 outside the box.
    """
    columns, rows = (
        np.floor((np.arange(count) + 0.5 - start) * len(labels) / box[2])
        for count, start in zip(size, box, strict=False)
    )
    padded = np.pad(labels, 1)  # Pixels outside the crop read the border.
    columns, rows = (
        np.clip(indices, -1, len(labels)).astype(int) + 1
        for indices in (columns, rows)
    )
    return padded[rows[:, np.newaxis], columns]


def silhouette(
    mesh: tuple[np.ndarray, np.ndarray],
    camera: np.ndarray,
    box: Sequence[float],
    size: tuple[int, int],
) -> np.ndarray:
    """(H, W) bool: the mesh, rendered at the resolution of the full image.

    Parts outside the crop are drawn, too. Arguments are those of `label_image`.
    """
    width, height = size
    if not camera[0] > 0:
        return np.zeros((height, width), bool)
    x, y, side = (float(number) for number in box[:3])
    focal_px = FOCAL_PX * side / SPIN_SIDE
    vertices = rendering.apply_weak_camera(mesh[0], camera, side, focal_px)
    centre = x + side / 2 - 0.5, y + side / 2 - 0.5
    view = rendering.View(width, height, focal_px, centre)
    return rendering.silhouette(vertices, mesh[1], view)
