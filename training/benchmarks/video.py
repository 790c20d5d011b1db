"""Times `python -m tf_hmr VIDEO`: milliseconds a frame by stage and people.

    python -m training.benchmark video
    python -m training.benchmark video --people 1 4 --methods lift --frames 60

Videos are rendered: people of synthetic_v1 side by side, 256 pixels wide each,
who move a pixel a frame. Milliseconds are the processor's, of all threads, so
that they say something on a busy machine, too. Graphs are made in a first video
that does not count.
"""

import collections
import dataclasses
import functools
import importlib
import pathlib
import tempfile
import time

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
"""Functions of tf_hmr by the stage that they are; "following" is what lies
between two findings."""

REST = "reading and other"
_FPS = 25.0
_STEP_PX = 1


@dataclasses.dataclass
class Options:
    """Milliseconds a frame of rendered videos."""

    people: tuple[int, ...] = (1, 2, 4)
    """Numbers of people, a video of each."""
    methods: tuple[str, ...] = METHODS
    """As --method of `python -m tf_hmr`."""
    frames: int = 50
    """Frames of each video."""


@dataclasses.dataclass(frozen=True)
class Times:
    """What a frame of one video took.

    Attributes:
        seen: people in a frame, in the mean.
        stages: milliseconds of the processor by stage.
    """

    seen: float
    stages: dict[str, float]


def run(options: Options) -> dict[tuple[str, int], Times]:
    """Measures and prints; returns the times by method and people.

    Raises:
        ValueError: a number is below 1, or a video was not recovered.
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
    return times


def _measure(method: str, people: int, frames: int) -> Times:
    from tf_hmr import __main__ as command
    from tf_hmr.tasks import videos as task

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        video = folder / "people.avi"
        write(video, people, frames)
        args = command.Args((video,), out=folder, method=method)
        failures = command.Failures()
        clock = photo.StageClock(REST, time.process_time)
        undo = []
        try:
            for stage, functions in STAGES.items():
                for module, path in functions:
                    owner, name = _function(module, path)
                    function = getattr(owner, name)
                    undo.append((owner, name, function))
                    setattr(owner, name, clock.counts(stage, function))
            task_run = task.Run(args, {video: "people"}, failures)
            task_run.recover([video])  # Makes the graphs.
            clock.begin(REST)
            before = dict(clock.seconds)
            task_run.recover([video])
            clock.end()
        finally:
            for owner, name, function in undo:
                setattr(owner, name, function)
        if failures.count:
            raise ValueError("The video was not recovered: see above.")
        lines = (folder / "people.jsonl").read_text().splitlines()
    spent = collections.Counter(clock.seconds)
    spent.subtract(before)
    stages = (*STAGES, REST)
    return Times(
        len(lines) / frames,
        {n: 1000 * spent[n] / frames for n in stages if spent[n]},
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
        moved = np.float32([[1, 0, frame * _STEP_PX], [0, 1, 0]])
        video.write(
            cv2.warpAffine(
                row, moved, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
        )
    video.release()
