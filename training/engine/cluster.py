"""The workers of one run: which one this is, and whether all are there.

TF_CONFIG names them, as for any TensorFlow program: {"cluster": {"worker":
["host:port", ...]}, "task": {"type": "worker", "index": 0}}, the same cluster
on each and the index its own. The first is the chief: it alone writes what
the run leaves. All read the same --workdir.
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
    """TF_CONFIG, or what the workers share, is not as it must be."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where this process stands among the workers of its run."""

    workers: tuple[str, ...] = ("here",)
    """Addresses, the chief's first."""
    index: int = 0
    """This process' place among them."""

    @property
    def chief(self) -> bool:
        """Whether this process writes what the run leaves."""
        return self.index == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return len(self.workers) > 1


def read() -> Cluster:
    """What TF_CONFIG says; one worker without it.

    Raises:
        ClusterError: it is not what TensorFlow expects; says what is wrong.
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
        others = sorted(set(jobs) - set(JOBS))
        if others or index < 0 or kind not in JOBS:
            raise ValueError(f"its jobs are {sorted(jobs)}, expected {JOBS}")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
        raise ClusterError(
            f"TF_CONFIG names no task of a cluster of workers "
            f"({type(e).__name__}: {e}). It is {text!r}; expected as {EXAMPLE}."
        ) from e
    return Cluster(tuple(workers), workers.index(address))


def connect(cluster: Cluster) -> tf.distribute.Strategy:
    """The strategy over all workers; waits until the last has come.

    TensorFlow waits outside of Python, holds its lock and takes SIGTERM for
    itself: until all are there, only SIGKILL ends a worker. It has nothing to
    lose then.

    Raises:
        ClusterError: this worker's address cannot be listened at.
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
    """Waits until all workers have come here; the number of each."""
    here = read()
    if not here.several:
        return [number]

    @tf.function
    def gathered():
        def replica():
            context = tf.distribute.get_replica_context()
            own = tf.one_hot(here.index, len(here.workers), float(number))
            ones = tf.one_hot(here.index, len(here.workers))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, [own, ones])

        return strategy.run(replica)

    own, ones = gathered()
    first = strategy.experimental_local_results
    return [int(n) for n in (first(own)[0] / first(ones)[0]).numpy()]


def is_loss(error: BaseException) -> bool:
    """Whether this is how TensorFlow tells that a worker went away."""
    lost = isinstance(error, tf.errors.UnavailableError)
    return read().several and (lost or ABORTED in str(error))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """What TensorFlow raises when a worker goes away, as one error.

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
