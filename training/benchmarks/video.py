"""Times `python -m tf_hmr VIDEO`: milliseconds a frame by stage and people.

    python -m training.benchmark video
    python -m training.benchmark video --people 1 4 --methods lift --frames 60
    python -m training.benchmark video --people 1 --frames 5000

Videos are rendered: people of synthetic_v1 side by side, 256 pixels wide each,
who move a pixel a frame, to and fro. Milliseconds are the processor's, of all
threads, so that they say something on a busy machine, too. Graphs are made in a
short video that does not count. Of 100 frames and more, the second tenth is
compared with the last: time and memory of a long video do not grow.
"""

import collections
import contextlib
import dataclasses
import functools
import importlib
import pathlib
import resource
import tempfile
import time
from typing import NamedTuple

import cv2
import numpy as np

from tf_hmr.formats import image_files
from training.benchmarks import photo

METHODS = ("lift", "fit")

STAGES = {
    "finding": (("detection.finder", "Finder.__call__"),),
    "following": (("detection.tracking", "Tracker.__call__"),),
    "lifting": (("landmark_fitting", "PeopleLifter.__call__"),),
    "smoothing": (("smoothing", "PersonSmoother.__call__"),),
    "fitting": (("keypoint_fitting", "PeopleFitter.__call__"),),
    "drawing and files": (("video_files", "Writer.write"),),
}
"""Functions of tf_hmr that are timed as each stage; "following" is what lies
between two findings."""

REST = "reading and other"
PASSES = {
    "lift": ("drawing and files",),
    "fit": ("following", "drawing and files"),
}
"""Stages that are called once per frame, one for each pass."""
_FPS = 25.0
_TURN = 50
"""Frames, and pixels, after which people move back."""
_WARM_FRAMES = 66
"""More than a window of fits."""
_LONG = 100


@dataclasses.dataclass
class Options:
    """Milliseconds a frame of rendered videos."""

    people: tuple[int, ...] = (1, 2, 4)
    """Numbers of people, a video of each."""
    methods: tuple[str, ...] = METHODS
    """As --method of `python -m tf_hmr`."""
    frames: int = 50
    """Frames of each video."""


class Tenth(NamedTuple):
    """A tenth of a video's frames.

    Attributes:
        ms: milliseconds of the processor a frame.
        peak: most memory until its end, MiB.
    """

    ms: float
    peak: float


@dataclasses.dataclass(frozen=True)
class Times:
    """What a frame of one video took.

    Attributes:
        seen: people in a frame, in the mean.
        stages: milliseconds of the processor by stage.
        tenths: the second and the last one of a long video.
    """

    seen: float
    stages: dict[str, float]
    tenths: tuple["Tenth", "Tenth"] | None


def run(options: Options) -> dict[tuple[str, int], Times]:
    """Measures and prints; returns the times by method and people.

    Raises:
        ValueError: too few frames or people, or a video was not recovered.
    """
    if options.frames < 3 or min(options.people, default=0) < 1:
        raise ValueError(
            "Expected --frames of 3 or more, --people of 1 or more."
        )
    times = {}
    for method in options.methods:
        for people in options.people:
            measured = _measure(method, people, options.frames)
            times[method, people] = measured
            stages = ", ".join(
                f"{name} {ms:.0f}" for name, ms in measured.stages.items()
            )
            print(
                f"{method}, {people} people ({measured.seen:.1f} seen): "
                f"{sum(measured.stages.values()):.0f} ms a frame ({stages})",
                flush=True,
            )
            if measured.tenths:
                print(_growth(*measured.tenths), flush=True)
    return times


def _growth(early: Tenth, late: Tenth) -> str:
    return (
        f"  second tenth {early.ms:.0f} ms a frame, last tenth {late.ms:.0f}; "
        f"at most {early.peak:.0f} MiB until then, {late.peak:.0f} in all"
    )


