"""Worker processes with one thread each and without TensorFlow."""

import collections
import concurrent.futures
import concurrent.futures.process
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator

import cv2

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Number of the machine's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def pool(workers: int) -> Iterator[concurrent.futures.Executor]:
    """Opens a pool of fresh processes with one thread each, no TensorFlow.

    Args:
        workers: number of processes.

    Raises:
        ValueError: one of the processes was killed.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    # numpy reads them when imported, before any of our code runs.
    os.environ |= dict.fromkeys(_THREADS, "1")
    executor = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start_worker
    )
    try:
        yield executor
    except concurrent.futures.process.BrokenProcessPool as error:
        raise ValueError(
            f"One of {workers} reading processes was killed, most often for "
            "want of memory. The same command continues after the last whole "
            "file; fewer --workers need less memory."
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def in_order(
    executor: concurrent.futures.Executor,
    task: Callable,
    arguments: Iterable,
    ahead: int,
) -> Iterator:
    """Yields the results of tasks in order, with at most `ahead` submitted.

    Args:
        executor: from `pool`, or of threads.
        task: called with each argument in one of its processes.
        arguments: one per task.
        ahead: bounds the results that wait for a slow consumer.
    """
    waiting = collections.deque()
    for argument in arguments:
        waiting.append(executor.submit(task, argument))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start_worker() -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # A killed parent cannot stop its workers, which would wait for ever.
    multiprocessing.parent_process().join()
    os._exit(1)
