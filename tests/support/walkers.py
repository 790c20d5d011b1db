"""Rendered videos of people who walk across, cross, leave and come back."""

import functools
from pathlib import Path

import cv2
import numpy as np

from edge import film

SIZE = (640, 360)
FPS = 12.5


def crossing(seconds: float, walker: int) -> tuple[float, np.ndarray]:
    """Routes of film.Route: two who cross, and a third who is away for a while.

    Walker 0 goes right, walker 1 left behind it; they cover each other after
    1.6 s. Walker 2 leaves to the left after 1.9 s and comes back from there
    after 4.8 s.
    """
    if walker < 2:
        sign = 1 if walker == 0 else -1
        x = sign * film.SPEED_M_S * (seconds - 1.6)
        return sign * np.pi / 2, np.array([x, 0, 5.0 + walker])
    leaves = seconds < 3.5
    x = -1.5 - film.SPEED_M_S * ((seconds - 0.4) if leaves else 6.6 - seconds)
    return (-1 if leaves else 1) * np.pi / 2, np.array([x, 0, 6.2])


def scene(frames: int, people: int, seed: int = 0) -> film.Walk:
    """A scene of `crossing`; its `frame(number)` is an image and its people."""
    args = film.Args(
        None, frames=frames, fps=FPS, size=SIZE, people=people, seed=seed
    )
    return film.Walk(args, crossing)


@functools.cache
def frames(
    count: int, people: int
) -> list[tuple[np.ndarray, list[film.Person]]]:
    """The first frames of a scene."""
    walk = scene(count, people)
    return [walk.frame(number) for number in range(count)]


def write(path: Path, images: list[np.ndarray], fps: float = FPS) -> Path:
    """Writes RGB images as a video."""
    size = images[0].shape[1::-1]
    codec = "mp4v" if path.suffix == ".mp4" else "MJPG"
    code = cv2.VideoWriter_fourcc(*codec)
    video = cv2.VideoWriter(str(path), code, fps, size)
    for image in images:
        video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    video.release()
    return path
