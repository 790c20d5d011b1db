r"""Matches photos with the names that files of labels have for them.

Labels name a photo by its file name, with folders of another machine
(images/a.jpg, C:\images\a.jpg), without ending (a), or by COCO's number of it:
139 is 000000000139.jpg or COCO_val2014_000000000139.jpg.
"""

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from tf_hmr.formats import image_files, listing

_COCO_NUMBER = re.compile(r"(?:.*_)?([0-9]{12})|([0-9]{1,18})")


class NameIndex:
    """Names among which one is looked up by another name of the same photo."""

    def __init__(self, names: Iterable[str]):
        """Sorts the names by what two names of one photo have in common."""
        self._groups: dict[tuple, list[str]] = {}
        for name in dict.fromkeys(names):
            for key in _keys(name):
                self._groups.setdefault(key, []).append(name)

    def matching(self, name: str) -> list[str]:
        """Returns the names that fit best; empty when none does.

        These have the same file name; else the same one but for upper and
        lower case; else but for the ending; else the same number. Among
        them the folders decide, from the last one on.
        """
        for key in _keys(name):
            if key in self._groups:
                return _closest(name, self._groups[key])
        return []


def find(folder: Path, name: str) -> Path:
    """Finds the photo of a name in a folder or the folders below it.

    Args:
        folder: folder of photos.
        name: file name, path or number, as the labels have it.

    Raises:
        FileNotFoundError: no photo fits; the message says what was looked
            for.
        ValueError: several photos fit equally well.
    """
    stem = stem_of(name)
    names = [name, *(f"{stem}{suffix}" for suffix in image_files.SUFFIXES)]
    for candidate in names if stem else ():
        if _is_file(folder / candidate):
            return folder / candidate
    index = _index(folder, folder.stat().st_mtime_ns)
    matches = index.matching(name)
    if not matches:
        raise FileNotFoundError(
            f"{folder} holds no photo for {name!r}, neither by that name nor "
            f"as {stem!r} with one of the endings "
            f"{', '.join(image_files.SUFFIXES)}, nor by its number."
        )
    if len(matches) > 1:
        raise ValueError(
            f"{folder} holds {len(matches)} photos that fit {name!r}: "
            f"{', '.join(map(repr, matches[:3]))}. Expected one; leave only "
            "that one in the folder."
        )
    return folder / matches[0]


def stem_of(name: str) -> str:
    """The file name without folders and without a photo's ending."""
    parts = _parts(name)
    return _without_ending(parts[-1]) if parts else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a null character
        return False


@functools.lru_cache(maxsize=8)
def _index(folder: Path, mtime_ns: int) -> NameIndex:
    """The photos below a folder; read again when the folder has changed."""
    return NameIndex(
        path.relative_to(folder).as_posix()
        for path in listing.files(folder, "**/*")
        if path.suffix.lower() in image_files.SUFFIXES
    )


def _parts(name: str) -> list[str]:
    parts = name.replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..")]


def _without_ending(file: str) -> str:
    stem, ending = os.path.splitext(file)
    return stem if ending.lower() in image_files.SUFFIXES else file


def _keys(name: str) -> list[tuple]:
    """What two names of one photo have in common, the strictest first."""
    parts = _parts(name)
    if not parts:
        return []
    stem = _without_ending(parts[-1])
    keys = [
        ("file", parts[-1]),
        ("case", parts[-1].casefold()),
        ("stem", stem.casefold()),
    ]
    number = _COCO_NUMBER.fullmatch(stem)
    if number:
        keys.append(("number", int(number[1] or number[2])))
    return keys


def _closest(name: str, candidates: list[str]) -> list[str]:
    """The candidates whose folders agree best with those of a name.

    First those that name all folders which the shorter one of both has, then
    those with most folders in common, then those with no further folder.
    """
    folders = _parts(name)[:-1]

    def agreement(candidate: str) -> tuple[bool, int, bool]:
        others = _parts(candidate)[:-1]
        count = 0
        for one, other in zip(
            reversed(folders), reversed(others), strict=False
        ):
            if one != other:
                break
            count += 1
        shorter = min(len(folders), len(others))
        return count == shorter, count, len(folders) == len(others)

    best = max(map(agreement, candidates))
    return [name for name in candidates if agreement(name) == best]
