"""Reads 2D people from the files of detectors and annotators.

OpenPose's json, one file per photo, or a folder of them (openpose_files.py);
COCO's annotations with images and keypoints; or COCO's list of results, whose
third numbers are confidences (coco_annotations.py).
"""

import logging
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import (
    coco_annotations,
    file_names,
    json_files,
    keypoint_labels,
    left_out,
    listing,
    openpose_files,
    photo_files,
)

_KINDS = (
    "OpenPose's json (people[].pose_keypoints_2d), COCO's annotations (images "
    "and annotations[].keypoints) or COCO's list of results ([{image_id, "
    "keypoints}, ...])"
)
_OPENPOSE_END = "_keypoints"
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)

_log = logging.getLogger(__name__)


class Person2D(NamedTuple):
    """The keypoints of one person.

    Attributes:
        photo: name for the results of the photo, a safe component of a path
            without ending, unique in the file.
        number: number of the person in the photo, from 0.
        keypoints: (29, 3) in joints.KEYPOINTS order: x, y in pixels (the
            centre of the first pixel is (0, 0)) and confidence; 0 for joints
            that the file does not have.
        size: width and height of the photo, if known.
        file_name: the photo as the file names it: file name, id or stem.
        keypoint_scale: unit of x and y, a value of OpenPose's
            --keypoint_scale; see in_pixels.
    """

    photo: str
    number: int
    keypoints: np.ndarray
    size: tuple[int, int] | None = None
    file_name: str = ""
    keypoint_scale: int = keypoint_labels.PIXELS


def read(path: str | Path) -> list[Person2D]:
    """Reads the people of a file, or of a folder of OpenPose's files.

    People who cannot be read, and in a folder such files, are left out with
    a warning for each cause.

    Raises:
        FileNotFoundError: there is no such file, or no json in the folder.
        ValueError: a file is of none of the kinds above, or nobody can be
            read.
    """
    path = Path(path)
    if path.is_dir():
        files = listing.files(path, "*.json")
        if not files:
            raise FileNotFoundError(
                f"{path} holds no .json, expected OpenPose's files, one for "
                "each photo. Run OpenPose with --write_json."
            )
        return _openpose(path, files)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file of keypoints.")
    try:
        content = json_files.read(path)
    except ValueError as error:
        raise ValueError(
            f"{path} is not json: {error}. Expected {_KINDS}."
        ) from None
    if isinstance(content, dict) and "people" in content:
        return _openpose(path, [path])
    try:
        if isinstance(content, list):
            persons = coco_annotations.results(content)
        else:
            persons = coco_annotations.people(content)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} holds no keypoints that can be read ({error!r}). "
            f"Expected {_KINDS}."
        ) from error
    return _coco(path, persons, are_results=isinstance(content, list))


def in_pixels(person: Person2D, size: tuple[int, int]) -> Person2D:
    """The person with keypoints in pixels of a photo of width and height."""
    keypoints = keypoint_labels.to_pixels(
        person.keypoints, person.keypoint_scale, size
    )
    return person._replace(
        keypoints=keypoints, keypoint_scale=keypoint_labels.PIXELS
    )


def _openpose(path: Path, files: list[Path]) -> list[Person2D]:
    """People of OpenPose's files, which one run has written."""
    problems, result_names = left_out.LeftOut(), _ResultNames()
    people, people_labels, damage = [], [], None
    for file in files:
        stem = file.stem.removesuffix(_OPENPOSE_END)
        try:
            detections = openpose_files.read(file)
        except ValueError as error:
            damage = damage or error
            problems.add(file.name, "the file is not OpenPose's json")
            continue
        for number, names, labels, cause in detections:
            if cause:
                problems.add(f"person {number} of {file.name}", cause)
                continue
            people_labels.append(labels)
            photo = result_names.of(file.stem, stem)
            keypoints = by_name(names, labels)
            people.append(Person2D(photo, number, keypoints, file_name=stem))
    if damage and not people:
        raise damage
    _say_left_out(path, people, problems)
    scale = keypoint_labels.scale_of(people_labels)
    return [person._replace(keypoint_scale=scale) for person in people]


def _coco(
    path: Path,
    persons: Iterable[coco_annotations.Person],
    are_results: bool,
) -> list[Person2D]:
    """People with keypoints; those without any are passed over."""
    problems, result_names = left_out.LeftOut(), _ResultNames()
    people, counts = [], {}
    for row, (entry, names, image, cause) in enumerate(persons):
        try:
            if cause:
                raise ValueError(cause)
            labels = _labels(entry, names, are_results)
        except ValueError as error:
            identity = entry.get("id", f"number {row}")
            name = f"annotation {identity!r} of {image.name!r}"
            problems.add(name, str(error))
            continue
        if labels is None:
            continue
        photo = result_names.of(image.name, _stem(image.name, are_results))
        number = counts.get(photo, 0)
        counts[photo] = number + 1
        keypoints = by_name(names, labels)
        people.append(
            Person2D(photo, number, keypoints, image.size, image.name)
        )
    _say_left_out(path, people, problems)
    return people


def _stem(name: str, is_id: bool) -> str:
    """The file name of a photo without its ending; an id may have none."""
    if is_id:
        return photo_files.stem_of(name)
    return PurePosixPath(name.replace("\\", "/")).stem


def _labels(
    entry: dict, names: tuple[str, ...], are_results: bool
) -> np.ndarray | None:
    """(n, 3) x, y and confidence; None for a person without keypoints.

    Raises:
        ValueError: they are no such numbers.
    """
    values = entry.get("keypoints")
    if values is None or isinstance(values, list) and not values:
        raise ValueError("it has no keypoints")
    labels = keypoint_labels.parse(values)
    if len(labels) != len(names):
        raise ValueError(f"{len(labels)} keypoints, expected {len(names)}")
    if not (labels[:, 2] > 0).any():
        return None
    if not are_results:
        # Annotators' flags: 1 labelled but hidden, 2 labelled and seen.
        labels[:, 2] = labels[:, 2] > 0
    return labels


def _say_left_out(
    path: Path, people: list[Person2D], problems: left_out.LeftOut
) -> None:
    """Logs who is left out.

    Raises:
        ValueError: everybody is.
    """
    if problems and not people:
        raise ValueError(
            f"{path} holds no person who can be read: "
            f"{'; '.join(problems.lines())}. Expected {_KINDS}."
        )
    problems.log(_log, path)


class _ResultNames:
    """Names for the results of photos: safe, and each of one photo."""

    def __init__(self):
        self._names: dict[str, str] = {}
        self._used: set[str] = set()

    def of(self, photo: str, stem: str) -> str:
        """A photo's name: its stem; its whole name where that is used."""
        if photo not in self._names:
            name = file_names.path_component(stem)
            whole, number = file_names.path_component(photo), 1
            while name.casefold() in self._used:  # as some file systems compare
                name = whole if number == 1 else f"{whole}-{number}"
                number += 1
            self._used.add(name.casefold())
            self._names[photo] = name
        return self._names[photo]


def by_name(names: tuple[str, ...], labels: np.ndarray) -> np.ndarray:
    """(29, 3) in joints.KEYPOINTS order, 0 for missing joints."""
    keypoints = np.zeros((len(joints.KEYPOINTS), 3), np.float32)
    for name, label in zip(names, labels, strict=True):
        if name in joints.KEYPOINTS and label[2] > 0:
            keypoints[joints.KEYPOINTS.index(name)] = label
    return keypoints
