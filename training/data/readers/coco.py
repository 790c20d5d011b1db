"""Annotations in COCO's format: people with keypoints, boxes and masks.

Facts of the format: akanazawa/hmr: src/datasets/coco_to_tfrecords.py;
open-mmlab/mmpose: tests/data/coco.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.formats import json_files
from tf_hmr.geometry import crop
from training.data.formats import requirements
from training.data.readers import frames, writing

_FAR = 10  # sides of the picture
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


class Annotated(NamedTuple):
    """A person of a file: the picture's name and (W, H), and what it says."""

    file: str
    size: tuple[int, int]
    annotation: dict


Points = dict[str, np.ndarray]
"""x, y and flag of each labelled joint."""

Rules = Callable[[Annotated, Points], "Sequence[float] | str"]
"""From a person to the box, or to why the person is left out."""


def read(path: Path) -> list[Annotated]:
    """The people of a file, those of a picture together; no crowds.

    Raises:
        ValueError: the file is not in COCO's format.
    """
    try:
        content = json_files.loads(path.read_text("utf-8"), object_hook=_needed)
        pictures = {
            int(each["id"]): (
                str(each["file_name"]),
                (int(each["width"]), int(each["height"])),
            )
            for each in content["images"]
        }
        people = [
            Annotated(*pictures[each["image_id"]], each)
            for each in content["annotations"]
            if each.get("category_id", 1) == 1 and not each.get("iscrowd")
        ]
        # Neighbours in a task read their picture once.
        people.sort(key=lambda each: (each[2]["image_id"], each[2]["id"]))
    except _MALFORMED as error:
        raise ValueError(
            f"{path} is not in COCO's format ({error!r}): expected images "
            "with id, file_name, width and height, and annotations with id, "
            "image_id and keypoints. It may be damaged; fetch it again."
        ) from error
    return people


def person(
    folder: Path,
    each: Annotated,
    rules: Rules,
    dataset_name: str,
    names: Sequence[str] = joints.COCO17,
    opened: Callable[[Path], Path | np.ndarray] = Path,
) -> writing.Found:
    """One annotated person.

    Args:
        folder: of the pictures.
        each: the person.
        rules: who is kept, and with which box.
        dataset_name: of the record.
        names: of the keypoints in their order; those that a record has no
            place for are left out.
        opened: from a picture's path to what frames.example reads.
    """
    annotation = each.annotation
    example_id = f"{Path(each.file).stem}-{annotation['id']}"
    keypoints = annotation.get("keypoints")
    if keypoints is None:
        return writing.Skipped(example_id, "no keypoints")
    try:
        labels = np.array(keypoints, np.float64).reshape(len(names), 3)
        if not np.isfinite(labels).all():
            raise ValueError("not finite")
        points = {
            name: label
            for name, label in zip(names, labels, strict=True)
            if label[2] > 0
        }
        if not points:
            return writing.Skipped(example_id, "no keypoints")
        chosen = rules(each, points)
        if not isinstance(chosen, str):
            chosen = np.array(chosen, np.float64).reshape(4)
    except _MALFORMED:
        return writing.Skipped(example_id, "the annotation is malformed")
    if isinstance(chosen, str):
        return writing.Skipped(example_id, chosen)
    return frames.example(
        opened(folder / each.file),
        keypoints=frames.by_name(names, labels[:, :2], labels[:, 2] > 0),
        box=chosen,
        dataset=dataset_name,
        example_id=example_id,
    )


def mask_box(each: Annotated) -> crop.Box:
    """x, y, w, h of the segmentation; COCO's own box where there is none.

    Raises:
        ValueError: the segmentation is malformed; also other errors of
            reading what should be numbers.
    """
    found = each.annotation.get("segmentation")
    if not found:
        return tuple(each.annotation["bbox"])
    coco_mask, (width, height) = (
        requirements.library("pycocotools.mask"),
        each.size,
    )
    if isinstance(found, list):
        # The library walks along the lines: far corners would take for ever.
        if not max(np.abs(line).max() for line in found) <= _FAR * max(
            each.size
        ):
            raise ValueError("polygons far outside of the picture")
        lines = [line.tolist() for line in found]
        found = coco_mask.merge(coco_mask.frPyObjects(lines, height, width))
    elif list(found["size"]) != [height, width]:
        raise ValueError("run lengths of a picture of another size")
    elif isinstance(found["counts"], list):
        found = coco_mask.frPyObjects(found, height, width)
    return tuple(coco_mask.toBbox(found).tolist())


def _needed(read_object: dict) -> dict:
    """What is asked for, while it is read: the rest would fill the memory."""
    for unused in ("license", "coco_url", "flickr_url", "date_captured"):
        read_object.pop(unused, None)
    if not read_object.get("num_keypoints", 1):
        read_object["keypoints"] = read_object["segmentation"] = None
    # Numbers of Python are eight times as large.
    if "keypoints" in read_object:
        read_object["keypoints"] = _packed(read_object["keypoints"])
    outlines = read_object.get("segmentation")
    if isinstance(outlines, list):
        read_object["segmentation"] = [_packed(line) for line in outlines]
    return read_object


def _packed(values: list) -> np.ndarray | list:
    """Numbers as an array; anything else is found to be malformed later."""
    try:
        return np.array(values, np.float32) if values else values
    except (ValueError, TypeError, OverflowError):
        return values
