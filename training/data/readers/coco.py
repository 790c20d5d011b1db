"""Annotations in COCO's format: people with keypoints, boxes and masks.

Facts of the format: akanazawa/hmr: src/datasets/coco_to_tfrecords.py;
open-mmlab/mmpose: tests/data/coco.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import (
    coco_annotations,
    json_files,
    keypoint_labels,
    left_out,
    photo_files,
)
from tf_hmr.geometry import crop
from training.data.formats import requirements
from training.data.readers import frames, writing

_MAX_DISTANCE = 10  # of a polygon's corner, in image sides
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError)

_log = logging.getLogger(__name__)


class Annotated(NamedTuple):
    """A person's annotation.

    Attributes:
        file: the image's file name; its id where the file gives no name.
        size: its width and height, (0, 0) where the file does not give them.
        annotation: the annotation.
        names: names of the keypoints in their order; those that records do
            not store are dropped.
        cause: why the annotation cannot be used, in a few words; else "".
    """

    file: str
    size: tuple[int, int]
    annotation: dict
    names: tuple[str, ...] = joints.COCO17
    cause: str = ""


Points = dict[str, np.ndarray]
"""x, y and flag of each labelled joint."""

Rules = Callable[[Annotated, Points], "Sequence[float] | str"]
"""Maps a person to the box, or to the cause of skipping the person."""


def read(path: Path) -> list[Annotated]:
    """The people of a file without crowds, grouped by image.

    Those who cannot be used have a cause, and are named in a warning.

    Raises:
        ValueError: the file is not in COCO's format, or no category can be
            that of people.
    """
    try:
        content = json_files.read(path, object_hook=_drop_unused)
        persons = coco_annotations.people(content)
    except _MALFORMED as error:
        raise ValueError(
            f"{path} is not in COCO's format ({error!r}): expected images "
            "with id, file_name, width and height, and annotations with id, "
            "image_id and keypoints. It may be damaged; fetch it again."
        ) from error
    problems = left_out.LeftOut()
    people = []
    for row, (entry, names, image, cause) in enumerate(persons):
        # Without an id it is called by its place in the file.
        example_id = coco_annotations.id_text(entry.get("id")) or f"row{row}"
        annotation = entry | {"id": entry.get("id", example_id)}
        size = image.size or (0, 0)
        people.append(Annotated(image.name, size, annotation, names, cause))
        if cause:
            problems.add(f"annotation {example_id!r}", cause)
    problems.log(_log, path)
    people.sort(key=_image_and_id)  # Neighbours read their image once.
    return people


def _image_and_id(annotated: Annotated):
    ids = (annotated.annotation.get("image_id"), annotated.annotation["id"])
    return [coco_annotations.order_key(value) for value in ids]


def person(
    folder: Path,
    annotated: Annotated,
    rules: Rules,
    dataset_name: str,
    open_image: Callable[[Path], Path | np.ndarray] = Path,
) -> writing.ReadPerson:
    """Reads one annotated person.

    Args:
        folder: folder of the images.
        annotated: the person.
        rules: selects people and gives their box.
        dataset_name: name of the dataset in the record.
        open_image: maps an image's path to a source of frames.example.
    """
    annotation, names = annotated.annotation, annotated.names
    stem = PurePosixPath(annotated.file.replace("\\", "/")).stem
    example_id = f"{stem}-{annotation['id']}"
    if annotated.cause:
        return writing.Skipped(example_id, annotated.cause)
    keypoints = annotation.get("keypoints")
    if keypoints is None:
        return writing.Skipped(example_id, "no keypoints")
    try:
        labels = keypoint_labels.parse(keypoints).reshape(len(names), 3)
        points = {
            name: label
            for name, label in zip(names, labels, strict=True)
            if label[2] > 0
        }
        if not points:
            return writing.Skipped(example_id, "no keypoints")
        box_or_cause = rules(annotated, points)
        if not isinstance(box_or_cause, str):
            box_or_cause = np.array(box_or_cause, np.float64).reshape(4)
    except _MALFORMED:
        return writing.Skipped(example_id, "the annotation is malformed")
    if isinstance(box_or_cause, str):
        return writing.Skipped(example_id, box_or_cause)
    if keypoint_labels.scale_of([labels]) != keypoint_labels.PIXELS:
        return writing.Skipped(example_id, "the keypoints are not in pixels")
    try:
        path = photo_files.find(folder, annotated.file)
    except FileNotFoundError:
        return writing.Skipped(example_id, "the picture's file is missing")
    except ValueError:
        cause = "several pictures fit its file name"
        return writing.Skipped(example_id, cause)
    return frames.example(
        open_image(path),
        keypoints=frames.by_name(names, labels[:, :2], labels[:, 2] > 0),
        box=box_or_cause,
        dataset=dataset_name,
        example_id=example_id,
    )


def mask_box(annotated: Annotated) -> crop.Box:
    """x, y, w, h of the segmentation; COCO's own box without one.

    Raises:
        ValueError: the segmentation is malformed. Other errors of parsing
            malformed numbers are possible, too.
    """
    mask = annotated.annotation.get("segmentation")
    if not mask:
        return tuple(annotated.annotation["bbox"])
    coco_mask = requirements.library("pycocotools.mask")
    width, height = annotated.size
    if isinstance(mask, list):
        # The library walks along the edges: far corners would take for ever.
        if not max(np.abs(line).max() for line in mask) <= _MAX_DISTANCE * max(
            annotated.size
        ):
            raise ValueError("polygons far outside of the picture")
        polygons = [line.tolist() for line in mask]
        mask = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    elif list(mask["size"]) != [height, width]:
        raise ValueError("run lengths of a picture of another size")
    elif isinstance(mask["counts"], list):
        mask = coco_mask.frPyObjects(mask, height, width)
    return tuple(coco_mask.toBbox(mask).tolist())


def _drop_unused(read_object: dict) -> dict:
    """Drops unused fields while parsing; all fields would fill the memory."""
    for unused in ("license", "coco_url", "flickr_url", "date_captured"):
        read_object.pop(unused, None)
    if read_object.get("num_keypoints", 1) == 0:
        read_object["keypoints"] = read_object["segmentation"] = None
    # Python's numbers are eight times as large.
    if "keypoints" in read_object:
        read_object["keypoints"] = _to_array(read_object["keypoints"])
    outlines = read_object.get("segmentation")
    if isinstance(outlines, list):
        read_object["segmentation"] = [_to_array(line) for line in outlines]
    return read_object


def _to_array(values: list) -> np.ndarray | list:
    """Numbers as an array; other values are rejected later as malformed."""
    try:
        return np.array(values, np.float32) if values else values
    except (ValueError, TypeError, OverflowError):
        return values
