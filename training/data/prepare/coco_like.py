"""Your own photos, with keypoints in COCO's or OpenPose's format.

COCO's format is what most annotation tools export; the joints are known by
the names under categories[].keypoints. Photos that carry a turn (EXIF) are
stored upright, which is how both kinds of tools show them.
"""

import dataclasses
import functools
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.formats import json_files, openpose_files
from tf_hmr.geometry import crop
from training.data.readers import coco as coco_files
from training.data.readers import writing

NAME = "coco-like"
SURE = 0.2
"""Confidence above which akanazawa/hmr: src/util/openpose.py takes a joint."""

_ROOM = 1.2
_PEOPLE_PER_TASK = 16
_PICTURES = (".jpg", ".jpeg", ".png")


@dataclasses.dataclass
class Options(writing.Options):
    """Reads your own photos, to train on them.

    --root holds annotations.json in COCO's format and images/; or images/
    alone with OpenPose's NAME_keypoints.json beside each NAME.jpg
    (openpose --image_dir images --write_json images). The keypoints are
    2D, so mix the photos with a dataset that has poses:

      python -m training.prepare coco-like --root photos --out data/photos
      python -m training.fit hmr --records data/synthetic data/photos

    Look at data/photos/train.png first: blue is the right side of a person.
    """

    split: Literal["train", "val"] = "train"
    """What the photos are for; see --held-out."""
    least: int = 6
    """Fewest labelled keypoints of a person."""
    held_out: float = 0.0
    """Share of the photos that --split train leaves out, and --split val
    takes: to choose the best model by. By name, so it stays the same."""


class Person(NamedTuple):
    """One person: of COCO's format, or of OpenPose's as an annotation."""

    labels: coco_files.Annotated
    names: tuple[str, ...]


class Task(NamedTuple):
    """Some of the people."""

    folder: Path
    least: int
    people: list[Person]


def run(options: Options) -> None:
    """Makes the records."""
    folder = options.root / "images"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: it should hold your photos. See "
            "python -m training.prepare coco-like --help."
        )
    path = options.root / "annotations.json"
    people = _of_coco(path) if path.exists() else _of_openpose(folder)
    people = [each for each in people if _is_in(options, each.labels.file)]
    tasks = [
        Task(folder, options.least, people[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """The people of a task."""
    for labels, names in task.people:
        rules = functools.partial(_rules, task.least)
        yield coco_files.person(
            task.folder, labels, rules, NAME, names, upright
        )


def upright(path: Path) -> Path | np.ndarray:
    """The file, or (H, W, 3) BGR of a photo that has to be turned."""
    data = path.read_bytes() if path.exists() else b""
    if b"Exif\x00\x00" not in data[:65536]:
        return path
    stored = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    turned = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    if turned is None or np.array_equal(turned, cv2.imdecode(stored, flags)):
        return path
    return turned


def _rules(least: int, each: coco_files.Annotated, points: coco_files.Points):
    if len(points) < least:
        return f"fewer than {least} labelled keypoints"
    box = each.annotation.get("bbox")
    if box and min(box[2:]) > 0:
        return tuple(box)
    places = np.array([point[:2] for point in points.values()])
    if not np.ptp(places, axis=0).any():
        return "all keypoints in one place"
    return crop.box_of_keypoints(places, np.ones(len(places)), _ROOM)


def _of_coco(path: Path) -> list[Person]:
    people = coco_files.read(path)
    names = _names(path)
    return [Person(each, names) for each in people]


def _names(path: Path) -> tuple[str, ...]:
    """The names of the first category's joints; COCO's where it has none.

    Raises:
        ValueError: none of them is one of ours.
    """
    categories = json_files.loads(path.read_bytes()).get("categories") or [{}]
    try:
        names = categories[0].get("keypoints", joints.COCO17)
        known = set(names) & set(joints.KEYPOINTS)
    except (AttributeError, IndexError, KeyError, TypeError):
        names, known = (), set()
    if not known:
        raise ValueError(
            f"{path} names the keypoints {list(names)}; none is known. "
            f"Expected some of {list(joints.KEYPOINTS)}."
        )
    return tuple(names)


def _of_openpose(folder: Path) -> list[Person]:
    found = []
    for path in sorted(folder.iterdir()):
        labels = path.with_name(f"{path.stem}_keypoints.json")
        if path.suffix.lower() not in _PICTURES or not labels.exists():
            continue
        people = openpose_files.read(labels)
        for number, (names, values) in enumerate(people, start=1):
            values[:, 2] = values[:, 2] > SURE
            annotation = {"id": number, "keypoints": values.ravel().tolist()}
            each = coco_files.Annotated(path.name, (0, 0), annotation)
            found.append(Person(each, names))
    if not found:
        raise FileNotFoundError(
            f"{folder.parent} has no annotations.json, and {folder} no "
            "NAME_keypoints.json beside a NAME.jpg: nobody is labelled. See "
            "python -m training.prepare coco-like --help."
        )
    return found


def _is_in(options: Options, file: str) -> bool:
    held_out = zlib.crc32(file.encode()) / 2**32 < options.held_out
    return held_out == (options.split == "val" and options.held_out > 0)
