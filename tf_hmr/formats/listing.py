"""Lists the files of a folder without those that systems put beside them."""

import os
from collections.abc import Iterator
from pathlib import Path

_ANY_DEPTH = "**/"
# Windows' settings and pictures of a folder; the rest begins with a dot, such
# as the ._NAME that macOS writes beside NAME on other systems' disks.
_OF_SYSTEMS = ("desktop.ini", "thumbs.db")


def files(folder: Path, *patterns: str) -> list[Path]:
    """Lists what matches any of some patterns, sorted, each path once.

    Names that begin with a dot, of files and of folders on the way to them,
    and files that Windows makes are passed over. Folders that are links are
    entered as any other, but no folder more than once: a link to a folder
    that is listed anyway, or to one above, adds nothing.

    Args:
        folder: where to look; its own name does not matter.
        patterns: as of Path.glob; "**/" at the beginning looks at any depth.
    """
    paths = set()
    for pattern in patterns:
        if pattern.startswith(_ANY_DEPTH):
            rest = pattern.removeprefix(_ANY_DEPTH)
            for inner in _folders(folder):
                paths.update(inner.glob(rest))
        else:
            paths.update(folder.glob(pattern))
    return sorted(path for path in paths if _is_data(path.relative_to(folder)))


def _folders(root: Path) -> Iterator[Path]:
    """Lists a folder and all below it; a linked one only if it is not there.

    `Path.glob` enters no links at any depth, and `os.walk` those of a loop
    again and again.
    """
    seen: set[tuple[int, int]] = set()
    roots = [root]
    while roots:
        links = []
        for start in roots:
            for name, names, _ in os.walk(start):
                status = os.stat(name)
                key = status.st_dev, status.st_ino
                if key in seen:
                    names.clear()
                    continue
                seen.add(key)
                yield Path(name)
                # A hidden link must not take the place of another.
                names[:] = sorted(n for n in names if not n.startswith("."))
                inner = [Path(name, n) for n in names]
                links += [path for path in inner if path.is_symlink()]
        roots = links


def _is_data(path: Path) -> bool:
    hidden = any(name.startswith(".") for name in path.parts)
    return not hidden and path.name.lower() not in _OF_SYSTEMS
