"""Photos and videos of one's own, labelled by fits to landmarks.

Everybody is found and fitted as `python -m tf_hmr` does; fits near their
landmarks become labels. Nobody has measured these people: a network that learns
from them learns what the fits say. So the mean pose of the labels is measured
against those that are held out: what a network makes of them means something
only below that.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Literal

from tf_hmr.formats import image_files, listing, video_reading
from training.data.readers import writing

NAME = "people"

MAX_ERROR_PX = 8.0
"""Fits farther from their landmarks, in the mean at 224 pixels, are no
labels."""

_PHOTOS_PER_TASK = 8


@dataclasses.dataclass
class Options(writing.Options):
    """Labels people in photos and videos of one's own by fits.

    --root holds them, at any depth; from videos a frame a second is taken.
    """

    split: Literal["train"] = "train"
    """Of those that are not held out."""
    held_out: float = 0.0
    """Share of the photos and videos that become split 'val' instead: whole
    files, chosen by their names."""
    max_error_px: float = MAX_ERROR_PX
    """Fits farther from their landmarks, at 224 px, are left out."""
    shard_size: int = 20
    """People per file: some experiments take two files or more."""
    workers: int | None = 1
    """Number of reading processes; each has TensorFlow of its own."""


def run(options: Options) -> None:
    """Writes the records, and says what their mean pose is worth.

    Raises:
        FileNotFoundError, ValueError: --root holds no photos or videos, a
            network is missing, or a share or an error is no such number.
    """
    if not 0 <= options.held_out < 1:
        raise ValueError(
            f"--held-out {options.held_out}: expected a share from 0 to 1."
        )
    if not options.max_error_px > 0:
        raise ValueError(
            f"--max-error-px {options.max_error_px}: expected pixels above 0."
        )
    paths = _paths(options.root)
    held_out = {
        path
        for path in paths
        if _number(path.relative_to(options.root)) < options.held_out
    }
    parts = {options.split: [path for path in paths if path not in held_out]}
    if options.held_out:
        parts["val"] = sorted(held_out)
    for split, part in parts.items():
        if not part:
            raise ValueError(
                f"--held-out {options.held_out} of {len(paths)} files leaves "
                f"none for {split!r}."
            )
    # Not at the top: it imports TensorFlow.
    from training.data.readers import fitted_people

    fitted_people.seeker()  # Says here what is missing, not in each process.
    for split, part in parts.items():
        tasks = [
            fitted_people.Task(options.root, group, options.max_error_px)
            for group in _groups(part)
        ]
        part_options = dataclasses.replace(options, split=split)
        writing.write(NAME, part_options, tasks, fitted_people.read)
    if options.held_out:
        print(fitted_people.summary(options.out))


def _paths(root: Path) -> list[Path]:
    """All photos and videos below a folder.

    Raises:
        FileNotFoundError: there is none.
    """
    suffixes = image_files.SUFFIXES + video_reading.SUFFIXES
    paths = [
        path
        for path in listing.files(root, "**/*")
        if path.suffix.lower() in suffixes and path.is_file()
    ]
    if not paths:
        raise FileNotFoundError(
            f"{root}: no photo or video below it; expected files ending in "
            f"{', '.join(suffixes)}."
        )
    return paths


def _number(path: Path) -> float:
    """A number from 0 to 1 that a file's name settles, whatever is beside."""
    digest = hashlib.sha256(path.as_posix().encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _groups(paths: list[Path]) -> list[list[Path]]:
    """Files that are read together: some photos, or a video."""
    videos = [p for p in paths if p.suffix.lower() in video_reading.SUFFIXES]
    photos = [path for path in paths if path not in set(videos)]
    groups = [
        photos[start : start + _PHOTOS_PER_TASK]
        for start in range(0, len(photos), _PHOTOS_PER_TASK)
    ]
    return groups + [[video] for video in videos]
