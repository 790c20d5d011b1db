"""Follows the people of videos: the work of python -m tf_hmr on them.

Lifted bodies are smoothed and written frame by frame. Fits over time need what
comes after a frame, too: the people are followed to the end first, then fitted
and drawn window by window. What is in memory does not grow with the video.
"""

from __future__ import annotations

import contextlib
import logging
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tqdm
from tqdm.contrib import logging as tqdm_logging

from tf_hmr import (
    keypoint_fitting,
    progress,
    recovery,
    sightings,
    smoothing,
    video_files,
)
from tf_hmr.formats import video_reading
from tf_hmr.tasks import video_fits

if TYPE_CHECKING:
    from tf_hmr.__main__ import Args, Failures

_log = logging.getLogger("tf_hmr")


class _Frame(NamedTuple):
    """A frame whose people have bodies.

    Attributes:
        seconds: its time in the video.
        image: (H, W, 3) uint8 RGB.
        people: by number.
        ms: milliseconds by stage.
    """

    seconds: float
    image: np.ndarray
    people: Mapping[int, keypoint_fitting.FittedPerson]
    ms: dict[str, float]


class Run:
    """Networks, and names of the results, of one call of the command."""

    def __init__(self, args: Args, names, failures: Failures):
        """Loads what the options need.

        Raises:
            OSError, ValueError: something is missing or wrong.
        """
        self._args, self._names, self._failures = args, names, failures
        self._seek = sightings.Seeker(args.max_people)
        if args.method == "lift":
            self._recover = recovery.Recoverer("lift", args.body)
        else:
            self._fits = video_fits.Fits(args.body, args.smoothness)

    def recover(self, videos: list[pathlib.Path]) -> None:
        """Recovers everybody in the videos, and writes their files."""
        for path in videos:
            with (
                tqdm_logging.logging_redirect_tqdm(),
                self._failures.caught(),
            ):
                self._write(path)

    def _write(self, path: pathlib.Path) -> None:
        reader = video_reading.Reader(path)
        stem = self._args.out / self._names[path]
        bodies = self._lifted if self._args.method == "lift" else self._fitted
        numbers: set[int] = set()
        before: set[int] = set()
        count = 0
        with video_files.Writer(stem, reader.fps, reader.size) as writer:
            try:
                with contextlib.closing(bodies(path, reader)) as frames:
                    for count, frame in enumerate(frames, 1):
                        states = {
                            number: "tracked" if number in before else "start"
                            for number in frame.people
                        }
                        ended = before - set(frame.people)
                        states |= dict.fromkeys(sorted(ended), "lost")
                        writer.write(
                            count - 1,
                            frame.seconds,
                            frame.image,
                            frame.people,
                            states,
                            frame.ms,
                        )
                        before = set(frame.people)
                        numbers |= before
                if not numbers:
                    _log.warning("%s: nobody was found in it.", path)
            finally:
                people = (
                    "1 person"
                    if len(numbers) == 1
                    else f"{len(numbers)} people"
                )
                tqdm.tqdm.write(
                    f"{people} in {count} frames of {path}: "
                    f"{writer.overlay_path}"
                )

    def _focal_px(self, size: tuple[int, int]) -> float:
        return self._args.focal_px or recovery.FOCAL_OVER_SIDE * max(size)

    def _lifted(self, path, reader) -> Iterator[_Frame]:
        """Frames with lifted bodies, as they come."""
        track = self._seek.tracker()
        smoothers: dict[int, smoothing.PersonSmoother] = {}
        bar = progress.bar(
            reader, path.name, unit="frame", total=reader.expected_count
        )
        with bar:
            for seconds, image in bar:
                times = [time.perf_counter()]
                answers = track(image, seconds)
                times.append(time.perf_counter())
                (recovered,) = self._recover(
                    [sightings.Sighting(answers, [])],
                    [reader.size],
                    self._args.focal_px,
                )
                # Who was away starts anew.
                smoothers = {
                    n: smoothers.get(n) or smoothing.PersonSmoother()
                    for n in recovered.people
                }
                people = {
                    n: fit._replace(person=smoothers[n](fit.person, seconds))
                    for n, fit in recovered.people.items()
                }
                times.append(time.perf_counter())
                ms = dict(zip(("follow", "body"), _ms(times), strict=True))
                yield _Frame(seconds, image, people, ms)

    def _fitted(self, path, reader) -> Iterator[_Frame]:
        """Frames with bodies fitted over time."""
        track = self._seek.tracker()
        bar = progress.bar(
            reader,
            f"{path.name}: following",
            unit="frame",
            total=reader.expected_count,
        )
        problem, count, start = None, 0, time.perf_counter()
        with video_fits.LandmarkFile() as sightings:
            with bar:
                try:
                    for count, (seconds, image) in enumerate(bar, 1):
                        sightings.add(count - 1, seconds, track(image, seconds))
                except ValueError as error:
                    problem = error  # The frames before it are whole.
            follow_ms = 1000 * (time.perf_counter() - start) / max(1, count)
            # A second pass through the same frames.
            images = iter(video_reading.Reader(path))
            focal_px = self._focal_px(reader.size)
            bar = progress.bar(
                title=f"{path.name}: fitting", total=count, unit="frame"
            )
            with bar:
                for window in self._fits(
                    sightings, count, reader.size, focal_px
                ):
                    for people in window.people:
                        seconds, image = next(images)
                        ms = {"follow": follow_ms, "body": window.ms}
                        yield _Frame(seconds, image, people, ms)
                    bar.update(len(window.people))
            for line in self._fits.omissions:
                _log.warning("%s: %s", path, line)
        if problem:
            raise problem


def _ms(times: list[float]) -> list[float]:
    return (1000 * np.diff(times)).tolist()
