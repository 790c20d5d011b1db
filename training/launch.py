r"""Starts the workers of one training run and keeps them together.

    python -m training.launch --workers 2 quick --workdir runs/two
    python -m training.launch --workers 4 --gpus-each 2 hmr --records data
    python -m training.launch --hosts a:12345,b:12345 hmr    # prints lines
    python -m training.launch --hosts a:12345,b:12345 --index 0

Arguments after the experiment's name go to `training.fit` unchanged. Worker 0
prints to this terminal, the others to WORKDIR/logs. When a worker dies, all are
restarted from the last checkpoint; Ctrl-C, SIGTERM or a terminal that is closed
lets them save and end. On several machines a scheduler starts `training.fit` on
each, with the TF_CONFIG printed here and a --workdir shared by all.
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

# The others notice the death of a worker after about 7 s, and report it.
GRACE_S = 30.0
# On SIGTERM a worker ends its step and saves; while it waits for its peers to
# start, it does not react to SIGTERM.
STOP_S = 120.0
POLL_S = 0.1
# The workers have sessions of their own: what ends this process leaves them.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Exit statuses of workers that ended only because another one did, or a signal.
SECONDARY = (exit_status.PEER_LOST, exit_status.STOPPED)

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
    """Free addresses ("127.0.0.1:port") on this machine."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [
            f"127.0.0.1:{listener.getsockname()[1]}" for listener in sockets
        ]
    finally:
        for listener in sockets:
            listener.close()


def visible_gpus() -> list[str]:
    """GPUs that a scheduler assigned to this process; [] if it set none."""
    return [name for name in os.environ.get(VISIBLE, "").split(",") if name]


@dataclasses.dataclass(frozen=True)
class Workers:
    """Workers of a run on this machine."""

    command: Sequence[str]
    """Command of each worker."""
    count: int
    """Number of workers."""
    logs: Path
    """Folder for the output of workers 1, 2, ..."""
    gpus_each: int = 0
    """GPUs of each worker, out of the visible ones; 0: each sees all."""

    def start(self) -> list[subprocess.Popen]:
        """Starts all workers, on free ports."""
        self.logs.mkdir(parents=True, exist_ok=True)
        hosts = free_hosts(self.count)
        return [self._start_one(hosts, index) for index in range(self.count)]

    def _start_one(self, hosts: list[str], index: int) -> subprocess.Popen:
        environment = os.environ | {"TF_CONFIG": tf_config(hosts, index)}
        if self.gpus_each:
            first_gpu = index * self.gpus_each
            count = self.count * self.gpus_each
            gpus = (visible_gpus() or [*map(str, range(count))])[first_gpu:]
            environment[VISIBLE] = ",".join(gpus[: self.gpus_each])
        # In a session of their own: Ctrl-C reaches them only through
        # `supervise`, as one SIGTERM.
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
    """Runs workers to their end; restarts all when one dies.

    Args:
        start: starts every worker.
        restarts: maximum number of restarts.
        grace_s: seconds that the others have to exit by themselves.
        stop_s: seconds that all have to save when this process is stopped.

    Returns:
        The exit status for the whole run: see training.engine.exit_status.
    """
    deadline = [math.inf]  # of a requested stop

    def stop(*_):
        deadline[0] = min(deadline[0], time.monotonic() + stop_s)
        _signal(workers, signal.SIGTERM)

    # First, so that no signal ends this process and leaves workers alone.
    workers: list[subprocess.Popen] = []
    previous_handlers = {
        s: signal.signal(s, stop)
        for s in STOPS
        # nohup ignores the end of a terminal, for all that it starts.
        if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN
    }
    try:
        workers = start()
        if deadline[0] < math.inf:
            _signal(workers, signal.SIGTERM)
        while True:
            statuses = _wait(workers, grace_s, deadline)
            status = _verdict(statuses)
            if status != exit_status.PEER_LOST:
                return status
            exits = _describe_exits(statuses)
            if deadline[0] < math.inf:
                _report(f"{exits}, before it had saved.")
                return status
            if not restarts:
                _report(f"{exits}; no restart is left (--restarts).")
                return status
            restarts -= 1
            _report(
                f"{exits}; starting all of them again from the last checkpoint "
                f"({restarts} more restarts)."
            )
            workers = start()
            if deadline[0] < math.inf:
                _signal(workers, signal.SIGTERM)
    finally:
        _signal(workers, signal.SIGKILL)
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def _wait(
    workers: list[subprocess.Popen], grace_s: float, stop: list[float]
) -> list[int]:
    """Exit statuses of all workers, once all have exited or were killed."""
    deadline = math.inf
    while None in (statuses := [worker.poll() for worker in workers]):
        ended = [status for status in statuses if status is not None]
        if any(ended) and deadline == math.inf:
            # A failure explains itself: no need to wait for the others.
            failed = exit_status.FAILED in ended
            deadline = time.monotonic() + (0 if failed else grace_s)
        if time.monotonic() > min(deadline, stop[0]):
            _signal(workers, signal.SIGKILL)
        time.sleep(POLL_S)
    return statuses


