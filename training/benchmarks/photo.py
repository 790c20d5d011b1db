"""Times `python -m tf_hmr PHOTO`: wall seconds, and the processor's by stage.

    python -m training.benchmark photo --photo PHOTO
    python -m training.benchmark photo --photo PHOTO --methods lift --repeats 5

Each run is the command in a process of its own, from its start to its end, and
once more by stages. The command looks for people while TensorFlow is imported;
its stages are timed one after another. Seconds of the processor are those of
all threads; what a stage calls of another one is that other's. Wall seconds say
something on an idle machine only. The last line of each method is the median of
its runs.
"""

import dataclasses
import functools
import importlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

METHODS = ("fit", "lift")

STAGES = {
    "finding": (
        ("sightings", "Seeker.__init__"),
        ("sightings", "Seeker.__call__"),
    ),
    "lifter's start": (("landmark_fitting", "load_lifter"),),
    "lifting": (("landmark_fitting", "PeopleLifter.__call__"),),
    "fitting": (
        ("keypoint_fitting", "PeopleFitter.__init__"),
        ("keypoint_fitting", "PeopleFitter.__call__"),
    ),
    "drawing": (("overlays", "draw"), ("rendering", "side_view")),
    "files": (("person_files", "write"), ("group_files", "write")),
}
"""Functions of tf_hmr by the stage that they are."""

IMPORTS, REST = "imports", "other"
_ONE_RUN = (
    "import sys; from training.benchmarks import photo; "
    "sys.exit(photo._report(*sys.argv[1:]))"
)


@dataclasses.dataclass
class Options:
    """Seconds from the shell to the files of one photo."""

    photo: pathlib.Path
    """A photo of people."""
    methods: tuple[str, ...] = METHODS
    """As --method of `python -m tf_hmr`."""
    repeats: int = 3
    """Runs of each method."""


@dataclasses.dataclass(frozen=True)
class Times:
    """What one run took.

    Attributes:
        wall: seconds from the start of the process to its end.
        stages: seconds of the processor by stage.
    """

    wall: float
    stages: dict[str, float]


class StageClock:
    """Seconds of the processor by stage; a stage within another is its own."""

    def __init__(self, stage: str, clock: Callable[[], float]):
        """Starts in a stage.

        Args:
            stage: that lasts until another one begins.
            clock: the seconds so far.
        """
        self._clock, self._running, self._since = clock, [stage], clock()
        self.seconds = {stage: self._since}

    def begin(self, stage: str) -> None:
        """Begins a stage; the one before waits."""
        self._count()
        self._running.append(stage)

    def end(self) -> None:
        """Ends the stage that began last."""
        self._count()
        self._running.pop()

    def _count(self) -> None:
        seconds, stage = self._clock(), self._running[-1]
        spent = seconds - self._since
        self.seconds[stage] = self.seconds.get(stage, 0.0) + spent
        self._since = seconds

    def counts(self, stage: str, function: Callable) -> Callable:
        """The function, which is a stage from now on."""

        @functools.wraps(function)
        def counted(*args, **kwargs):
            self.begin(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.end()

        return counted


def run(options: Options) -> dict[str, list[Times]]:
    """Measures and prints; returns the times of each method's runs.

    Raises:
        ValueError: a run failed; the message is its last line.
    """
    if options.repeats < 1:
        raise ValueError(f"--repeats {options.repeats}: expected 1 or more.")
    times = {}
    for method in options.methods:
        times[method] = []
        for number in range(options.repeats):
            measured = _measure(options.photo, method)
            times[method].append(measured)
            print(f"{method}, run {number + 1}: {_text(measured)}", flush=True)
        print(f"{method}: {_text(_median(times[method]))}", flush=True)
    return times


def functions_of(stage: str) -> list[tuple[Any, str]]:
    """The functions of a stage: the module or class of each, and its name."""
    functions = []
    for module, path in STAGES[stage]:
        owner = importlib.import_module(f"tf_hmr.{module}")
        *classes, name = path.split(".")
        functions.append((functools.reduce(getattr, classes, owner), name))
    return functions


def _measure(photo: pathlib.Path, method: str) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        words = (str(photo), "--method", method, "--out", folder)
        wall = _timed("-m", "tf_hmr", *words)
        report = pathlib.Path(folder) / "seconds.json"
        _timed("-c", _ONE_RUN, str(photo), method, str(report))
        return Times(wall, json.loads(report.read_text()))


def _timed(*words: str) -> float:
    """Wall seconds of a Python process.

    Raises:
        ValueError: it failed; the message is its last line.
    """
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise ValueError(lines[-1] if lines else f"{words[-1]}: no result")
    return wall


def _median(times: list[Times]) -> Times:
    stages = {
        stage: statistics.median(
            run_times.stages.get(stage, 0.0) for run_times in times
        )
        for stage in times[0].stages
    }
    return Times(
        statistics.median(run_times.wall for run_times in times), stages
    )


def _text(times: Times) -> str:
    stages = ", ".join(f"{k} {v:.1f}" for k, v in times.stages.items())
    return (
        f"wall {times.wall:.1f} s, processors "
        f"{sum(times.stages.values()):.1f} s ({stages})"
    )


class _AtOnce(futures.Executor):
    """What is submitted is done before the next line."""

    def __init__(self, max_workers: int):
        del max_workers  # The caller's thread is the only one.

    def submit(self, function, /, *args, **kwargs) -> futures.Future:
        """The result, as of Executor; an error is raised at once."""
        future = futures.Future()
        future.set_result(function(*args, **kwargs))
        return future


def _report(photo: str, method: str, report: str) -> int:
    """One run in this process; writes the seconds as json."""
    clock = StageClock(IMPORTS, time.process_time)
    from tf_hmr import __main__ as command
    from tf_hmr.tasks import photo_reading

    photo_reading.futures.ThreadPoolExecutor = _AtOnce
    for stage in STAGES:
        for owner, name in functions_of(stage):
            setattr(owner, name, clock.counts(stage, getattr(owner, name)))
    path = pathlib.Path(report)
    clock.begin(REST)
    status = command.main(
        command.Args((pathlib.Path(photo),), out=path.parent, method=method)
    )
    clock.end()
    path.write_text(json.dumps(clock.seconds))
    return status