class _Calls:
    """The processor's time and the most memory when functions are called."""

    def __init__(self):
        self._rows: dict[str, list[tuple[float, float]]] = {}

    def clear(self) -> None:
        """Forgets the calls so far."""
        self._rows.clear()

    def recording(self, name: str, function):
        """The function, whose calls are recorded from now on."""

        @functools.wraps(function)
        def recorded(*args, **kwargs):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            row = time.process_time(), peak
            self._rows.setdefault(name, []).append(row)
            return function(*args, **kwargs)

        return recorded

    def tenth(self, number: int) -> Tenth:
        """One tenth, of 100 calls or more of each function."""
        milliseconds, mebibytes = [], []
        for rows in self._rows.values():
            first, last = (len(rows) * n // 10 for n in (number, number + 1))
            start, (end, peak) = rows[first][0], rows[last - 1]
            milliseconds.append(1000 * (end - start) / (last - 1 - first))
            mebibytes.append(peak)
        return Tenth(sum(milliseconds), max(mebibytes))


@contextlib.contextmanager
def _counted(clock: photo.StageClock, calls: _Calls, method: str):
    """Functions of STAGES are stages, and calls of PASSES are recorded."""
    with contextlib.ExitStack() as undo:
        for stage, functions in STAGES.items():
            for module, path in functions:
                owner, name = _function(module, path)
                function = getattr(owner, name)
                undo.callback(setattr, owner, name, function)
                counted = clock.counts(stage, function)
                if stage in PASSES[method]:
                    counted = calls.recording(stage, counted)
                setattr(owner, name, counted)
        yield


def _measure(method: str, people: int, frames: int) -> Times:
    from tf_hmr import __main__ as command
    from tf_hmr.tasks import videos as task

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        short, video = folder / "short.avi", folder / "people.avi"
        write(short, people, min(frames, _WARM_FRAMES))
        write(video, people, frames)
        args = command.Args((video,), out=folder, method=method)
        failures = command.Failures()
        clock, calls = photo.StageClock(REST, time.process_time), _Calls()
        with _counted(clock, calls, method):
            names = {path: path.stem for path in (short, video)}
            task_run = task.Run(args, names, failures)
            task_run.recover([short])  # Makes the graphs.
            calls.clear()
            clock.begin(REST)
            before = dict(clock.seconds)
            task_run.recover([video])
            clock.end()
        if failures.count:
            raise ValueError("The video was not recovered: see above.")
        lines = (folder / "people.jsonl").read_text().splitlines()
    spent = collections.Counter(clock.seconds)
    spent.subtract(before)
    stages = (*STAGES, REST)
    return Times(
        len(lines) / frames,
        {n: 1000 * spent[n] / frames for n in stages if spent[n]},
        (calls.tenth(1), calls.tenth(9)) if frames >= _LONG else None,
    )


def _function(module: str, path: str):
    owner = importlib.import_module(f"tf_hmr.{module}")
    *classes, name = path.split(".")
    return functools.reduce(getattr, classes, owner), name


def write(path: pathlib.Path, people: int, frames: int) -> None:
    """Writes a video of people of synthetic_v1.

    Args:
        path: of the video, .avi.
        people: their number.
        frames: their number.
    """
    from training.data.synthetic import people as synthetic

    frozen = synthetic.frozen()
    images = [
        image_files.decode(frozen.example(number).image)
        for number in range(people)
    ]
    row = np.hstack(images)
    height, width = row.shape[:2]
    code = cv2.VideoWriter_fourcc(*"MJPG")
    video = cv2.VideoWriter(str(path), code, _FPS, (width, height))
    for frame in range(frames):
        phase = frame % (2 * _TURN)
        shift = min(phase, 2 * _TURN - phase)
        moved = np.float32([[1, 0, shift], [0, 1, 0]])
        video.write(
            cv2.warpAffine(
                row, moved, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
        )
    video.release()
