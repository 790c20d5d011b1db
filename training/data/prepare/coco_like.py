"""Your own photos, with keypoints in COCO's or OpenPose's format.

Most annotation tools export COCO's format; the joints are identified by the
names under categories[].keypoints. Photos with an EXIF orientation are stored
upright, which is how both kinds of tools show them.
"""

import dataclasses
import functools
import logging
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from tf_hmr.formats import (
    image_files,
    keypoint_labels,
    left_out,
    listing,
    openpose_files,
)
from tf_hmr.geometry import crop
from training.data.readers import coco as coco_files
from training.data.readers import writing

NAME = "coco-like"
MIN_CONFIDENCE = 0.2
"""Confidence above which akanazawa/hmr: src/util/openpose.py takes a joint."""

_ROOM = 1.2
_PEOPLE_PER_TASK = 16
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

_log = logging.getLogger(__name__)


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


class Task(NamedTuple):
    """Some of the people.

    Attributes:
        folder: folder of the photos.
        least: minimum number of labelled keypoints of a person.
        people: the people.
        keypoint_scale: unit of their keypoints, a value of OpenPose's
            --keypoint_scale.
    """

    folder: Path
    least: int
    people: list[coco_files.Annotated]
    keypoint_scale: int = keypoint_labels.PIXELS


def run(options: Options) -> None:
    """Writes the records."""
    folder = options.root / "images"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist: it should hold your photos. See "
            "python -m training.prepare coco-like --help."
        )
    path = options.root / "annotations.json"
    people, keypoint_scale = [], keypoint_labels.PIXELS
    if path.exists():
        people = coco_files.read(path)
    else:
        people, keypoint_scale = _read_openpose(folder)
    people = [person for person in people if _is_in_split(options, person.file)]
    tasks = [
        Task(
            folder,
            options.least,
            people[start : start + _PEOPLE_PER_TASK],
            keypoint_scale,
        )
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    rules = functools.partial(_rules, task.least)
    for labels in task.people:
        if task.keypoint_scale != keypoint_labels.PIXELS:
            labels = _in_pixels(task.folder, labels, task.keypoint_scale)
        yield coco_files.person(task.folder, labels, rules, NAME, upright)


def _in_pixels(
    folder: Path, labels: coco_files.Annotated, keypoint_scale: int
) -> coco_files.Annotated:
    """Scales a person's keypoints by the size of the upright photo."""
    if labels.cause:
        return labels
    try:
        image = image_files.decode((folder / labels.file).read_bytes())
    except OSError:  # The reader of the path says why.
        return labels
    except image_files.BadImage as error:
        return labels._replace(cause=str(error))
    keypoints = keypoint_labels.to_pixels(
        np.reshape(labels.annotation["keypoints"], (-1, 3)),
        keypoint_scale,
        image.shape[1::-1],
    )
    annotation = labels.annotation | {"keypoints": keypoints.ravel().tolist()}
    return labels._replace(annotation=annotation)


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


def _read_openpose(folder: Path) -> tuple[list[coco_files.Annotated], int]:
    """People of the files beside the photos, and the unit of keypoints."""
    problems = left_out.LeftOut()
    people, people_labels, damage = [], [], None
    for path in listing.files(folder, "*"):
        file = path.with_name(f"{path.stem}_keypoints.json")
        if path.suffix.lower() not in _IMAGE_SUFFIXES or not file.exists():
            continue
        try:
            detections = openpose_files.read(file)
        except ValueError as error:
            damage = damage or error
            cause = "the file is not OpenPose's json"
            detections = [openpose_files.Detection(0, cause=cause)]
        for person in detections:
            people_labels.append(person.labels)
            people.append(_annotated(path.name, person))
            if person.cause:
                name = f"person {person.number} of {file.name}"
                problems.add(name, person.cause)
    if people and len(problems) == len(people):
        raise damage or ValueError(
            f"{people[0].file.rpartition('.')[0]}_keypoints.json is not "
            f"OpenPose's json of bodies: {'; '.join(problems.lines())}. "
            "Expected people with pose_keypoints_2d of 25 or 18 joints."
        )
    if not people:
        raise FileNotFoundError(
            f"{folder.parent} has no annotations.json, and {folder} no "
            "NAME_keypoints.json beside a NAME.jpg: nobody is labelled. See "
            "python -m training.prepare coco-like --help."
        )
    problems.log(_log, folder)
    keypoint_scale = keypoint_labels.scale_of(people_labels)
    if keypoint_scale != keypoint_labels.PIXELS:
        unit = keypoint_labels.unit_text(keypoint_scale)
        _log.warning("%s: %s; they are scaled.", folder, unit)
    return people, keypoint_scale


def _annotated(
    file: str, person: openpose_files.Detection
) -> coco_files.Annotated:
    """A person of OpenPose in COCO's form."""
    labels = person.labels.copy()
    labels[:, 2] = labels[:, 2] > MIN_CONFIDENCE
    annotation = {
        "id": person.number + 1,
        "keypoints": labels.ravel().tolist(),
    }
    return coco_files.Annotated(
        file, (0, 0), annotation, person.names, person.cause
    )


def _is_in_split(options: Options, file: str) -> bool:
    held_out = zlib.crc32(file.encode()) / 2**32 < options.held_out
    return held_out == (options.split == "val" and options.held_out > 0)
