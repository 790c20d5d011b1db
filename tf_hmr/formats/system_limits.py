"""Errors of a process that has too many files open: no file is damaged.

Readers of files that take any error for damage ask here first.
"""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

CURE = (
    "As many files are open as the system allows; no file is damaged. Raise "
    "the limit (`ulimit -n 65536`), and run the same command again."
)
_TEXT = "Too many open files"  # TensorFlow and HDF5 give the text alone.


def is_reached(error: BaseException) -> bool:
    """Whether an error says that too many files are open."""
    numbers = (errno.EMFILE, errno.ENFILE)
    return getattr(error, "errno", None) in numbers or _TEXT in str(error)


@contextlib.contextmanager
def told(path: str | Path) -> Iterator[None]:
    """Tells of too many open files in place of errors of this block.

    Args:
        path: of the file that the block opens.

    Raises:
        OSError: too many files are open.
    """
    try:
        yield
    except OSError as error:
        check(error, path)
        raise


def check(error: BaseException, path: str | Path) -> None:
    """Raises an OSError in place of `error` if too many files are open.

    Args:
        error: raised while a file was read.
        path: of the file.
    """
    if is_reached(error):
        raise OSError(errno.EMFILE, f"{path} cannot be opened. {CURE}")
