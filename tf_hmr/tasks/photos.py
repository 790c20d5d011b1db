"""Recovers the people of photos: the work of python -m tf_hmr."""

from __future__ import annotations

import itertools
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import TYPE_CHECKING

import numpy as np
import tqdm
from tqdm.contrib import logging as tqdm_logging

from tf_hmr import (
    group_files,
    inference,
    joints,
    landmark_fitting,
    method,
    person_files,
    progress,
    recovery,
    rendering,
)
from tf_hmr.tasks import photo_reading

if TYPE_CHECKING:
    from tf_hmr.__main__ import Args, Failures

# Photos are read ahead until this many people are found, who are then fitted
# together; or until they have this many pixels.
_CHUNK_PEOPLE = 2 * recovery.BATCH_SIZE
_CHUNK_PX = 200_000_000
_THREADS = min(4, os.cpu_count() or 1)

_log = logging.getLogger("tf_hmr")


def _chunks(
    photos: Iterable[photo_reading.Photo],
) -> Iterator[list[photo_reading.Photo]]:
    """Photos whose people are recovered together."""
    chunk, people, pixels = [], 0, 0
    for photo in photos:
        chunk.append(photo)
        people += len(photo.sighting.people) if photo.sighting else 1
        pixels += photo.image.shape[0] * photo.image.shape[1]
        if people >= _CHUNK_PEOPLE or pixels >= _CHUNK_PX:
            yield chunk
            chunk, people, pixels = [], 0, 0
    if chunk:
        yield chunk


class Run:
    """What one call of the command has: networks, photos and names."""

    def __init__(
        self,
        args: Args,
        reader: photo_reading.Reader,
        names: dict[pathlib.Path, str],
        failures: Failures,
    ):
        """Loads what the options need.

        Raises:
            OSError, ValueError: something is missing or wrong.
        """
        self._args, self._reader, self._names = args, reader, names
        self._failures = failures
        self._model = self._recover = None
        if args.weights:
            self._model = method.load(args.weights, args.body, jit=False)
            reads_landmarks = "landmarks" in self._model.input_names
            if reads_landmarks or not (args.box or args.boxes):
                reader.look_for_people()
        else:
            self._recover = recovery.Recoverer(args.method, args.body)

    def recover(self, paths: list[pathlib.Path]) -> None:
        """Recovers everybody in the photos, and writes their files."""
        bar = progress.bar(
            paths, "photos", unit="photo", disable=len(paths) < 2
        )
        with tqdm_logging.logging_redirect_tqdm():
            for chunk in _chunks(self._reader.photos(bar)):
                self.write(chunk)

    def write(self, photos: list[photo_reading.Photo]) -> None:
        """Recovers the people of photos and writes their files."""
        if self._recover is None:
            for photo in photos:
                with self._failures.caught(f"{photo.path}: "):
                    self._write(photo, self._predict(photo), {})
            return
        results = [None] * len(photos)
        with self._failures.caught():
            results = self._recover(
                [photo.sighting for photo in photos],
                [photo.image.shape[1::-1] for photo in photos],
                self._args.focal_px,
            )
        for photo, result in zip(photos, results, strict=True):
            if result is None:
                continue
            for line in result.omissions:
                _log.warning("%s: %s", photo.path, line)
            people = {n: fit.person for n, fit in result.people.items()}
            facts = {
                number: {
                    "reprojection_px_at_224": fit.error,
                    "landmarks": _landmark_entry(photo, number),
                }
                for number, fit in result.people.items()
            }
            self._write(photo, people, facts)

    def _predict(
        self, photo: photo_reading.Photo
    ) -> dict[int, inference.Person]:
        """The people of a photo as the network of --weights sees them."""
        boxes, points = photo.boxes, None
        if photo.sighting:
            people = photo.sighting.people
            points = [answer.points for answer in people.values()]
            if boxes is None:
                boxes = {n: recovery.box_of(a) for n, a in people.items()}
            else:
                boxes = {number: boxes[number] for number in people}
        people = inference.recover(
            self._model,
            photo.image,
            list(boxes.values()),
            self._args.batch_size,
            self._args.focal_px,
            points,
        )
        return dict(zip(boxes, people, strict=True))

    def _write(
        self, photo: photo_reading.Photo, people, facts: dict[int, dict]
    ) -> None:
        """Writes the files of each person, and those of all together."""
        stem = self._args.out / self._names[photo.path]
        data = (self._model.body if self._model else self._recover).data
        photo_facts = {
            "photo": photo.path.name,
            "method": self._model.name if self._model else self._args.method,
            "weights": str(self._args.weights or landmark_fitting.LIFTER.name),
            "body": data.name,
            "licence": data.licence,
        }

        def write(number: int) -> bool:
            own_facts = {"person": number, **facts.get(number, {})}
            with self._failures.caught(f"{photo.path}: person {number}: "):
                person_files.write(
                    stem.with_name(f"{stem.name}_{number}"),
                    photo.image,
                    people[number],
                    photo_facts | own_facts,
                    _landmark_figure(photo, number) if facts else None,
                )
                return True
            return False

        # It is drawing and compressing pictures, which threads do at once.
        with futures.ThreadPoolExecutor(_THREADS) as threads:
            is_written = list(threads.map(write, people))
        written_people = list(itertools.compress(people.values(), is_written))
        if written_people:
            with self._failures.caught(f"{photo.path}: "):
                group_files.write(stem, photo.image, written_people)
                count = len(written_people)
                people = "1 person" if count == 1 else f"{count} people"
                tqdm.tqdm.write(f"{people} of {photo.path}: {stem}_people.png")


def _landmark_entry(
    photo: photo_reading.Photo, number: int
) -> dict[str, list[float]]:
    """The json's entry: x, y in pixels, and visible, of each landmark."""
    answer = photo.sighting.people[number]
    rows = np.column_stack([answer.pixels, answer.visible]).tolist()
    return dict(zip(joints.BLAZEPOSE33, rows, strict=True))


def _landmark_figure(photo: photo_reading.Photo, number: int) -> np.ndarray:
    """The photo with the landmarks that the body was fitted to."""
    points = landmark_fitting.keypoints(photo.sighting.people[number].points)
    pixels = np.where(points[:, 2:] > 0, points[:, :2], np.nan)
    return rendering.skeleton(photo.image, pixels, joints.KEYPOINTS)
