"""The workers of one run: which one this process is, and their agreement.

TF_CONFIG names them, as for any TensorFlow program: {"cluster": {"worker":
["host:port", ...]}, "task": {"type": "worker", "index": 0}}, the same cluster
on each and the index its own. The chief alone writes the files of the run: it
is the one of the job "chief", or "master", as it was once called, and without
one the first worker. Other jobs, as "ps" and "evaluator", have no part in a
run, and are refused. All read the same --workdir.
"""

import contextlib
import dataclasses
import json
import logging
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_hmr.formats import wording
from training.engine import provenance

# The jobs that compute, in the order in which workers are counted.
JOBS = ("chief", "worker")
# Former names of jobs.
_ALIASES = {"master": "chief"}
EXAMPLE = (
    '{"cluster": {"worker": ["a:12345", "b:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_SHOWN = 500  # Characters of a wrong TF_CONFIG in its error.
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
    """Reads TF_CONFIG; one worker without it, or where it names no cluster.

    Raises:
        ClusterError: it does not name a task of a cluster of workers.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return Cluster()
    try:
        content = json.loads(text)
        jobs = _jobs(content)
        if not jobs:
            return Cluster()
        return _place(jobs, content)
    except (ValueError, RecursionError) as error:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        raise ClusterError(
            f"TF_CONFIG names no task of a cluster of workers ({error}). It "
            f"is {shown!r}; expected as {EXAMPLE}."
        ) from None


def _jobs(content) -> dict[str, list[str]]:
    """The addresses of each job, by its present name.

    Raises:
        ValueError: they are not those of chief and workers.
    """
    if not isinstance(content, dict):
        raise ValueError("it is no object")
    for key in content:
        if key != "cluster" and key.lower().endswith("cluster"):
            raise ValueError(f"it has {key!r}, expected the whole 'cluster'")
    cluster = content.get("cluster", {})
    if not isinstance(cluster, dict):
        raise ValueError("'cluster' is no object")
    names = [_ALIASES.get(name, name) for name in cluster]
    unknown = sorted(set(names) - set(JOBS))
    if unknown or len(set(names)) < len(names):
        raise ValueError(
            f"its jobs are {sorted(cluster)}, expected {' and '.join(JOBS)}"
        )
    jobs = dict(zip(names, cluster.values(), strict=True))
    for name, addresses in jobs.items():
        is_list = isinstance(addresses, list)
        if not is_list or not all(isinstance(a, str) and a for a in addresses):
            raise ValueError(f"job {name!r} is no list of 'host:port'")
    if len(jobs.get("chief", [])) > 1:
        raise ValueError("it names several chiefs, expected one")
    every_address = [
        address.lower() for job in jobs.values() for address in job
    ]
    for address in every_address:
        if every_address.count(address) > 1:
            raise ValueError(f"it names {address!r} twice")
    return jobs


def _place(jobs: dict[str, list[str]], content: dict) -> Cluster:
    """The place of the task of TF_CONFIG among the jobs.

    Raises:
        ValueError: it has none.
    """
    task = content.get("task")
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise ValueError("it has no 'task' with type and index")
    kind, index = task["type"], task["index"]
    job = _ALIASES.get(kind, kind) if isinstance(kind, str) else kind
    if job not in JOBS or not jobs.get(job):
        raise ValueError(
            f"its task is of type {kind!r}, its jobs are {sorted(jobs)}"
        )
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool):
        raise ValueError(f"its task's index is {index!r}, expected an integer")
    if not 0 <= index < len(jobs[job]):
        raise ValueError(
            f"its task's index is {index}, but job {job!r} has "
            f"{len(jobs[job])} addresses"
        )
    workers = [address for name in JOBS for address in jobs.get(name, [])]
    if len(workers) == 1:
        return Cluster()
    return Cluster(tuple(workers), workers.index(jobs[job][index]))


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
    # TensorFlow's own reading of TF_CONFIG knows no "master".
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.workers)}),
        task_type="worker",
        task_id=cluster.index,
        rpc_layer="grpc",
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        first = wording.first_line(error)
        raise ClusterError(
            f"Worker {cluster.index} cannot work at {address} ({first}). Is "
            "the port in use, and the address this machine's?"
        ) from error
    log.info("All %d workers are there.", count)
    return strategy


def agree(strategy: tf.distribute.Strategy, number: int = 0) -> list[int]:
    """Waits until all workers call this; returns the number of each."""
    return [numbers[0] for numbers in agree_all(strategy, [number])]


def agree_all(
    strategy: tf.distribute.Strategy, own_numbers: Sequence[int]
) -> list[list[int]]:
    """Waits until all workers call this; returns the numbers of each.

    Args:
        strategy: the devices.
        own_numbers: of this worker, 0 to 2**24, as many as every other has.
    """
    cluster = read()
    if not cluster.several:
        return [list(own_numbers)]

    @tf.function
    def all_numbers():
        def replica():
            context = tf.distribute.get_replica_context()
            # How often a worker's number counts: once per replica.
            replicas = tf.one_hot(cluster.index, len(cluster.workers))[:, None]
            numbers = replicas * tf.constant([own_numbers], tf.float32)
            return context.all_reduce(
                tf.distribute.ReduceOp.SUM, [numbers, replicas]
            )

        return strategy.run(replica)

    numbers, replicas = (
        strategy.experimental_local_results(value)[0] for value in all_numbers()
    )
    return (numbers / replicas).numpy().astype(int).tolist()


def compare(
    strategy: tf.distribute.Strategy, facts: Mapping[str, Any]
) -> dict[str, dict[int, str]]:
    """Compares what the workers must have in common; each calls this.

    Args:
        strategy: the devices.
        facts: of this worker, as types of json; the names are the same for
            all workers.

    Returns:
        The names of the facts in which workers differ, each with the checksum
        of every worker's.
    """
    texts = (json.dumps(fact, sort_keys=True) for fact in facts.values())
    checksums = [zlib.crc32(text.encode()) % 2**20 for text in texts]
    columns = zip(*agree_all(strategy, checksums), strict=True)
    return {
        name: {index: f"{number:05x}" for index, number in enumerate(column)}
        for name, column in zip(facts, columns, strict=True)
        if len(set(column)) > 1
    }


def check_same(different: Mapping[str, Mapping[int, str]]) -> None:
    """Refuses to train where `compare` says that the workers differ.

    Raises:
        ClusterError: names the facts, and the workers by their checksums.
    """
    if not different:
        return
    lists = "; ".join(
        f"the {name} (checksums: "
        + ", ".join(f"worker {i} {text}" for i, text in checksums.items())
        + ")"
        for name, checksums in different.items()
    )
    raise ClusterError(
        f"The workers of this run differ in {lists}. This is worker "
        f"{read().index}, commit {provenance.commit()}. Start all of them "
        "with the same command, from the same version of the code."
    )


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
