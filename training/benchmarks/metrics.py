"""How long the errors of 100,000 poses take to compute.

    python -m training.benchmark metrics

Poses of 14 joints are compared as evaluation does, in batches. Seconds are of
the clock and of the process's processors; the last line is
`pa_mpjpe S.SS s`.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from tf_hmr import joints, metrics


@dataclasses.dataclass
class Options:
    """Seconds of PA-MPJPE, MPJPE and PCK with AUC."""

    poses: int = 100_000
    """How many are compared."""
    batch: int = 1000
    """Poses per call; evaluation has some dozens, and smaller arrays."""
    rounds: int = 3
    """Measurements; the fastest counts, for others disturb the clock."""


def run(options: Options) -> float:
    """Measures and prints; returns the seconds of PA-MPJPE."""
    rng = np.random.default_rng(0)
    shape = (options.poses, len(joints.LSP14), 3)
    true = rng.normal(0, 0.3, shape)
    pred = true + rng.normal(0, 0.05, shape)
    errors = metrics.per_joint_error_mm(pred, true)
    print(f"{options.poses} poses of {len(joints.LSP14)} joints")
    for name, work in (
        ("mpjpe", lambda: _batched(metrics.mpjpe_mm, pred, true, options)),
        ("auc3d", lambda: metrics.auc3d(errors)),
        (
            "pa_mpjpe",
            lambda: _batched(metrics.pa_mpjpe_mm, pred, true, options),
        ),
    ):
        clock, processors = _fastest(work, options.rounds)
        print(f"{name} {clock:.2f} s ({processors:.2f} s of processors)")
    return clock


def _batched(metric: Callable, pred, true, options: Options) -> None:
    for start in range(0, len(pred), options.batch):
        rows = slice(start, start + options.batch)
        metric(pred[rows], true[rows])


def _fastest(work: Callable, rounds: int) -> tuple[float, float]:
    found = []
    for _ in range(rounds):
        clock, processors = time.perf_counter(), time.process_time()
        work()
        found.append(
            (time.perf_counter() - clock, time.process_time() - processors)
        )
    return min(found)
