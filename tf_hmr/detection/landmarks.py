"""BlazePose's landmarks of the person in a turned square.

The network (pose_landmark_full of MediaPipe, Apache-2.0) sees 256 x 256 pixels
and answers 39 points: the 33 of joints.BLAZEPOSE33, and others that describe
the circle in which it wants to see the person: the one of a video's next frame,
and as well of a second look at the same photo.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from tf_hmr import joints, landmark_files
from tf_hmr.detection import litert, probability, squares

MIN_PRESENCE = 0.5
"""Below this probability the square holds no person (MediaPipe's value)."""

LOOKS = 2
"""Looks at a person: each from the square that the one before asks for."""

# A second look that knows less of a person was led astray.
_LOSS_OF_PRESENCE = 0.1

_POINTS = 39  # Points 33 and 34: middle and rim of the circle.
_MIDDLE, _RIM = len(joints.BLAZEPOSE33), len(joints.BLAZEPOSE33) + 1
_COLUMNS = 5  # x, y, z in pixels; logits of being visible and of being inside


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """A person as BlazePose sees it in one square of a photo.

    Attributes:
        points: (33, 7) float32 in the order joints.BLAZEPOSE33: x, y in pixels
            of the photo, the centre of its first pixel being (0, 0); x, y, z in
            metres about the middle of the hips, x right, y down, z forward;
            probabilities of being visible and of being inside the photo.
        presence: probability that the square holds a person.
        square: where the network looked.
        next_square: where it would look for this person.
        mask: (256, 256) float32, probability of each pixel of the square to be
            the person's.
    """

    points: np.ndarray
    presence: float
    square: squares.Square
    next_square: squares.Square
    mask: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """(33, 2) x, y in pixels of the photo."""
        return self.points[:, :2]

    @property
    def metres(self) -> np.ndarray:
        """(33, 3) x, y, z about the middle of the hips."""
        return self.points[:, 2:5]

    @property
    def visible(self) -> np.ndarray:
        """(33,) probability of being inside the photo and not hidden."""
        return self.points[:, 5]

    @property
    def inside(self) -> np.ndarray:
        """(33,) probability of being inside the photo."""
        return self.points[:, 6]


class LandmarkNetwork:
    """The network; a call takes about 20 ms on one thread."""

    def __init__(self, threads: int = 1, folder: Path | None = None):
        """Loads it; arguments and errors are those of litert.Network."""
        self._network = litert.Network(
            landmark_files.LANDMARKS, threads, folder
        )

    def look(
        self, image: np.ndarray | squares.Pyramid, square: squares.Square
    ) -> Landmarks:
        """The landmarks of one square.

        Args:
            image: (H, W, 3) uint8 RGB; its pyramid where many squares of it
                are looked at.
            square: around the person; the network sees the nearest square of
                `Square.rounded`.
        """
        if not isinstance(image, squares.Pyramid):
            image = squares.Pyramid(image)
        square = square.rounded()
        size = self._network.size
        crop = np.float32(image.crop(square, size)) / 255
        outputs = self._network(crop)
        rows = outputs[(_POINTS * _COLUMNS,)].reshape(_POINTS, _COLUMNS)
        to_photo = square.to_photo(size)
        edges = rows[:, :2] @ to_photo[:, :2].T + to_photo[:, 2]
        metres = outputs[(_POINTS * 3,)].reshape(_POINTS, 3)
        points = np.column_stack(
            [
                edges - 0.5,
                metres @ _turn(square.angle).T,
                # Not of the file: its own function would overflow.
                probability.expit(rows[:, 3:]),
            ]
        )
        (presence,) = outputs[(1,)]
        return Landmarks(
            np.float32(points[: len(joints.BLAZEPOSE33)]),
            float(presence),
            square,
            squares.of_circle(edges[_MIDDLE], edges[_RIM]),
            probability.expit(outputs[(size, size, 1)][..., 0]),
        )

    def look_twice(
        self, image: np.ndarray | squares.Pyramid, square: squares.Square
    ) -> Landmarks:
        """The landmarks of the square that a first look asks for.

        The first look stays where it saw nobody, or where the second is less
        sure of a person. Arguments are those of `look`.
        """
        if not isinstance(image, squares.Pyramid):
            image = squares.Pyramid(image)
        answer = self.look(image, square)
        for _ in range(LOOKS - 1):
            if answer.presence < MIN_PRESENCE or not _is_square(answer):
                break
            closer = self.look(image, answer.next_square)
            if closer.presence >= answer.presence - _LOSS_OF_PRESENCE:
                answer = closer
        return answer


def _is_square(answer: Landmarks) -> bool:
    """Whether the next square can be looked at: a network may answer any."""
    square = answer.next_square
    return all(map(math.isfinite, square)) and square.side >= 1


def _turn(angle: float) -> np.ndarray:
    """(3, 3) from axes of a square to those of the photo."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