def _verdict(statuses: list[int]) -> int:
    """Exit status of the run as a whole."""
    if not any(statuses):
        return exit_status.COMPLETE
    own_failures = [
        s for s in statuses if s not in (exit_status.COMPLETE, *SECONDARY)
    ]
    failed = [status for status in own_failures if status > 0]
    if failed:
        return exit_status.FAILED
    if own_failures or exit_status.PEER_LOST in statuses:
        return exit_status.PEER_LOST
    return exit_status.STOPPED


def _describe_exits(statuses: list[int]) -> str:
    """Workers that failed, in words: "worker 1 was killed by SIGKILL"."""
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


def _report(text: str) -> None:
    print(f"training.launch: {text}", file=sys.stderr, flush=True)


def lines(hosts: Sequence[str], fit: Sequence[str]) -> str:
    """Commands to type on each of several machines."""
    command = shlex.join(["python", "-m", "training.fit", *fit])
    return "\n".join(
        f"# on {host}\nTF_CONFIG={shlex.quote(tf_config(hosts, index))} "
        f"{command}"
        for index, host in enumerate(hosts)
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument(
        "--workers", type=int, help="number of workers on this machine"
    )
    mode.add_argument(
        "--hosts",
        help="print commands for these hosts: name:port,name:port,...",
    )
    parser.add_argument(
        "--index", type=int, help="print only the TF_CONFIG of this host"
    )
    parser.add_argument(
        "--gpus-each", type=int, default=0, help="GPUs for each worker"
    )
    parser.add_argument(
        "--restarts", type=int, default=3, help="maximum number of restarts (3)"
    )
    parser.add_argument(
        "fit",
        nargs=argparse.REMAINDER,
        metavar="NAME ...",
        help="arguments of training.fit, the experiment's name first",
    )
    flags = parser.parse_args(arguments)
    hosts = flags.hosts.split(",") if flags.hosts else []
    if flags.workers is not None and flags.workers < 1:
        parser.error(f"--workers is {flags.workers}; expected at least 1")
    if not all(host.rpartition(":")[2].isdigit() for host in hosts):
        parser.error(f"--hosts {flags.hosts}: each needs a port, as a:12345")
    if flags.index is not None and flags.index not in range(len(hosts)):
        parser.error(f"--index {flags.index}: --hosts has {len(hosts)}")
    gpus, gpus_needed = visible_gpus(), (flags.workers or 0) * flags.gpus_each
    if gpus and gpus_needed > len(gpus):
        parser.error(
            f"{flags.workers} workers with {flags.gpus_each} GPUs each need "
            f"{gpus_needed}; {VISIBLE} has {len(gpus)}"
        )
    flags.hosts = hosts
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the run's exit status."""
    flags = parse(sys.argv[1:] if arguments is None else arguments)
    if flags.index is not None:
        print(tf_config(flags.hosts, flags.index))
        return exit_status.COMPLETE
    if flags.hosts:
        print(lines(flags.hosts, flags.fit))
        return exit_status.COMPLETE
    try:
        # A wrong flag is reported once, before any worker starts.
        from training import fit

        _, locations = fit.parse(flags.fit)
        workers = Workers(
            [sys.executable, "-m", "training.fit", *flags.fit],
            flags.workers,
            locations.workdir / "logs",
            flags.gpus_each,
        )
        return supervise(workers.start, flags.restarts)
    except (OSError, ValueError) as error:
        _report(str(error))
        return exit_status.FAILED
    except KeyboardInterrupt:
        _report("Stopped before any worker was started.")
        return exit_status.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
