"""Reads photos and looks for people in them, ahead of those who want bodies.

Nothing here imports TensorFlow: the first photo is looked at meanwhile.
"""

from __future__ import annotations

import collections
import logging
import pathlib
from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tf_hmr import boxes as box_files
from tf_hmr import sightings
from tf_hmr.formats import image_files
from tf_hmr.geometry import crop

if TYPE_CHECKING:
    from tf_hmr.__main__ import Args, Failures

AHEAD = 2
"""Photos that are looked at while earlier people get their bodies."""

_log = logging.getLogger("tf_hmr")


class Photo(NamedTuple):
    """A photo and the people that were seen in it.

    Attributes:
        path: of the photo.
        image: (H, W, 3) uint8 RGB.
        boxes: x, y, w, h by the number of the person, as given; None: people
            were looked for.
        sighting: their landmarks; None: only the boxes count.
    """

    path: pathlib.Path
    image: np.ndarray
    boxes: dict[int, box_files.Box] | None
    sighting: sightings.Sighting | None


class Reader:
    """Photos and the people who are seen in them, by a thread of its own."""

    def __init__(
        self,
        args: Args,
        box_file: box_files.BoxFile | None,
        failures: Failures,
    ):
        """Takes the boxes of the command line; nobody is looked for yet."""
        self._args, self._box_file = args, box_file
        self._failures = failures
        self._seek = None
        self._thread = futures.ThreadPoolExecutor(1)
        self._begun: dict[pathlib.Path, futures.Future] = {}

    def look_for_people(self) -> None:
        """Has landmarks looked for, in boxes or all over the photos.

        Raises:
            FileNotFoundError, ValueError: as of sightings.Seeker.
        """
        self._seek = sightings.Seeker(self._args.max_people)

    def begin(self, path: pathlib.Path) -> None:
        """Begins with a photo of a later call of `photos`."""
        self._begun[path] = self._thread.submit(self._read, path)

    def photos(self, paths: Iterable[pathlib.Path]) -> Iterator[Photo]:
        """Yields photos in order, once; what fails is left out, and named."""
        running = collections.deque()
        try:
            for path in paths:
                if path not in self._begun:
                    self.begin(path)
                running.append(self._begun.pop(path))
                if len(running) > AHEAD:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def _read(self, path: pathlib.Path) -> list[Photo]:
        """The photo and its people; empty where something fails."""
        with self._failures.caught():
            image = image_files.read_photo(path)
            boxes = self._boxes(path, image)
            with self._failures.caught(f"{path}: "):
                return [self._look(path, image, boxes)]
        return []

    def _boxes(self, path, image) -> dict[int, box_files.Box] | None:
        """The boxes of a photo; a bad one is left out. None: there are none."""
        boxes = [self._args.box] if self._args.box else None
        if self._box_file:
            boxes = self._box_file.of(path, image.shape[1::-1])
            if not boxes:
                _log.warning("%s: the boxes name no person in it.", path)
        if boxes is None:
            return None
        valid_boxes = {}
        for number, box in enumerate(boxes):
            with self._failures.caught(f"{path}: person {number}: "):
                crop.check_box(box, (image.shape[1], image.shape[0]))
                valid_boxes[number] = box
        return valid_boxes

    def _look(self, path, image, boxes) -> Photo:
        """Landmarks of the people in boxes, or of everybody."""
        if self._seek is None:
            return Photo(path, image, boxes, None)
        if boxes is None:
            sighting = self._seek(image)
            if not sighting.people:
                _log.warning("%s: nobody was found in it.", path)
        else:
            sighting = self._seek.look(image, boxes)
        for line in sighting.omissions:
            _log.warning("%s: %s", path, line)
        return Photo(path, image, boxes, sighting)
