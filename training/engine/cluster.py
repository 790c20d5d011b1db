"""The workers of one run: which one this process is, and their agreement.

TF_CONFIG names them, as for any TensorFlow program: {"cluster": {"worker":
["host:port", ...]}, "task": {"type": "worker", "index": 0}}, the same cluster
on each and the index its own. The first is the chief: it alone writes the
files of the run. All read the same --workdir.
"""

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Iterator

import tensorflow as tf

# The jobs that compute, in the order in which workers are counted.
JOBS = ("chief", "worker")
EXAMPLE = (
    '{"cluster": {"worker": ["a:12345", "b:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
ABORTED = "Collective ops is aborted"
log = logging.getLogger(__name__)


class PeerLostError(RuntimeError):
    """Another worker went away."""


class ClusterError(ValueError):
    """TF_CONFIG, or a folder that the workers share, is wrong."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a run, and which of them this process is."""

    workers: tuple[str, ...] = ("here",)
    """Addresses, the chief's first."""
    index: int = 0
    """Index of this process among them."""

    @property
    def chief(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.index == 0

    @property
    def several(self) -> bool:
        """Whether there is more than one worker."""
        return len(self.workers) > 1


def read() -> Cluster:
    """Reads TF_CONFIG; one worker without it.

    Raises:
        ClusterError: it does not name a task of a cluster of workers.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return Cluster()
    try:
        content = json.loads(text)
        jobs = content.get("cluster", {})
        workers = [address for job in JOBS for address in jobs.get(job, [])]
        if len(workers) < 2:
            return Cluster()
        task = content["task"]
        kind, index = task["type"], int(task["index"])
        address = jobs[kind][index]
        unknown_jobs = sorted(set(jobs) - set(JOBS))
        if unknown_jobs or index < 0 or kind not in JOBS:
            raise ValueError(f"its jobs are {sorted(jobs)}, expected {JOBS}")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
        raise ClusterError(
            f"TF_CONFIG names no task of a cluster of workers "
            f"({type(e).__name__}: {e}). It is {text!r}; expected as {EXAMPLE}."
        ) from e
    return Cluster(tuple(workers), workers.index(address))


def connect(cluster: Cluster) -> tf.distribute.Strategy:
    """Makes the strategy over all workers, once all of them have started.

    TensorFlow waits outside of Python, holds its lock and handles SIGTERM
    itself: until all have started, only SIGKILL ends a worker, which has
    nothing to lose then.

    Raises:
        ClusterError: this worker cannot listen at its address.
    """
    count, address = len(cluster.workers), cluster.workers[cluster.index]
    log.info(
        "Worker %d, waiting for all %d workers (only SIGKILL ends that).",
        cluster.index,
        count,
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        first = str(error).strip().splitlines()[0]
        raise ClusterError(
            f"Worker {cluster.index} cannot work at {address} ({first}). Is "
            "the port in use, and the address this machine's?"
        ) from error
    log.info("All %d workers are there.", count)
    return strategy


def agree(strategy: tf.distribute.Strategy, number: int = 0) -> list[int]:
    """Waits until all workers call this; returns the number of each."""
    cluster = read()
    if not cluster.several:
        return [number]

    @tf.function
    def all_numbers():
        def replica():
            context = tf.distribute.get_replica_context()
            index, count = cluster.index, len(cluster.workers)
            numbers = tf.one_hot(index, count, float(number))
            # How often a worker's number counts: once per replica.
            replicas = tf.one_hot(index, count)
            return context.all_reduce(
                tf.distribute.ReduceOp.SUM, [numbers, replicas]
            )

        return strategy.run(replica)

    numbers, replicas = (
        strategy.experimental_local_results(value)[0] for value in all_numbers()
    )
    return [int(number) for number in (numbers / replicas).numpy()]


def is_loss(error: BaseException) -> bool:
    """Whether TensorFlow raised this because another worker went away."""
    lost = isinstance(error, tf.errors.UnavailableError)
    return read().several and (lost or ABORTED in str(error))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns TensorFlow's errors about a lost worker into one of ours.

    Raises:
        PeerLostError: a worker went away.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not is_loss(error):
            raise
        raise PeerLostError(
            "Another worker of this run went away. Nothing is lost: start "
            "all workers again with the same commands, and they continue "
            "from the last checkpoint."
        ) from error
