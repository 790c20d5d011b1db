"""Figures of sensitivity maps: heat maps over crops, with their scales."""

from collections.abc import Sequence

import cv2
import numpy as np

from training import visualization

SIDE = 224
_PEOPLE = 8
_INK, _HEAT = 0.45, 0.55  # Shares of the crop and of the heat.


def heat(
    image: np.ndarray, increases: np.ndarray, brightest: float
) -> np.ndarray:
    """A map drawn over a crop.

    Args:
        image: (S, S, 3) RGB 0..255.
        increases: (P, P) millimetres, of squares evenly spread over the crop.
        brightest: millimetres of the brightest colour; 0 and less is dark.

    Returns:
        (SIDE, SIDE, 3) uint8 RGB.
    """
    levels = np.clip(
        increases / brightest if brightest > 0 else 0 * increases, 0, 1
    )
    levels = cv2.resize(
        levels.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR
    )
    levels = np.rint(255 * levels).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    crop = cv2.resize(
        image.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
    mixed = _INK * crop.mean(axis=2, keepdims=True) + _HEAT * colours
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def joint_sheet(
    images: np.ndarray, increases: np.ndarray, names: Sequence[str], title: str
) -> np.ndarray:
    """The mean map of all joints and one map per joint, over the mean crop.

    Args:
        images: (N, S, S, 3) RGB 0..255.
        increases: (N, P, P, J) millimetres.
        names: (J,) names of the joints.
        title: first line of the sheet.

    Returns:
        The sheet. Each map has its own scale, in its caption.
    """
    image, mean = images.mean(axis=0), increases.mean(axis=0)
    maps = [("all joints", mean.mean(axis=-1))]
    maps += [(name, mean[..., j]) for j, name in enumerate(names)]
    rows = [
        (
            f"{name}: at most {values.max():.0f}",
            heat(image, values, values.max()),
        )
        for name, values in maps
    ]
    return visualization.sheet(rows, f"{title}; {len(images)} crops", columns=5)


def people_sheet(images: np.ndarray, increases: np.ndarray) -> np.ndarray:
    """The first few crops, each next to its map of all joints."""
    rows = []
    for image, values in zip(images[:_PEOPLE], increases, strict=False):
        mean = values.mean(axis=-1)
        crop = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        crop = np.clip(np.rint(crop), 0, 255).astype(np.uint8)
        panel = visualization.side_by_side(
            [crop, heat(image, mean, mean.max())]
        )
        rows.append((f"all joints: at most {mean.max():.0f} mm", panel))
    return visualization.sheet(rows, columns=min(2, len(rows)))
