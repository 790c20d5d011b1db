"""Locks a folder, so that two processes do not write it at once."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

LOCK_FILE = "lock"
log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(folder: Path, activity: str, option: str) -> Iterator[None]:
    """Makes a folder and locks it against other processes of this machine.

    The system releases the lock of a process that is killed. The file stays:
    removing it could let two processes lock two files of its name.

    Args:
        folder: to write to.
        activity: of the other process, for the error: "trains in".
        option: of the command line that names the folder: "--workdir".

    Raises:
        ValueError: another process holds the lock, or the lock is no file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    try:
        file = open(path, "w")
    except IsADirectoryError:
        raise ValueError(
            f"{path} is a folder, expected the file that locks {folder}. "
            f"Remove it, or choose another {option}."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"Another process {activity} {folder}. Wait for it or stop "
                f"it, or choose another {option}."
            ) from None
        except OSError:
            # Some network file systems have no locks.
            log.warning("%s cannot be locked.", folder)
        yield
