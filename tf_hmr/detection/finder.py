"""Finds everybody in a photo, and their landmarks."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tf_hmr import landmark_files
from tf_hmr.detection import detectors, landmarks, merging, squares, windows

WINDOWS = (
    # Side of the windows over the longer side of the photo; people from whom
    # on there may be more, and the size below which others may be too small.
    (0.6, 2, 0.7),
    (0.4, 3, 0.35),
)
"""When to look closer, in windows of which size."""

# A square that differs so little from one already seen shows the same person.
_SAME_PLACE, _SAME_SIDE = 0.1, 1.25


class Finder:
    """Looks for people: detectors, then landmarks of what they find."""

    def __init__(
        self,
        threads: int = 1,
        crowds: bool | None = None,
        folder: Path | None = None,
    ):
        """Loads the networks.

        Args:
            threads: of the processor that a network uses.
            crowds: also use the detector of persons; by default where its
                file is.
            folder: of the networks' files; None: the cache.

        Raises:
            FileNotFoundError, ValueError: a network is missing or altered; the
                message says what to type.
        """
        if crowds is None:
            crowds = landmark_files.is_valid(landmark_files.PERSONS, folder)
        self.network = landmarks.LandmarkNetwork(threads, folder)
        kinds = [detectors.PeopleDetector, detectors.FaceDetector]
        if crowds:
            kinds.append(detectors.PersonDetector)
        self._detectors = [kind(threads, folder) for kind in kinds]

    def __call__(
        self,
        image: np.ndarray | squares.Pyramid,
        known: Sequence[landmarks.Landmarks] = (),
    ) -> list[landmarks.Landmarks]:
        """Finds people, the surest first.

        Args:
            image: (H, W, 3) uint8 RGB, or its pyramid.
            known: answers about this image; their squares are not looked at
                again.

        Returns:
            One answer for each person, of `known` or new; none of them of a
            quality below merging.MIN_QUALITY.
        """
        photo = image
        if not isinstance(photo, squares.Pyramid):
            photo = squares.Pyramid(image)
        longer = max(photo.size)
        answers = list(known)
        answers += self._look(photo, [windows.full(photo.size)], answers)
        people = merging.select(answers)
        for share, crowd, small in WINDOWS:
            if people and len(people) < crowd:
                smallest = min(map(merging.size, people))
                if smallest > small * longer:
                    break
            closer = windows.cover(photo.size, share * longer)
            answers += self._look(photo, closer, answers)
            people = merging.select(answers)
        return people

    def _look(
        self,
        photo: squares.Pyramid,
        views: list[squares.Square],
        answers: Iterable[landmarks.Landmarks],
    ) -> list[landmarks.Landmarks]:
        """Answers about squares that detectors see in windows of the photo.

        Args:
            photo: the photo.
            views: the windows.
            answers: squares like those of these are not looked at again.
        """
        looked = [
            square
            for answer in answers
            for square in (answer.square, answer.next_square)
        ]
        fresh = []
        for detector in self._detectors:
            for candidate in detector(photo, views):
                square = candidate.square
                if not is_possible(square, photo.size) or any(
                    _is_alike(square, looked_square) for looked_square in looked
                ):
                    continue
                answer = self.network.look_twice(photo, square)
                looked += [square, answer.square, answer.next_square]
                fresh.append(answer)
        return fresh


def is_possible(square: squares.Square, size: tuple[int, int]) -> bool:
    """Whether a square shows some of the photo, and is no speck."""
    return (
        all(map(math.isfinite, square))
        and 8 <= square.side <= 8 * max(size)
        and -square.side < square.x < size[0] + square.side
        and -square.side < square.y < size[1] + square.side
    )


def _is_alike(square: squares.Square, reference: squares.Square) -> bool:
    """Whether two squares show the same."""
    distance = math.hypot(square.x - reference.x, square.y - reference.y)
    turn = math.remainder(square.angle - reference.angle, 2 * math.pi)
    return (
        distance < _SAME_PLACE * reference.side
        and 1 / _SAME_SIDE < square.side / reference.side < _SAME_SIDE
        and abs(turn) < _SAME_PLACE * math.pi
    )
