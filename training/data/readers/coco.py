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

_MAX_DISTANCE = 10  # of a polygon's corner, in image sides
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


class Annotated(NamedTuple):
    """A person's annotation, with the name and (W, H) of the image."""

    file: str
    size: tuple[int, int]
    annotation: dict


Points = dict[str, np.ndarray]
"""x, y and flag of each labelled joint."""

Rules = Callable[[Annotated, Points], "Sequence[float] | str"]
"""Maps a person to the box, or to the cause of skipping the person."""


def read(path: Path) -> list[Annotated]:
    """The people of a file without crowds, grouped by image.

    Raises:
        ValueError: the file is not in COCO's format.
    """
    try:
        content = json_files.loads(
            path.read_text("utf-8"), object_hook=_drop_unused
        )
        images = {
            int(image["id"]): (
                str(image["file_name"]),
                (int(image["width"]), int(image["height"])),
            )
            for image in content["images"]
        }
        people = [
            Annotated(*images[annotation["image_id"]], annotation)
            for annotation in content["annotations"]
            if annotation.get("category_id", 1) == 1
            and not annotation.get("iscrowd")
        ]
        # Neighbours in a task read their image once.
        people.sort(
            key=lambda annotated: (
                annotated.annotation["image_id"],
                annotated.annotation["id"],
            )
        )
    except _MALFORMED as error:
        raise ValueError(
            f"{path} is not in COCO's format ({error!r}): expected images "
            "with id, file_name, width and height, and annotations with id, "
            "image_id and keypoints. It may be damaged; fetch it again."
        ) from error
    return people


def person(
    folder: Path,
    annotated: Annotated,
    rules: Rules,
    dataset_name: str,
    names: Sequence[str] = joints.COCO17,
    open_image: Callable[[Path], Path | np.ndarray] = Path,
) -> writing.ReadPerson:
    """Reads one annotated person.

    Args:
        folder: folder of the images.
        annotated: the person.
        rules: selects people and gives their box.
        dataset_name: name of the dataset in the record.
        names: names of the keypoints in their order; those that records do
            not store are dropped.
        open_image: maps an image's path to a source of frames.example.
    """
    annotation = annotated.annotation
    example_id = f"{Path(annotated.file).stem}-{annotation['id']}"
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
        box_or_cause = rules(annotated, points)
        if not isinstance(box_or_cause, str):
            box_or_cause = np.array(box_or_cause, np.float64).reshape(4)
    except _MALFORMED:
        return writing.Skipped(example_id, "the annotation is malformed")
    if isinstance(box_or_cause, str):
        return writing.Skipped(example_id, box_or_cause)
    return frames.example(
        open_image(folder / annotated.file),
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
    if not read_object.get("num_keypoints", 1):
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
