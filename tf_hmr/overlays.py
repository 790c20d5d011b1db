"""Draws recovered people over their photo."""

from collections.abc import Sequence

import cv2
import numpy as np

from tf_hmr import inference, rendering

LARGE_PX = 2_000_000
"""Parts of this many pixels or more are drawn without supersampling."""

PALETTE = (
    (0.65, 0.74, 0.86),
    (0.96, 0.68, 0.45),
    (0.60, 0.81, 0.58),
    (0.90, 0.62, 0.70),
    (0.78, 0.68, 0.88),
    (0.95, 0.86, 0.48),
    (0.52, 0.80, 0.80),
    (0.82, 0.72, 0.62),
)
"""RGB in 0..1 of people in one picture; the ninth looks like the first."""


def colour(number: int) -> tuple[float, float, float]:
    """RGB in 0..1 of person `number` of a photo."""
    return PALETTE[number % len(PALETTE)]


def draw(
    image: np.ndarray,
    people: Sequence[inference.Person],
    numbers: Sequence[int] | None = None,
) -> np.ndarray:
    """Draws people of one photo over it, near ones over far ones.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: in one camera, which is that of the first.
        numbers: of the people, whose `colour` is theirs; None: their row.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    overlay = image.copy()
    if not people:
        return overlay
    width, height = people[0].image_size
    view = rendering.View(
        width, height, people[0].focal_px, people[0].principal_point
    )
    vertices = np.concatenate([person.camera_vertices for person in people])
    counts = [len(person.vertices) for person in people]
    starts = np.cumsum([0, *counts[:-1]])
    faces = np.concatenate(
        [
            person.faces + start
            for person, start in zip(people, starts, strict=True)
        ]
    )
    palette = [colour(n) for n in numbers or range(len(people))]
    colours = np.repeat(palette, counts, axis=0)
    # Only the part that the meshes cover is drawn: a photo of a phone has
    # fifty million samples, of which a person seldom needs a tenth.
    pixels = view.project(vertices)
    low = np.floor(np.clip(pixels.min(axis=0) - 2, 0, (width - 1, height - 1)))
    high = np.ceil(np.clip(pixels.max(axis=0) + 3, low + 1, (width, height)))
    (left, top), (right, bottom) = low.astype(int), high.astype(int)
    part = view.window(left, top, right - left, bottom - top)
    overlay[top:bottom, left:right] = rendering.shade(
        vertices,
        faces,
        part,
        background=image[top:bottom, left:right],
        vertex_colours=colours,
        supersample=2 if part.width * part.height < LARGE_PX else 1,
    )
    return overlay


def label(
    image: np.ndarray,
    people: Sequence[inference.Person],
    numbers: Sequence[int],
) -> None:
    """Writes each person's number above the head, in the person's colour.

    Args:
        image: (H, W, 3) uint8 RGB, to be written on.
        people: in one camera.
        numbers: of the people.
    """
    scale = max(0.6, min(image.shape[:2]) / 600)
    for number, person in zip(numbers, people, strict=True):
        top = person.keypoints_px[np.argmin(person.keypoints_px[:, 1])]
        x, y = np.clip(top - (6 * scale, 18 * scale), -1e4, 1e4)
        corner = (round(float(x)), max(round(22 * scale), round(float(y))))
        bright = tuple(round(255 * value) for value in colour(number))
        # A dark rim, so that the number is read on any background.
        for rgb, width in (((0, 0, 0), 5), (bright, 2)):
            cv2.putText(
                image,
                str(number),
                corner,
                cv2.FONT_HERSHEY_SIMPLEX,
                scale,
                rgb,
                max(1, round(width * scale)),
                cv2.LINE_AA,
            )
