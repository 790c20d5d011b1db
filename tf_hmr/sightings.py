"""People who are seen in photos: found, or looked for in boxes that are known.

Google's networks find them and their landmarks (tf_hmr/detection). Nothing here
imports TensorFlow, so that a first photo is looked at while that is imported.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_hmr import boxes as box_files
from tf_hmr.detection import finder, landmarks, merging, squares, tracking

MAX_PEOPLE = box_files.MAX_PEOPLE

_MAX_THREADS = 4  # More do not make networks of this size faster.


class Sighting(NamedTuple):
    """People that were seen in a photo, before they have bodies.

    Attributes:
        people: landmarks by the number of the person, the largest first.
        omissions: one line for each reason to leave somebody out.
    """

    people: dict[int, landmarks.Landmarks]
    omissions: list[str]


class Seeker:
    """Finds the people of photos, and no more than some of each."""

    def __init__(
        self, max_people: int = MAX_PEOPLE, crowds: bool | None = None
    ):
        """Loads the networks.

        Args:
            max_people: of more people in a photo the largest are chosen.
            crowds: as of finder.Finder.

        Raises:
            FileNotFoundError, ValueError: a network is missing or altered, or
                max_people is not positive; the message says what to do.
        """
        if max_people < 1:
            raise ValueError(
                f"At most {max_people} people of a photo were asked for, "
                "expected 1 or more."
            )
        self._max_people = max_people
        threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self._finder = finder.Finder(threads, crowds)

    def __call__(self, image: np.ndarray) -> Sighting:
        """Finds everybody in a photo.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        people = sorted(self._finder(image), key=merging.size, reverse=True)
        omissions = []
        if len(people) > self._max_people:
            omissions.append(
                f"{len(people)} people were found; the "
                f"{self._max_people} largest are taken and "
                f"{len(people) - self._max_people} left out (--max-people)."
            )
        return Sighting(dict(enumerate(people[: self._max_people])), omissions)

    def tracker(self) -> tracking.Tracker:
        """What follows the people of one video, from its first frame on."""
        return tracking.Tracker(self._finder, self._max_people)

    def look(
        self, image: np.ndarray, boxes: Mapping[int, Sequence[float]]
    ) -> Sighting:
        """Looks for people in boxes that are known.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: x, y, w, h by the number of the person.
        """
        photo, people, omissions = squares.Pyramid(image), {}, []
        for number, box in boxes.items():
            answer = self._finder.network.look_twice(photo, squares.of_box(box))
            if answer.presence >= landmarks.MIN_PRESENCE:
                people[number] = answer
                continue
            omissions.append(
                f"person {number}: there seems to be nobody in the box "
                f"({', '.join(f'{length:g}' for length in box)})."
            )
        return Sighting(people, omissions)
