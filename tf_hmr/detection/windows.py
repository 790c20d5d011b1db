"""Windows of a photo: upright squares that a detector looks at.

BlazePose's detector sees a person best who fills a good part of its picture.
The window of the whole photo is the smallest square around it; smaller windows
overlap by half, so that whoever fits into one lies whole in another.
"""

import math

from tf_hmr.detection import squares

OVERLAP = 0.5
"""Share of a window that the next one shows too, at least."""


def full(size: tuple[int, int]) -> squares.Square:
    """The smallest window around a photo.

    Args:
        size: its width and height in pixels.
    """
    width, height = size
    return squares.Square(width / 2, height / 2, float(max(size)))


def cover(size: tuple[int, int], side: float) -> list[squares.Square]:
    """Windows that cover a photo.

    Args:
        size: its width and height in pixels.
        side: of a window in pixels.
    """
    columns, rows = (_middles(length, side) for length in size)
    return [squares.Square(x, y, side) for y in rows for x in columns]


def _middles(length: int, side: float) -> list[float]:
    """Middles of evenly spread intervals that cover `length`."""
    if side >= length:
        return [length / 2]
    step = side * (1 - OVERLAP)
    steps = math.ceil((length - side) / step - 1e-6)
    return [
        side / 2 + (length - side) * number / steps
        for number in range(steps + 1)
    ]
