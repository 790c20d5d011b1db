"""Fits the people of one video over time, window by window."""

import collections
import pathlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tf_hmr import (
    joints,
    keypoint_fitting,
    landmark_fitting,
    recovery,
    video_fitting,
)
from tf_hmr.body.data import BodyData
from tf_hmr.detection import landmarks
from tf_hmr.smplify import schedules

MIN_FRAMES = 3
"""Who is seen in fewer frames is left out: a second difference needs three."""

_ROW = np.dtype(
    [
        ("frame", np.int32),
        ("number", np.int32),
        ("seconds", np.float64),
        ("points", np.float32, (len(joints.BLAZEPOSE33), 7)),
    ]
)


class LandmarkFile:
    """Landmarks of the people of a video, in a file that vanishes at the end.

    A context manager. An hour of a few people is some hundred megabytes.
    """

    def __init__(self):
        self._file = tempfile.TemporaryFile()
        self._count = 0

    def __enter__(self) -> "LandmarkFile":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def add(
        self,
        frame: int,
        seconds: float,
        answers: Mapping[int, landmarks.Landmarks],
    ) -> None:
        """Adds the people of a frame who have joints enough for a body."""
        for number, answer in answers.items():
            count = landmark_fitting.visible_count(answer.points)
            if count >= landmark_fitting.MIN_KEYPOINTS:
                row = np.array((frame, number, seconds, answer.points), _ROW)
                self._file.write(row.tobytes())
                self._count += 1

    def rows(self) -> np.ndarray:
        """All of them, mapped from the file; frame by frame."""
        self._file.flush()
        if not self._count:
            return np.zeros(0, _ROW)
        return np.memmap(self._file, _ROW, mode="r", shape=(self._count,))


class Window(NamedTuple):
    """The people of some frames that follow each other.

    Attributes:
        people: of each frame, by number.
        ms: milliseconds of the fit for each frame.
    """

    people: list[dict[int, keypoint_fitting.FittedPerson]]
    ms: float


class Fits:
    """Fits the people of videos.

    Attributes:
        omissions: one line for each reason to leave somebody of the last
            video out.
    """

    def __init__(
        self,
        body: str | pathlib.Path | BodyData = "open",
        smoothness: float = schedules.ACCELERATION,
    ):
        """Loads the lifter and prepares the fits.

        Args:
            body: of the lifter's topology.
            smoothness: weight of the joints' acceleration.

        Raises:
            ValueError: another body.
        """
        lifter = landmark_fitting.load_lifter(body)
        self._fitter = video_fitting.VideoFitter(lifter, smoothness)
        self.omissions: list[str] = []

    def __call__(
        self,
        sightings: LandmarkFile,
        frames: int,
        size: tuple[int, int],
        focal_px: float,
    ) -> Iterator[Window]:
        """Yields the frames of one video, in windows.

        Args:
            sightings: of all frames.
            frames: their number.
            size: width and height of the video.
            focal_px: focal length of its camera.
        """
        rows = sightings.rows()
        numbers = np.array(rows["number"])
        self.omissions = []
        problems = collections.Counter()
        people = []
        for number in np.unique(numbers).tolist():
            indices = np.flatnonzero(numbers == number)
            if len(indices) < MIN_FRAMES:
                self.omissions.append(
                    f"person {number}: seen in {len(indices)} frames, at least "
                    f"{MIN_FRAMES} are needed."
                )
                continue
            people.append(
                _PersonFitter(
                    self._fitter, number, rows, indices, size, focal_px
                )
            )
        for first in range(0, frames, video_fitting.STEP):
            start = time.perf_counter()
            end = min(frames, first + video_fitting.STEP)
            window = [{} for _ in range(first, end)]
            for person in people:
                for frame, fit in person.frames(first, end):
                    problem = recovery.problem(fit)
                    if problem:
                        problems[person.number] += 1
                    else:
                        window[frame - first][person.number] = fit
            ms = 1000 * (time.perf_counter() - start) / (end - first)
            yield Window(window, ms)
        for number, count in problems.items():
            self.omissions.append(
                f"person {number}: left out of {count} frames, where no body "
                "lies near the landmarks."
            )


class _PersonFitter:
    """One person of a video."""

    def __init__(self, fitter, number, rows, indices, size, focal_px):
        self.number = number
        self._fitter, self._rows, self._indices = fitter, rows, indices
        self._size, self._focal_px = size, focal_px
        self._frames = np.array(rows["frame"][indices])
        self._betas = self._shape()
        # Fits and rows that overlap the next window.
        self._before: list[keypoint_fitting.FittedPerson] = []
        self._held = np.zeros(0, int)

    def _shape(self) -> np.ndarray:
        """Betas, from frames all over the video."""
        count = min(len(self._indices), video_fitting.ROWS)
        spread = np.linspace(0, len(self._indices) - 1, count)
        rows = self._indices[spread.round().astype(int)]
        return self._fitter.shape(self._tasks(rows))

    def frames(
        self, first: int, end: int
    ) -> Iterator[tuple[int, keypoint_fitting.FittedPerson]]:
        """Yields fits of frames from `first` to before `end`, in order."""
        last = end + video_fitting.AHEAD
        inside = (self._frames >= first) & (self._frames < end)
        if not inside.any():
            return
        fresh = self._indices[(self._frames >= first) & (self._frames < last)]
        rows = np.concatenate([self._held, fresh])
        fits = self._fitter.window(
            self._tasks(rows),
            self._rows["seconds"][rows],
            self._betas,
            self._before,
        )[: int(inside.sum())]
        self._held = fresh[: len(fits)][-video_fitting.HELD :]
        self._before = fits[-video_fitting.HELD :]
        yield from zip(self._frames[inside].tolist(), fits, strict=True)

    def _tasks(self, rows: np.ndarray) -> list[landmark_fitting.Task]:
        return [
            landmark_fitting.Task(points, self._size, self._focal_px)
            for points in self._rows["points"][rows]
        ]
