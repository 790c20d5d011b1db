"""Your own photos, with keypoints in COCO's or OpenPose's format.

Most annotation tools export COCO's format; the joints are identified by the
names under categories[].keypoints. Photos with an EXIF orientation are stored
upright, which is how both kinds of tools show them.
"""

import dataclasses
import functools
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.formats import image_files, json_files, openpose_files
from tf_hmr.geometry import crop
from training.data.readers import coco as coco_files
from training.data.readers import writing

NAME = "coco-like"
MIN_CONFIDENCE = 0.2
"""Confidence above which akanazawa/hmr: src/util/openpose.py takes a joint."""

_ROOM = 1.2
_PEOPLE_PER_TASK = 16
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclasses.dataclass
class Options(writing.Options):
    """Reads your own photos for training.

    --root holds annotations.json in COCO's format and images/; or images/
    alone with OpenPose's NAME_keypoints.json beside each NAME.jpg
    (openpose --image_dir images --write_json images). The keypoints are
    2D, so mix the photos with a dataset that has poses:

      python -m training.prepare coco-like --root photos --out data/photos
      python -m training.fit hmr --records data/synthetic data/photos

    Look at data/photos/train.png first: blue is the right side of a person.
    """

    split: Literal["train", "val"] = "train"
    """Split that the photos belong to; see --held-out."""
    least: int = 6
    """Minimum number of labelled keypoints of a person."""
    held_out: float = 0.0
    """Share of the photos that --split train leaves out and --split val takes,
    for choosing the best model. Selected by file name, so it is stable."""


class Person(NamedTuple):
    """One person in COCO's format; OpenPose's people are converted to it."""

    labels: coco_files.Annotated
    names: tuple[str, ...]


class Task(NamedTuple):
    """Some of the people."""

    folder: Path
    least: int
    people: list[Person]


def run(options: Options) -> None:
    """Writes the records."""
    folder = options.root / "images"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: it should hold your photos. See "
            "python -m training.prepare coco-like --help."
        )
    path = options.root / "annotations.json"
    people = _read_coco(path) if path.exists() else _read_openpose(folder)
    people = [
        person for person in people if _is_in_split(options, person.labels.file)
    ]
    tasks = [
        Task(folder, options.least, people[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for labels, names in task.people:
        rules = functools.partial(_rules, task.least)
        yield coco_files.person(
            task.folder, labels, rules, NAME, names, upright
        )


def upright(path: Path) -> Path | np.ndarray:
    """The path, or (H, W, 3) BGR if the photo must be rotated."""
    encoded = path.read_bytes() if path.exists() else b""
    if b"Exif\x00\x00" not in encoded[:65536]:
        return path
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        upright_image = image_files.decode(encoded)
        stored_image = image_files.decode(encoded, flags)
    except image_files.BadImage:  # The reader of the path says why.
        return path
    if np.array_equal(upright_image, stored_image):
        return path
    return upright_image


def _rules(
    least: int, annotated: coco_files.Annotated, points: coco_files.Points
):
    if len(points) < least:
        return f"fewer than {least} labelled keypoints"
    box = annotated.annotation.get("bbox")
    if box and min(box[2:]) > 0:
        return tuple(box)
    xy = np.array([point[:2] for point in points.values()])
    if not np.ptp(xy, axis=0).any():
        return "all keypoints in one place"
    return crop.box_of_keypoints(xy, np.ones(len(xy)), _ROOM)


def _read_coco(path: Path) -> list[Person]:
    people = coco_files.read(path)
    names = _names(path)
    return [Person(annotated, names) for annotated in people]


def _names(path: Path) -> tuple[str, ...]:
    """Joint names of the first category; COCO's if it has none.

    Raises:
        ValueError: none of them is one of KEYPOINTS.
    """
    categories = json_files.loads(path.read_bytes()).get("categories") or [{}]
    try:
        names = categories[0].get("keypoints", joints.COCO17)
        known_names = set(names) & set(joints.KEYPOINTS)
    except (AttributeError, IndexError, KeyError, TypeError):
        names, known_names = (), set()
    if not known_names:
        raise ValueError(
            f"{path} names the keypoints {list(names)}; none is known. "
            f"Expected some of {list(joints.KEYPOINTS)}."
        )
    return tuple(names)


def _read_openpose(folder: Path) -> list[Person]:
    people = []
    for path in sorted(folder.iterdir()):
        labels = path.with_name(f"{path.stem}_keypoints.json")
        if path.suffix.lower() not in _IMAGE_SUFFIXES or not labels.exists():
            continue
        detections = openpose_files.read(labels)
        for number, (names, keypoints) in enumerate(detections, start=1):
            keypoints[:, 2] = keypoints[:, 2] > MIN_CONFIDENCE
            annotation = {"id": number, "keypoints": keypoints.ravel().tolist()}
            annotated = coco_files.Annotated(path.name, (0, 0), annotation)
            people.append(Person(annotated, names))
    if not people:
        raise FileNotFoundError(
            f"{folder.parent} has no annotations.json, and {folder} no "
            "NAME_keypoints.json beside a NAME.jpg: nobody is labelled. See "
            "python -m training.prepare coco-like --help."
        )
    return people


def _is_in_split(options: Options, file: str) -> bool:
    held_out = zlib.crc32(file.encode()) / 2**32 < options.held_out
    return held_out == (options.split == "val" and options.held_out > 0)
