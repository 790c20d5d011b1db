"""Photographs of COCO with the 17 keypoints of people.

`annotations/person_keypoints_{split}{year}.json` and the folder
`{split}{year}` of pictures: COCO_train2014_000000000009.jpg of 2014,
000000000009.jpg of 2017. An annotation has keypoints [x, y, v] * 17 with v 0
not labelled, 1 hidden, 2 visible; bbox [x, y, w, h]; and a segmentation,
polygons or run lengths (akanazawa/hmr: src/datasets/coco_to_tfrecords.py;
open-mmlab/mmpose: tests/data/coco). Hidden keypoints count as labels.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from tf_hmr import joints
from training.data import dataset, frames, hmr_boxes

NAME = "coco"
LEAST_VISIBLE = 6
LEAST_SIDE_PX = 60
WHOM = "https://cocodataset.org (no registration)"

_PEOPLE_PER_TASK = 32
_FAR = 10  # sides of the picture
_BODY = tuple(
    index
    for index, name in enumerate(joints.COCO17)
    if name not in joints.FACE5
)


@dataclasses.dataclass
class Options(dataset.Options):
    """Reads COCO's people with keypoints, of --split train or val.

    --root holds annotations/person_keypoints_train2014.json and the pictures
    in train2014/, as the archives of the publisher unpack.
    """

    year: Literal[2014, 2017] = 2014
    """2014 is what HMR and SPIN train on; 2017 is the same, split otherwise."""
    filter: Literal["hmr", "spin"] = "hmr"
    """hmr: 6 keypoints that are visible, one of them below the shoulders, and
    a mask longer than 60 px; the box is the square that HMR makes 150 px.
    spin: all 12 keypoints of the body are labelled; the box is COCO's."""


class Task(NamedTuple):
    """People of neighbouring pictures: (picture, size, annotation)."""

    folder: Path
    filter: str
    people: list[tuple[str, tuple[int, int], dict[str, Any]]]


def run(options: Options) -> None:
    """Makes the records."""
    part = f"{options.split}{options.year}"
    path = options.root / "annotations" / f"person_keypoints_{part}.json"
    if not path.exists():
        what = "the keypoints of people, of annotations_trainval"
        raise dataset.missing(path, f"{what}{options.year}.zip", WHOM)
    folder = options.root / part
    if not folder.is_dir():
        raise dataset.missing(folder, f"the pictures, of {part}.zip", WHOM)
    people = annotated(path)
    tasks = [
        Task(folder, options.filter, people[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    dataset.write(NAME, options, tasks, read)


def annotated(path: Path) -> list[tuple[str, tuple[int, int], dict]]:
    """The people of a file in COCO's format, those of a picture together.

    Returns:
        (file name, (W, H), annotation) of each person that is no crowd.

    Raises:
        ValueError: the file is not in COCO's format.
    """
    try:
        content = json.loads(path.read_bytes(), object_hook=_needed)
        pictures = {
            int(each["id"]): (
                str(each["file_name"]),
                (int(each["width"]), int(each["height"])),
            )
            for each in content["images"]
        }
        people = [
            (*pictures[each["image_id"]], each)
            for each in content["annotations"]
            if each.get("category_id", 1) == 1 and not each.get("iscrowd")
        ]
        # Neighbours in a task read their picture once.
        people.sort(key=lambda found: (found[2]["image_id"], found[2]["id"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not in COCO's format ({error!r}): expected images "
            "with id, file_name, width and height, and annotations with id, "
            "image_id and keypoints. It may be damaged; fetch it again."
        ) from error
    return people


def read(task: Task):
    """The people of a task."""
    for file, size, annotation in task.people:
        yield person(
            task.folder / file, size, annotation, task.filter, dataset_name=NAME
        )


def person(
    path: Path,
    size: tuple[int, int],
    annotation: dict,
    rules: str,
    dataset_name: str,
) -> dataset.Found:
    """One annotated person.

    Args:
        path: of the picture.
        size: its (W, H) as the annotations have it.
        annotation: of COCO's format.
        rules: "hmr" or "spin"; who is kept and with which box.
        dataset_name: of the record.
    """
    example_id = f"{path.stem}-{annotation['id']}"
    keypoints = annotation.get("keypoints")
    if not isinstance(keypoints, list) or not np.any(keypoints):
        return dataset.Skipped(example_id, "no keypoints")
    try:
        labels = np.array(keypoints, np.float64).reshape(17, 3)
        if not np.isfinite(labels).all():
            raise ValueError("not finite")
        chosen = _by_rules(rules, labels, annotation, size)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return dataset.Skipped(example_id, "the annotation is malformed")
    if isinstance(chosen, str):
        return dataset.Skipped(example_id, chosen)
    return frames.example(
        path,
        keypoints=frames.by_name(
            joints.COCO17, labels[:, :2], labels[:, 2] > 0
        ),
        box=chosen,
        dataset=dataset_name,
        example_id=example_id,
    )


def _by_rules(rules, labels, annotation, size):
    """The person's box, or why the person is left out."""
    if rules == "spin":
        # nkolot/SPIN: datasets/preprocess/coco.py
        if not (labels[list(_BODY), 2] > 0).all():
            return "not all 12 keypoints of the body"
        return annotation["bbox"]
    # akanazawa/hmr: src/datasets/coco_to_tfrecords.py
    if (labels[:, 2] == 2).sum() < LEAST_VISIBLE:
        return f"fewer than {LEAST_VISIBLE} visible keypoints"
    if max(mask_box(annotation, size)[2:]) - 1 <= LEAST_SIDE_PX:
        return f"not longer than {LEAST_SIDE_PX} px"
    points = {
        name: point[:2]
        for name, point in zip(joints.COCO17, labels, strict=True)
        if point[2] > 0
    }
    if not hmr_boxes.has_body(points):
        return "only face and shoulders"
    return hmr_boxes.coco(points) or "all keypoints in one place"


def mask_box(annotation: dict, size: tuple[int, int]) -> np.ndarray:
    """(4,) x, y, w, h of the segmentation; of COCO's box where it has none.

    Args:
        annotation: with polygons, run lengths or packed run lengths.
        size: (W, H) of the picture.
    """
    found = annotation.get("segmentation")
    if not found:
        return np.array(annotation["bbox"], np.float64)
    width, height = size
    if isinstance(found, list):
        # The library walks along the lines: far corners would take for ever.
        far = max(np.abs(np.array(each)).max() for each in found)
        if not far <= _FAR * max(size):
            raise ValueError("polygons far outside of the picture")
        found = coco_mask.merge(coco_mask.frPyObjects(found, height, width))
    elif list(found["size"]) != [height, width]:
        raise ValueError("run lengths of a picture of another size")
    elif isinstance(found["counts"], list):
        found = coco_mask.frPyObjects(found, height, width)
    return coco_mask.toBbox(found)


def _needed(read_object: dict) -> dict:
    """Leaves out what nobody asks for: half of the memory."""
    for unused in ("license", "coco_url", "flickr_url", "date_captured"):
        read_object.pop(unused, None)
    if not read_object.get("num_keypoints", 1):
        read_object["keypoints"] = read_object["segmentation"] = None
    return read_object
