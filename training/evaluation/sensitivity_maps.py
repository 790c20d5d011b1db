"""Pictures of sensitivity maps: heat over crops, with its scale."""

from collections.abc import Sequence

import cv2
import numpy as np

from training import visualization

SIDE = 224
_PEOPLE = 8
_INK, _HEAT = 0.45, 0.55  # Shares of the crop and of the heat.


def heat(image: np.ndarray, grown: np.ndarray, most: float) -> np.ndarray:
    """A map over a crop.

    Args:
        image: (S, S, 3) RGB 0..255.
        grown: (P, P) millimetres, of squares evenly spread over the crop.
        most: the millimetres that are drawn brightest; 0 and below is dark.

    Returns:
        (SIDE, SIDE, 3) uint8 RGB.
    """
    levels = np.clip(grown / most if most > 0 else 0 * grown, 0, 1)
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


def of_joints(
    images: np.ndarray, grown: np.ndarray, names: Sequence[str], title: str
) -> np.ndarray:
    """The mean map of all joints and of each, over the mean crop.

    Args:
        images: (N, S, S, 3) RGB 0..255.
        grown: (N, P, P, J) millimetres.
        names: (J,) of the joints.
        title: first line.

    Returns:
        The sheet. Each map has its own scale, in its caption.
    """
    image, mean = images.mean(axis=0), grown.mean(axis=0)
    every = [("all joints", mean.mean(axis=-1))]
    every += [(name, mean[..., j]) for j, name in enumerate(names)]
    rows = [
        (
            f"{name}: at most {values.max():.0f}",
            heat(image, values, values.max()),
        )
        for name, values in every
    ]
    return visualization.sheet(rows, f"{title}; {len(images)} crops", columns=5)


def of_people(images: np.ndarray, grown: np.ndarray) -> np.ndarray:
    """The first few crops, each beside its own map of all joints."""
    rows = []
    for image, values in zip(images[:_PEOPLE], grown, strict=False):
        mean = values.mean(axis=-1)
        crop = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        crop = np.clip(np.rint(crop), 0, 255).astype(np.uint8)
        picture = visualization.beside([crop, heat(image, mean, mean.max())])
        rows.append((f"all joints: at most {mean.max():.0f} mm", picture))
    return visualization.sheet(rows, columns=min(2, len(rows)))
