"""Folders that one of pytest's processes makes for all of them."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


def made(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """Makes a folder once a test run, whichever process needs it first.

    The others wait for it. Tests only read it.

    Args:
        tmp_path_factory: pytest's.
        name: of the folder.
        make: fills the folder, which exists.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # Each worker has a folder below the run's.
    folder, mark = root / f"shared-{name}", root / f"shared-{name}.made"
    with open(root / f"shared-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            # Of a process that failed on the way, there may be a part.
            folder.mkdir(exist_ok=True)
            make(folder)
            mark.touch()
    return folder
