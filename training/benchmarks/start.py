"""Times the start of a training run, up to the end of its first step.

    python -m training.benchmark start
    python -m training.benchmark start --experiment hkmr_quick --runs 5

Each run is `python -m training.fit EXPERIMENT` in a process of its own, on
rendered people. Seconds are the processor's, of all threads, so that other
programs disturb them little; the first run, which may read from a cold disk,
does not count. The last line is `first step LOW to HIGH s`.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any
from unittest import mock

PREPARE = ("training.prepare", "synthetic", "--count", "64", "--val", "8")
_ONE_RUN = (
    "import sys; from training.benchmarks import start; "
    "start._train_one_step(*sys.argv[1:])"
)


@dataclasses.dataclass
class Options:
    """Seconds of the processor until the first step of a run has ended."""

    experiment: str = "quick"
    """As of training.fit; it trains on rendered people."""
    runs: int = 3
    """Runs that count."""


def run(options: Options) -> list[dict[str, float]]:
    """Measures and prints; returns the seconds of each run by stage.

    Raises:
        ValueError: there is no run to count, or a run failed.
    """
    if options.runs < 1:
        raise ValueError(f"--runs {options.runs}: expected 1 or more.")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        records = folder / "records" / "synthetic"
        _python("-m", *PREPARE, "--size", "96", "--out", str(records))
        runs = [
            _one_run(options.experiment, records.parent, folder / str(number))
            for number in range(options.runs + 1)
        ][1:]
    print(f"CPU seconds of {options.experiment}, {options.runs} runs")
    for stage in runs[0]:
        print(f"{stage:24s} {span([seconds[stage] for seconds in runs])} s")
    totals = [sum(seconds.values()) for seconds in runs]
    print(f"first step {span(totals)} s")
    return runs


def span(values: list[float]) -> str:
    """The range of values in words."""
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _one_run(
    experiment: str, records: pathlib.Path, workdir: pathlib.Path
) -> dict[str, float]:
    report = workdir.with_suffix(".json")
    words = ("--records", str(records), "--workdir", str(workdir))
    _python("-c", _ONE_RUN, str(report), experiment, *words)
    return json.loads(report.read_text())


def _python(*words: str) -> None:
    """Runs Python.

    Raises:
        ValueError: it failed; with the last line that it wrote.
    """
    ended = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        raise ValueError(lines[-1] if lines else f"status {ended.returncode}")


def _train_one_step(report: str, *words: str) -> None:
    """Trains in this process, and ends it after one step.

    Args:
        report: file for the seconds by stage.
        *words: of training.fit.
    """
    marks = {}

    def mark(stage: str) -> None:
        marks[stage] = time.process_time() - sum(marks.values())

    from training import fit
    from training.engine import step as steps
    from training.tasks import fit as work

    mark("imports")
    build, call = work.methods.build, steps.Step.__call__

    def timed_build(*arguments: Any) -> Any:
        mark("records")
        method = build(*arguments)
        mark("network")
        return method

    def timed_step(self, batches, count, stop=False) -> None:
        mark("optimisers, pipeline")
        arguments = (steps.tf.constant(1), steps.tf.constant(float(stop)))
        self._run.get_concrete_function(batches, *arguments)
        mark("tracing")
        call(self, batches, 1, stop)
        mark("compilation, first step")
        pathlib.Path(report).write_text(json.dumps(marks))
        os._exit(0)  # Without the last checkpoint and evaluation.

    with (
        mock.patch.object(work.methods, "build", timed_build),
        mock.patch.object(steps.Step, "__call__", timed_step),
    ):
        sys.exit(fit.main(list(words)))
