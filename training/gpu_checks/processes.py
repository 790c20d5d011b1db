"""Runs a check in a process of its own.

Devices, determinism and peak memory are fixed for the life of a process, and a
GPU's driver may end it. The processes are forked from a server that has
imported TensorFlow and never used it.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from typing import Any

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["training.gpu_checks.networks"])


class CheckError(RuntimeError):
    """A process found no result; its message is one line."""


class NoMemoryError(CheckError):
    """What the process computed does not fit into memory."""


def call(
    function: Callable,
    *arguments: Any,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """The result of a function in a fresh process.

    Args:
        function: can be imported by its name.
        *arguments: can be pickled, as its result can.
        environment: variables of the process, beside those of this one.

    Raises:
        NoMemoryError: the device or the machine has too little memory.
        CheckError: it raised an error, or was killed; says which.
    """
    receiver, sender = _SERVER.Pipe(duplex=False)
    process = _SERVER.Process(
        target=_run, args=(sender, function, arguments, environment or {})
    )
    process.start()
    sender.close()
    try:
        kind, content = receiver.recv()
    except EOFError:
        process.join()
        raise _ended(process.exitcode) from None
    finally:
        receiver.close()
    process.join()
    if kind == "result":
        return content
    raise (NoMemoryError if kind == "memory" else CheckError)(content)


def _ended(status: int | None) -> CheckError:
    """The error of a process that ended without a result."""
    if status == -signal.SIGKILL:
        # By the kernel, as a rule: the machine's memory is used up.
        return NoMemoryError("killed by SIGKILL, as for want of memory")
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return CheckError(f"the process was ended by {name}")
    return CheckError(f"the process ended with status {status}")


def _run(sender, function, arguments, environment) -> None:
    os.environ.update(environment)
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    try:
        message = ("result", function(*arguments))
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        message = ("memory", _first_line(error))
    except (ValueError, OSError) as error:  # Their messages name the cure.
        message = ("error", _first_line(error))
    except Exception as error:
        traceback.print_exc()
        message = ("error", f"{type(error).__name__}: {_first_line(error)}")
    sender.send(message)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
