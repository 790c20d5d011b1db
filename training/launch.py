r"""Starts the workers of one training run and keeps them together.

    python -m training.launch --workers 2 quick --workdir runs/two
    python -m training.launch --workers 4 --gpus-each 2 hmr --records data
    python -m training.launch --hosts a:12345,b:12345 hmr    # prints lines
    python -m training.launch --hosts a:12345,b:12345 --index 0

What follows the experiment's name goes to `training.fit` as it is. Worker 0
speaks on this terminal, the others into WORKDIR/logs. When a worker dies, all
are started again from the last checkpoint; Ctrl-C or SIGTERM lets them save
and end. On several machines a scheduler starts `training.fit` on each, with
the TF_CONFIG printed here and one --workdir that all of them see.
"""

import argparse
import dataclasses
import json
import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from training.engine import exit_status

# A worker notices after about 7 s that another is gone, and says so.
GRACE_S = 30.0
# Asked to stop, it ends its step and saves; while it waits for its peers to
# come up it hears no SIGTERM at all.
STOP_S = 120.0
POLL_S = 0.1
VISIBLE = "CUDA_VISIBLE_DEVICES"
# What does not say who is at fault.
PASSING = (exit_status.PEER_LOST, exit_status.STOPPED)

Start = Callable[[], list[subprocess.Popen]]


def tf_config(hosts: Sequence[str], index: int) -> str:
    """TF_CONFIG of worker `index` among `hosts` ("name:port")."""
    return json.dumps(
        {
            "cluster": {"worker": list(hosts)},
            "task": {"type": "worker", "index": index},
        }
    )


def free_hosts(count: int) -> list[str]:
    """Addresses on this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()


def visible_gpus() -> list[str]:
    """What a scheduler left of this machine's GPUs; [] if it says nothing."""
    return [name for name in os.environ.get(VISIBLE, "").split(",") if name]


@dataclasses.dataclass(frozen=True)
class Workers:
    """How to start all workers of a run on this machine."""

    command: Sequence[str]
    """What each runs."""
    count: int
    """How many."""
    logs: Path
    """Folder for what workers 1, 2, ... say."""
    gpus_each: int = 0
    """GPUs for each, of those that this process sees; 0 gives all to all."""

    def start(self) -> list[subprocess.Popen]:
        """Starts all of them, on ports that are free now."""
        self.logs.mkdir(parents=True, exist_ok=True)
        hosts = free_hosts(self.count)
        return [self._one(hosts, index) for index in range(self.count)]

    def _one(self, hosts: list[str], index: int) -> subprocess.Popen:
        environment = os.environ | {"TF_CONFIG": tf_config(hosts, index)}
        if self.gpus_each:
            first = index * self.gpus_each
            count = self.count * self.gpus_each
            gpus = (visible_gpus() or [*map(str, range(count))])[first:]
            environment[VISIBLE] = ",".join(gpus[: self.gpus_each])
        # Of their own session: a Ctrl-C reaches them through `supervise`,
        # once and as SIGTERM.
        options = {"env": environment, "start_new_session": True}
        if index == 0:
            return subprocess.Popen(self.command, **options)
        with open(self.logs / f"worker-{index}.log", "ab") as log:
            return subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, **options
            )


