"""Reads 2D people from the files of detectors and annotators.

OpenPose's json, one file per photo, or a folder of them (openpose_files.py);
COCO's annotations with images and keypoints; or COCO's list of results, whose
third numbers are confidences (cocodataset.org: format-data, format-results).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import json_files, listing, openpose_files

_KINDS = (
    "OpenPose's json (people[].pose_keypoints_2d), COCO's annotations (images "
    "and annotations[].keypoints) or COCO's list of results ([{image_id, "
    "keypoints}, ...])"
)
_OPENPOSE_END = "_keypoints"
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)


class Person2D(NamedTuple):
    """The keypoints of one person.

    Attributes:
        photo: name of the photo without its ending, unique in the file.
        number: number of the person in the photo, from 0.
        keypoints: (29, 3) in joints.KEYPOINTS order: x, y in pixels (the
            centre of the first pixel is (0, 0)) and confidence; 0 for joints
            that the file does not have.
        size: width and height of the photo, if known.
        file_name: file name of the photo, if known.
    """

    photo: str
    number: int
    keypoints: np.ndarray
    size: tuple[int, int] | None = None
    file_name: str | None = None


def read(path: str | Path) -> list[Person2D]:
    """Reads the people of a file, or of a folder of OpenPose's files.

    Raises:
        FileNotFoundError: there is no such file, or no json in the folder.
        ValueError: a file is of none of the kinds above.
    """
    path = Path(path)
    if path.is_dir():
        files = listing.files(path, "*.json")
        if not files:
            raise FileNotFoundError(
                f"{path} holds no .json, expected OpenPose's files, one for "
                "each photo. Run OpenPose with --write_json."
            )
        return [person for file in files for person in _openpose(file)]
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file of keypoints.")
    try:
        content = json_files.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path} is not json: {error}. Expected {_KINDS}."
        ) from None
    if isinstance(content, dict) and "people" in content:
        return list(_openpose(path))
    try:
        return _numbered(_coco(content))
    except _DAMAGE as error:
        raise ValueError(
            f"{path} holds no keypoints that can be read ({error!r}). "
            f"Expected {_KINDS}."
        ) from error


def _openpose(path: Path) -> Iterator[Person2D]:
    photo = path.stem.removesuffix(_OPENPOSE_END)
    for number, (names, labels) in enumerate(openpose_files.read(path)):
        yield Person2D(photo, number, by_name(names, labels))


def _coco(content) -> Iterator[Person2D]:
    """People of each photo in the file's order, without crowds."""
    if isinstance(content, list):
        images, annotations = {}, content
    else:
        images = {image["id"]: image for image in content["images"]}
        annotations = content["annotations"]
    for annotation in annotations:
        if annotation.get("iscrowd") or not any(annotation["keypoints"][2::3]):
            continue
        labels = np.array(annotation["keypoints"], np.float64).reshape(-1, 3)
        if len(labels) != len(joints.COCO17) or not np.isfinite(labels).all():
            raise ValueError(
                f"{len(labels)} keypoints of a person, expected "
                f"{len(joints.COCO17)} finite ones"
            )
        image = images.get(annotation["image_id"], {}) if images else {}
        if not isinstance(content, list):
            # Annotators' flags: 1 labelled but hidden, 2 labelled and seen.
            labels[:, 2] = labels[:, 2] > 0
        name = image.get("file_name")
        size = (image["width"], image["height"]) if "width" in image else None
        photo = Path(name).stem if name else str(annotation["image_id"])
        points = by_name(joints.COCO17, labels)
        yield Person2D(photo, 0, points, size, name)


def _numbered(people: Iterator[Person2D]) -> list[Person2D]:
    """Numbers the people of each photo; photos differ by file name."""
    counts: dict = {}
    stems: dict[str, str | None] = {}
    numbered = []
    for person in people:
        first_file_name = stems.setdefault(person.photo, person.file_name)
        photo = person.photo
        if first_file_name != person.file_name:  # a/1.jpg and b/1.jpg
            photo = person.file_name.replace("/", "_")
        number = counts.get(photo, 0)
        counts[photo] = number + 1
        numbered.append(person._replace(photo=photo, number=number))
    return numbered


def by_name(names: tuple[str, ...], labels: np.ndarray) -> np.ndarray:
    """(29, 3) in joints.KEYPOINTS order, 0 for missing joints."""
    keypoints = np.zeros((len(joints.KEYPOINTS), 3), np.float32)
    for name, label in zip(names, labels, strict=True):
        if name in joints.KEYPOINTS and label[2] > 0:
            keypoints[joints.KEYPOINTS.index(name)] = label
    return keypoints
