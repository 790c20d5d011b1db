"""Files that are written whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Writes a file under another name, which then takes the file's place.

    A reader sees the old file or the new one, also after a kill. Where the
    block fails, the old file stays and the other name is removed.

    Args:
        path: of the file; its folder exists.

    Yields:
        The path to write to, in the same folder and of the same ending.
    """
    path = Path(path)
    part = path.with_name(f"part.{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