def supervise(
    start: Start,
    restarts: int,
    grace_s: float = GRACE_S,
    stop_s: float = STOP_S,
) -> int:
    """Runs workers to their end; starts all again when one dies.

    Args:
        start: starts every worker.
        restarts: how often at most.
        grace_s: how long the others may take to leave by themselves.
        stop_s: how long all may take to save when this process is stopped.

    Returns:
        The exit status for the whole run: see training.engine.exit_status.
    """
    deadline = [math.inf]  # of a stop that was asked for

    def stop(*_):
        deadline[0] = min(deadline[0], time.monotonic() + stop_s)
        _signal(workers, signal.SIGTERM)

    workers = start()
    before = {
        s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        while True:
            statuses = _wait(workers, grace_s, deadline)
            status = _verdict(statuses)
            if status != exit_status.PEER_LOST:
                return status
            if deadline[0] < math.inf:
                _say(f"{_told(statuses)}, before it had saved.")
                return status
            if not restarts:
                _say(f"{_told(statuses)}; no restart is left (--restarts).")
                return status
            restarts -= 1
            _say(
                f"{_told(statuses)}; starting all of them again from the last "
                f"checkpoint ({restarts} more restarts)."
            )
            workers = start()
            if deadline[0] < math.inf:
                _signal(workers, signal.SIGTERM)
    finally:
        _signal(workers, signal.SIGKILL)
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(
    workers: list[subprocess.Popen], grace_s: float, stop: list[float]
) -> list[int]:
    """Exit statuses of all, once all have left or had to go."""
    deadline = math.inf
    while None in (statuses := [worker.poll() for worker in workers]):
        left = [status for status in statuses if status is not None]
        if any(left) and deadline == math.inf:
            # A failure's message says it all: no need to wait for others.
            failed = exit_status.FAILED in left
            deadline = time.monotonic() + (0 if failed else grace_s)
        if time.monotonic() > min(deadline, stop[0]):
            _signal(workers, signal.SIGKILL)
        time.sleep(POLL_S)
    return statuses


def _verdict(statuses: list[int]) -> int:
    """What became of the run as a whole."""
    if not any(statuses):
        return exit_status.COMPLETE
    own = [s for s in statuses if s not in (exit_status.COMPLETE, *PASSING)]
    failed = [status for status in own if status > 0]
    if failed:
        return exit_status.FAILED
    if own or exit_status.PEER_LOST in statuses:
        return exit_status.PEER_LOST
    return exit_status.STOPPED


def _told(statuses: list[int]) -> str:
    """Which workers ended, and how: "worker 1 was killed by SIGKILL"."""
    parts = []
    for index, status in enumerate(statuses):
        if status < 0:
            name = signal.Signals(-status).name
            parts.append(f"worker {index} was killed by {name}")
        elif status:
            parts.append(f"worker {index} ended with status {status}")
    return ", ".join(parts)


def _signal(workers: list[subprocess.Popen], number: int) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(number)


def _say(text: str) -> None:
    print(f"training.launch: {text}", file=sys.stderr, flush=True)


def lines(hosts: Sequence[str], fit: Sequence[str]) -> str:
    """What to type on each of several machines."""
    command = shlex.join(["python", "-m", "training.fit", *fit])
    return "\n".join(
        f"# on {host}\nTF_CONFIG={shlex.quote(tf_config(hosts, index))} "
        f"{command}"
        for index, host in enumerate(hosts)
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--workers", type=int, help="how many, on this machine")
    where.add_argument(
        "--hosts", help="print for these instead: name:port,name:port,..."
    )
    parser.add_argument(
        "--index", type=int, help="print the TF_CONFIG of this host alone"
    )
    parser.add_argument(
        "--gpus-each", type=int, default=0, help="GPUs for each worker"
    )
    parser.add_argument(
        "--restarts", type=int, default=3, help="how often, at most (3)"
    )
    parser.add_argument(
        "fit",
        nargs=argparse.REMAINDER,
        metavar="NAME ...",
        help="what training.fit is given, the experiment's name first",
    )
    flags = parser.parse_args(arguments)
    hosts = flags.hosts.split(",") if flags.hosts else []
    if flags.workers is not None and flags.workers < 1:
        parser.error(f"--workers is {flags.workers}; expected at least 1")
    if not all(host.rpartition(":")[2].isdigit() for host in hosts):
        parser.error(f"--hosts {flags.hosts}: each needs a port, as a:12345")
    if flags.index is not None and flags.index not in range(len(hosts)):
        parser.error(f"--index {flags.index}: --hosts has {len(hosts)}")
    gpus, wanted = visible_gpus(), (flags.workers or 0) * flags.gpus_each
    if gpus and wanted > len(gpus):
        parser.error(
            f"{flags.workers} workers with {flags.gpus_each} GPUs each need "
            f"{wanted}; {VISIBLE} has {len(gpus)}"
        )
    flags.hosts = hosts
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the run's exit status."""
    flags = parse(sys.argv[1:] if arguments is None else arguments)
    if flags.index is not None:
        print(tf_config(flags.hosts, flags.index))
        return exit_status.COMPLETE
    if flags.hosts:
        print(lines(flags.hosts, flags.fit))
        return exit_status.COMPLETE
    # A wrong flag is told once, before any worker starts.
    from training import fit

    try:
        _, where = fit.parse(flags.fit)
    except ValueError as error:
        _say(str(error))
        return exit_status.FAILED
    workers = Workers(
        [sys.executable, "-m", "training.fit", *flags.fit],
        flags.workers,
        where.workdir / "logs",
        flags.gpus_each,
    )
    return supervise(workers.start, flags.restarts)


if __name__ == "__main__":
    sys.exit(main())
