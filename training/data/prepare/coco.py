"""COCO: photographs of people with 17 keypoints.

`annotations/person_keypoints_{split}{year}.json` and the folder
`{split}{year}` of images: COCO_train2014_000000000009.jpg of 2014,
000000000009.jpg of 2017. An annotation has keypoints [x, y, v] * 17 with v 0
not labelled, 1 hidden, 2 visible; bbox [x, y, w, h]; and a segmentation,
polygons or run lengths (akanazawa/hmr: src/datasets/coco_to_tfrecords.py;
open-mmlab/mmpose: tests/data/coco). Hidden keypoints count as labels.
"""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

from tf_hmr import joints
from training.data.formats import requirements
from training.data.readers import coco as coco_files
from training.data.readers import hmr_boxes, writing

NAME = "coco"
SOURCE = "https://cocodataset.org (no registration)"

MIN_VISIBLE = 6
MIN_SIDE_PX = 60

_PEOPLE_PER_TASK = 32
_BODY = tuple(name for name in joints.COCO17 if name not in joints.FACE5)


@dataclasses.dataclass
class Options(writing.Options):
    """Reads COCO's people with keypoints.

    --root holds annotations/person_keypoints_train2014.json and the images in
    train2014/, as the publisher's archives unpack.
    """

    split: Literal["train", "val"] = "train"
    """Split of COCO."""
    year: Literal[2014, 2017] = 2014
    """HMR and SPIN train on 2014; 2017 has the same images in other splits."""
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: at least 6 visible keypoints, one of them below the shoulders, and
    a mask longer than 60 px; the box is the square that HMR scales to 150 px.
    spin: all 12 keypoints of the body are labelled; the box is COCO's."""


class Task(NamedTuple):
    """People of neighbouring images."""

    folder: Path
    rules: str
    people: list[coco_files.Annotated]


def run(options: Options) -> None:
    """Writes the records."""
    split_name = f"{options.split}{options.year}"
    path = options.root / "annotations" / f"person_keypoints_{split_name}.json"
    if not path.exists():
        contents = "the keypoints of people, of annotations_trainval"
        raise requirements.missing_file(
            path, f"{contents}{options.year}.zip", SOURCE
        )
    folder = options.root / split_name
    if not folder.is_dir():
        raise requirements.missing_file(
            folder, f"the pictures, of {split_name}.zip", SOURCE
        )
    people = coco_files.read(path)
    tasks = [
        Task(folder, options.rules, people[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for annotated in task.people:
        yield coco_files.person(
            task.folder, annotated, RULES[task.rules], dataset_name=NAME
        )


def _hmr(annotated: coco_files.Annotated, points: coco_files.Points):
    """akanazawa/hmr: src/datasets/coco_to_tfrecords.py get_anns_details."""
    if sum(flag == 2 for *_, flag in points.values()) < MIN_VISIBLE:
        return f"fewer than {MIN_VISIBLE} visible keypoints"
    if max(coco_files.mask_box(annotated)[2:]) - 1 <= MIN_SIDE_PX:
        return f"not longer than {MIN_SIDE_PX} px"
    xy = {name: point[:2] for name, point in points.items()}
    if not hmr_boxes.has_body(xy):
        return "only face and shoulders"
    return hmr_boxes.coco(xy) or "all keypoints in one place"


def _spin(annotated: coco_files.Annotated, points: coco_files.Points):
    """nkolot/SPIN: datasets/preprocess/coco.py."""
    if not points.keys() >= set(_BODY):
        return "not all 12 keypoints of the body"
    return tuple(annotated.annotation["bbox"])


RULES = {"hmr": _hmr, "spin": _spin}
