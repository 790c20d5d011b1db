"""A tf.data service: other processes or hosts make the training batches.

    python -m training.data_service dispatcher --port 5050
    python -m training.data_service worker --dispatcher HOST:5050
    python -m training.fit hmr --data.service HOST:5050

One dispatcher, and a worker on every host that has cores to spare; each must
see the records at the same paths, and give its own address with --host where
others do not reach it as it calls itself. Ctrl-C or SIGTERM ends a server.
The workers of a run may come and go; exact resume needs the local pipeline.
"""

import dataclasses
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Annotated

# Dropped records are told of by warnings, which are off elsewhere.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"

import tensorflow as tf  # noqa: E402
import tyro  # noqa: E402

from training.data.pipeline import service as stream
from training.engine import exit_status

_REPORT_S = 10.0


@dataclasses.dataclass(frozen=True)
class Dispatcher:
    """Shares out the work; makes nothing itself."""

    port: int = 5050
    """Where workers and training find it; 0 takes a free one."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """Reads, decodes and lays out pictures."""

    dispatcher: str
    """HOST:PORT of the dispatcher."""
    host: str = dataclasses.field(default_factory=socket.gethostname)
    """This machine, as the training process reaches it."""
    port: int = 0
    """Where training fetches batches; 0 takes a free one."""


def start(what: Dispatcher | Worker):
    """The running server, and a function that says what it does.

    Raises:
        ValueError: the port is taken, or no dispatcher answers.
    """
    service = tf.data.experimental.service
    try:
        if isinstance(what, Dispatcher):
            server = service.DispatchServer(
                service.DispatcherConfig(port=what.port)
            )
            address = server.target.removeprefix("grpc://")
            print(f"The dispatcher listens at {address}.", flush=True)
            return server, lambda: f"{server._num_workers()} workers"
        stream.check_answers(what.dispatcher)
        port = what.port or _free_port()
        server = service.WorkerServer(
            service.WorkerConfig(
                dispatcher_address=what.dispatcher,
                worker_address=f"{what.host}:{port}",
                port=port,
            )
        )
    except tf.errors.OpError as error:
        raise ValueError(
            f"The server did not start on port {what.port}: {error.message} "
            "Choose another --port, or end what listens there."
        ) from error
    print(f"The worker listens at {what.host}:{port}.", flush=True)
    return server, lambda: f"making {server._num_tasks()} streams of batches"


def serve(server, describe: Callable[[], str], ended: threading.Event) -> None:
    """Until `ended`; a line whenever what it does has changed."""
    told = ""
    while not ended.wait(_REPORT_S if told else 0.0):
        told, before = describe(), told
        if told != before:
            print(told, flush=True)
    server._stop()
    print("Ended.", flush=True)


def _free_port() -> int:
    with socket.create_server(("", 0)) as listening:
        return listening.getsockname()[1]


def main(arguments: list[str] | None = None) -> int:
    """Command line; a status of training.engine.exit_status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    subcommand = tyro.conf.subcommand
    what = tyro.cli(
        Annotated[Dispatcher, subcommand("dispatcher")]
        | Annotated[Worker, subcommand("worker")],
        prog="python -m training.data_service",
        description=__doc__,
        args=arguments,
    )
    # Before anybody is told that it listens, and may ask it to end.
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        serve(*start(what), ended)
    except ValueError as error:
        print(f"training.data_service: {error}", file=sys.stderr)
        return exit_status.FAILED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return exit_status.COMPLETE


if __name__ == "__main__":
    sys.exit(main())
