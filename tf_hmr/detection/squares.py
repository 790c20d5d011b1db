"""Turned squares of a photo: what BlazePose's networks look at.

MediaPipe describes a person by a circle about the middle of the hips: the
networks see the square around it, turned so that the point on its rim, which
lies beyond the head, is straight above the middle (google-ai-edge/mediapipe:
mediapipe/modules/pose_landmark/pose_detection_to_roi.pbtxt).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

ROOM = 1.25
"""Side of a square over the diameter of its circle (same source)."""

# Of `Square.rounded`: quarter turns stay quarter turns.
_STEPS_A_PIXEL = 4
_STEPS_A_TURN = 2048

# A circle about the middle of a standing person's box that holds the person.
_ROOM_OF_BOX = 1.25

# Above this shrinkage bilinear interpolation would skip pixels.
_SHARP = 1.25


class Square(NamedTuple):
    """A turned square in pixel edges: the photo's corner is (0, 0).

    Attributes:
        x: of its centre.
        y: of its centre.
        side: pixels.
        angle: radians, clockwise as seen; 0 is upright.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def rounded(self) -> "Square":
        """The nearest square of a grid: quarter pixels, 2048ths of a turn.

        A video's next square follows from a network's answer, whose last
        digits depend on the processor. Almost all such answers have one and
        the same rounded square, so that their difference does not grow from
        frame to frame. Halves are rounded up.
        """
        x, y, side = (
            math.floor(_STEPS_A_PIXEL * number + 0.5) / _STEPS_A_PIXEL
            for number in self[:3]
        )
        turn = math.floor(self.angle / math.tau * _STEPS_A_TURN + 0.5)
        return Square(
            x,
            y,
            max(side, 1 / _STEPS_A_PIXEL),
            turn * math.tau / _STEPS_A_TURN,
        )

    def to_photo(self, size: int) -> np.ndarray:
        """(2, 3) from edges of the square's image of `size` to the photo's."""
        scale = self.side / size
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        linear = scale * np.array([[cos, -sin], [sin, cos]])
        offset = np.array([self.x, self.y]) - linear @ [size / 2, size / 2]
        return np.column_stack([linear, offset])


def of_circle(middle: Sequence[float], rim: Sequence[float]) -> Square:
    """The square around a circle, turned so that `rim` is above `middle`.

    Args:
        middle: x, y in pixel edges.
        rim: x, y of a point of the circle.
    """
    dx, dy = float(rim[0] - middle[0]), float(rim[1] - middle[1])
    return Square(
        float(middle[0]),
        float(middle[1]),
        2 * ROOM * math.hypot(dx, dy),
        math.atan2(dx, -dy),
    )


def of_box(box: Sequence[float]) -> Square:
    """The upright square around a person's box.

    Args:
        box: x, y, w, h in pixel edges.
    """
    x, y, w, h = (float(number) for number in box)
    return Square(x + w / 2, y + h / 2, _ROOM_OF_BOX * math.hypot(w, h))


def inverse(affine: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of an affine map (2, 3)."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


class Pyramid:
    """A photo and its halves: squares of any size are cut from it quickly."""

    def __init__(self, image: np.ndarray):
        """Makes the pyramid; halves are made when a square needs them.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        self._levels = [image]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo."""
        return self._levels[0].shape[1::-1]

    def crop(self, square: Square, size: int) -> np.ndarray:
        """Cuts a square out, antialiased; black outside the photo.

        Args:
            square: in the photo's pixels.
            size: of the result.

        Returns:
            (size, size, 3) uint8.
        """
        image = self._level(math.floor(math.log2(max(square.side / size, 1))))
        # Sides of odd length end within a pixel: the factor is not 2 ** level.
        factors = np.array(image.shape[1::-1]) / self.size
        shrinkage = square.side / size * factors.max()
        blocks = 1 if shrinkage <= _SHARP else math.ceil(shrinkage)
        fine_size = size * blocks
        to_photo = square.to_photo(fine_size)
        # From edges to the centres of pixels that OpenCV counts by.
        to_photo[:, 2] += to_photo[:, :2] @ [0.5, 0.5]
        to_level = to_photo * factors[:, None]
        to_level[:, 2] -= 0.5
        crop = cv2.warpAffine(
            image,
            to_level,
            (fine_size, fine_size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        if blocks == 1:
            return crop
        return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)

    def _level(self, level: int) -> np.ndarray:
        while len(self._levels) <= level:
            image = self._levels[-1]
            width, height = (max(1, n // 2) for n in image.shape[1::-1])
            self._levels.append(
                cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            )
        return self._levels[level]
