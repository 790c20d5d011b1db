"""Lists the files of a folder without those that systems put beside them."""

from pathlib import Path

# Windows' settings and pictures of a folder; the rest begins with a dot, such
# as the ._NAME that macOS writes beside NAME on other systems' disks.
_OF_SYSTEMS = ("desktop.ini", "thumbs.db")


def files(folder: Path, *patterns: str) -> list[Path]:
    """Lists what matches any of some patterns, sorted, each path once.

    Names that begin with a dot, of files and of folders on the way to them,
    and files that Windows makes are passed over.

    Args:
        folder: where to look; its own name does not matter.
        patterns: as of Path.glob; "**/" looks at any depth.
    """
    paths = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path for path in paths if _is_data(path.relative_to(folder)))


def _is_data(path: Path) -> bool:
    hidden = any(name.startswith(".") for name in path.parts)
    return not hidden and path.name.lower() not in _OF_SYSTEMS
