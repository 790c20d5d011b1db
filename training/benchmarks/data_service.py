"""Measures the work that a tf.data service takes off the training process.

    python -m training.benchmark data-service

A dispatcher and two workers run as processes on this machine and make the
batches of `training.benchmark pipeline`; this process receives them, as a
training process would. In turns with it the local pipeline makes the same
batches here, with the warp in the step on both sides. Seconds are CPU time of
this process per image; images per second are those of the whole machine, whose
cores the workers and the receiver share. On one machine a service moves work
and adds some; it pays with workers on other hosts. The last lines are `ratio
client CPU N.N`, the local pipeline's CPU time over the service's, and `ratio
images/s N.N`, the service's rate over the local pipeline's.
"""

import contextlib
import dataclasses
import pathlib
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from tf_hmr import progress
from training.benchmarks import _images

_LOCAL, _SERVED = "local pipeline", "tf.data service"
_STARTS_S = 120.0  # time for a server to report its address


@dataclasses.dataclass
class Options(_images.Options):
    """CPU time per image in the training process, with or without a service."""

    workers: int = 2
    """Worker processes."""
    rounds: int = 3
    """Turns of each side; the median counts."""


def run(options: Options) -> dict[str, float]:
    """Measures and prints; returns the two ratios.

    Raises:
        ValueError: a server did not start.
    """
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        _images.write(folder, options.count, options.size, options.seed)
        address = start_server(stack, "dispatcher", "--port=0")
        for _ in range(options.workers):
            arguments = (f"--dispatcher={address}", "--host=localhost")
            start_server(stack, "worker", *arguments)
        sides = {
            side: _endless(folder, options, service)
            for side, service in ((_LOCAL, ""), (_SERVED, address))
        }
        turns = {side: [] for side in sides}
        for _ in progress.bar(range(options.rounds), "rounds"):
            for side, batches in sides.items():
                turns[side].append(_turn(batches, options.batches))
    images = options.batch * options.batches
    cpu, rate = {}, {}
    for side, side_turns in turns.items():
        cpu[side] = statistics.median(turn[0] for turn in side_turns) / images
        rate[side] = images / statistics.median(turn[1] for turn in side_turns)
        print(
            f"{side:16s} {1e3 * cpu[side]:6.2f} ms CPU per image in this "
            f"process {rate[side]:6.0f} images/s"
        )
    ratios = {
        "client CPU": cpu[_LOCAL] / cpu[_SERVED],
        "images/s": rate[_SERVED] / rate[_LOCAL],
    }
    for name, ratio in ratios.items():
        print(f"ratio {name} {ratio:.1f}")
    return ratios


def start_server(stack: contextlib.ExitStack, *arguments: str) -> str:
    """Starts a server that lives as long as `stack`; returns its address.

    Raises:
        ValueError: it did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "training.data_service", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stack.callback(_terminate, process)
    ready, _, _ = select.select([process.stdout], [], [], _STARTS_S)
    line = process.stdout.readline() if ready else ""
    if "listens at" not in line:
        raise ValueError(
            f"training.data_service {' '.join(arguments)} did not start: "
            f"{line or f'it said nothing in {_STARTS_S:.0f} s'}. Try it in a "
            "shell."
        )
    return line.split()[-1].rstrip(".")


def _terminate(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()


def _endless(folder: pathlib.Path, options: Options, service: str) -> Iterator:
    """Endless batches, so that no turn pays for a start."""
    dataset = _images.batches(
        folder,
        options.batch,
        options.image_size,
        warp="step",
        service=service,
    )
    batches = iter(dataset.prefetch(1))
    for _ in range(3):
        next(batches)
    return batches


def _turn(batches: Iterator, count: int) -> tuple[float, float]:
    """CPU seconds of this process and wall seconds of `count` batches.

    Batches prefetched while another side ran are taken first, untimed.
    """
    for _ in range(count // 2):
        next(batches)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(batches)
    return time.process_time() - cpu, time.perf_counter() - wall
