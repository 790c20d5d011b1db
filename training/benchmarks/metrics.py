"""Times the errors of 100,000 poses.

    python -m training.benchmark metrics

Poses of 14 joints are compared in batches, as in evaluation. Seconds are wall
clock and CPU time of the process; the last line is `pa_mpjpe S.SS s`.
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
    """Number of poses to compare."""
    batch: int = 1000
    """Poses per call; evaluation has some dozens per call."""
    rounds: int = 3
    """Measurements; the fastest counts, as other programs disturb the rest."""


def run(options: Options) -> float:
    """Measures and prints; returns the seconds of PA-MPJPE."""
    rng = np.random.default_rng(0)
    shape = (options.poses, len(joints.LSP14), 3)
    true = rng.normal(0, 0.3, shape)
    pred = true + rng.normal(0, 0.05, shape)
    errors = metrics.per_joint_error_mm(pred, true)
    print(f"{options.poses} poses of {len(joints.LSP14)} joints")
    for name, compute in (
        ("mpjpe", lambda: _batched(metrics.mpjpe_mm, pred, true, options)),
        ("auc3d", lambda: metrics.auc3d(errors)),
        (
            "pa_mpjpe",
            lambda: _batched(metrics.pa_mpjpe_mm, pred, true, options),
        ),
    ):
        wall, cpu = _fastest(compute, options.rounds)
        print(f"{name} {wall:.2f} s ({cpu:.2f} s of processors)")
    return wall


def _batched(metric: Callable, pred, true, options: Options) -> None:
    for start in range(0, len(pred), options.batch):
        rows = slice(start, start + options.batch)
        metric(pred[rows], true[rows])


def _fastest(compute: Callable, rounds: int) -> tuple[float, float]:
    timings = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        compute()
        timings.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(timings)
