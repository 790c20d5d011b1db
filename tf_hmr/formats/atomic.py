"""Files that are written whole or not at all, also when the power fails.

A rename alone orders nothing on the disk: after a power cut the new name may
hold an empty file. So the content is on the disk before the rename, and the
rename before the writer goes on.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Writes a file under another name, which then takes the file's place.

    A reader sees the old file or the new one, also after a kill or a power
    cut. Where the block fails, the old file stays and the other name is
    removed.

    Args:
        path: of the file; its folder exists.

    Yields:
        The path to write to, in the same folder and of the same ending.

    Raises:
        OSError: the file cannot be written; names `path`.
    """
    path = Path(path)
    part = path.with_name(f"part.{path.name}")
    try:
        yield part
        rename(part, path)
    except OSError as error:
        # A full disk is told by the system without a name.
        if not error.errno or error.filename not in (None, str(part)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        # Where files cannot be written, they cannot be removed either; the
        # writer's error says so.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def rename(part: str | Path, path: str | Path) -> None:
    """Gives a file that is written and closed the name of `path`, durably.

    Args:
        part: the file, in the folder of `path`.
        path: its new name; a file of that name is replaced.
    """
    sync(part)
    os.replace(part, path)
    sync_folder(Path(path).parent)


def sync(path: str | Path) -> None:
    """Waits until the content of a file is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: str | Path) -> None:
    """Waits until the names in a folder are on the disk, where it can be."""
    # Some file systems and Windows cannot open or sync folders.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
