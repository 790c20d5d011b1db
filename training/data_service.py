"""Runs a tf.data service: other processes or hosts make training batches.

    python -m training.data_service dispatcher --port 5050
    python -m training.data_service worker --dispatcher HOST:5050
    python -m training.fit hmr --data.service HOST:5050

It needs one dispatcher, and a worker on every host with spare cores; each must
see the records at the same paths, and needs --host if others cannot reach it by
its host name. Ctrl-C or SIGTERM ends a server. Workers may join or leave a run;
exact resume needs the local pipeline.
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

# Dropped records are reported by warnings, which are off elsewhere.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"

import tyro  # noqa: E402

from training.engine import exit_status  # noqa: E402

_REPORT_S = 10.0
_CURE = "Choose another --port, or end what listens there."


@dataclasses.dataclass(frozen=True)
class Dispatcher:
    """Distributes the work among the workers."""

    port: int = 5050
    """Port for workers and training; 0 takes a free one."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """Reads and decodes images and makes batches."""

    dispatcher: str
    """HOST:PORT of the dispatcher."""
    host: str = dataclasses.field(default_factory=socket.gethostname)
    """Name of this machine for the training process."""
    port: int = 0
    """Port that training fetches batches from; 0 takes a free one."""


def start(role: Dispatcher | Worker):
    """Starts a server; returns it with a function that describes its work.

    Raises:
        ValueError: the port is taken, or no dispatcher answers.
    """
    _check_free(role.port)
    # Not at the top: help and a wrong port need no TensorFlow.
    import tensorflow as tf

    from tf_hmr.formats import wording
    from training.data.pipeline import service as stream

    service = tf.data.experimental.service
    try:
        if isinstance(role, Dispatcher):
            server = service.DispatchServer(
                service.DispatcherConfig(port=role.port)
            )
            address = server.target.removeprefix("grpc://")
            print(f"The dispatcher listens at {address}.", flush=True)
            return server, lambda: f"{server._num_workers()} workers"
        stream.check_answers(role.dispatcher)
        port = role.port or _free_port()
        server = service.WorkerServer(
            service.WorkerConfig(
                dispatcher_address=role.dispatcher,
                worker_address=f"{role.host}:{port}",
                port=port,
            )
        )
    # TensorFlow's server of a dispatcher raises a RuntimeError of its own.
    except (tf.errors.OpError, RuntimeError) as error:
        first = wording.first_line(error)
        raise ValueError(
            f"The server did not start on port {role.port} ({first}). {_CURE}"
        ) from error
    print(f"The worker listens at {role.host}:{port}.", flush=True)
    return server, lambda: f"making {server._num_tasks()} streams of batches"


def serve(server, describe: Callable[[], str], ended: threading.Event) -> None:
    """Serves until `ended`; prints a line whenever the description changes."""
    description = ""
    while not ended.wait(_REPORT_S if description else 0.0):
        description, previous = describe(), description
        if description != previous:
            print(description, flush=True)
    server._stop()
    print("Ended.", flush=True)


def _check_free(port: int) -> None:
    """Refuses a port on which anything listens; 0 is free.

    TensorFlow's servers share a port with each other without a word, and
    each gets some of the calls.

    Raises:
        ValueError: it is in use, or no port.
    """
    try:
        if not 0 <= port < 2**16:
            raise OSError("expected 0 to 65535")
        with socket.create_server(("", port)):
            pass
    except OSError as error:
        raise ValueError(
            f"--port {port} cannot be listened at ({error}). {_CURE}"
        ) from None


def _free_port() -> int:
    with socket.create_server(("", 0)) as listening:
        return listening.getsockname()[1]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns one of training.engine.exit_status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    subcommand = tyro.conf.subcommand
    role = tyro.cli(
        Annotated[Dispatcher, subcommand("dispatcher")]
        | Annotated[Worker, subcommand("worker")],
        prog="python -m training.data_service",
        description=__doc__,
        args=arguments,
    )
    # Before the server prints its address: from then on it may be stopped.
    ended = threading.Event()
    previous_handlers = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        serve(*start(role), ended)
    except ValueError as error:
        print(f"training.data_service: {error}", file=sys.stderr)
        return exit_status.FAILED
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
    return exit_status.COMPLETE


if __name__ == "__main__":
    sys.exit(main())
