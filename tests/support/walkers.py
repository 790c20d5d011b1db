"""Rendered videos of people who walk across, cross, leave and come back."""

import numpy as np

from edge import film

SIZE = (640, 360)
FPS = 12.5


def crossing(seconds: float, walker: int) -> tuple[float, np.ndarray]:
    """Routes of film.Route: two who cross, and a third who is away for a while.

    Walker 0 goes right, walker 1 left behind it; they cover each other after
    1.6 s. Walker 2 comes from the left behind them, turns at 1.8 s, is outside
    the picture from about 2.6 to 4.4 s, and comes back.
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
