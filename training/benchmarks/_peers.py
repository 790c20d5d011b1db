"""Helpers of the benchmarks against PyTorch and smplx: one core, turns, a body.

PyTorch and TensorFlow are imported inside functions: settings must come before
their start, and the peers need not be installed.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from tf_hmr import progress


def one_core() -> None:
    """Restricts all sides to one core and one thread, before any starts."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # PyTorch is measured on the CPU, so a GPU would be no comparison.
    tf.config.set_visible_devices([], "GPU")


def in_turns(
    sides: dict[str, Callable], rounds: int, calls: int = 1
) -> dict[str, float]:
    """Median CPU seconds per call of each side.

    Every round measures each side once, so that other programs disturb all
    sides alike.
    """
    for side in sides.values():  # compiles and fills caches
        side()
    times_by_side: dict[str, list[float]] = {name: [] for name in sides}
    for _ in progress.bar(range(rounds), "rounds", unit="round"):
        for name, side in sides.items():
            start = time.process_time()
            for _ in range(calls):
                side()
            times_by_side[name].append(time.process_time() - start)
    return {
        name: statistics.median(times) / calls
        for name, times in times_by_side.items()
    }


def smplx_is_installed() -> bool:
    """Whether PyTorch and smplx are installed; PyTorch then has one thread.

    PyTorch's optimizers import Triton where it is installed. Its LLVM and
    TensorFlow's do not live in one process: it would end by a segmentation
    fault. Nothing here needs Triton, so PyTorch does not get it.
    """
    sys.modules["triton"] = None
    try:
        import smplx.lbs  # noqa: F401
        import torch
    except ImportError:
        print("PyTorch or smplx is not installed: ours alone, no ratio.")
        print("To compare: pip install -e '.[compare]'")
        return False
    torch.set_num_threads(1)
    return True


def tensor(array: np.ndarray):
    """A torch.Tensor in float32."""
    import torch

    return torch.tensor(np.ascontiguousarray(array, np.float32))


def lbs_constants(data) -> tuple:
    """Arguments of vchoutas/smplx: smplx/lbs.py after the pose."""
    import torch

    return (
        tensor(data.v_template),
        tensor(data.shapedirs),
        tensor(data.posedirs.reshape(len(data.posedirs), -1)),
        tensor(data.J_regressor),
        torch.tensor(data.parents),
        tensor(data.weights),
    )


def check_same(
    quantity: str,
    ours: np.ndarray,
    peers: np.ndarray,
    tolerance: float,
    tests: str,
) -> None:
    """Checks that two sides' arrays agree to a share of the largest number.

    Raises:
        ValueError: they do not; names `quantity` and the `tests` to run.
    """
    error = float(np.abs(ours - peers).max() / np.abs(peers).max())
    if not error <= tolerance:
        raise ValueError(
            f"{quantity} differ by {error:.1e} of the largest, expected "
            f"{tolerance:.0e}: the two sides do not compute the same, so their "
            f"times say nothing. Run the tests of {tests}."
        )
