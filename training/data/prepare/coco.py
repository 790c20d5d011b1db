"""Photographs of COCO with the 17 keypoints of people.

`annotations/person_keypoints_{split}{year}.json` and the folder
`{split}{year}` of pictures: COCO_train2014_000000000009.jpg of 2014,
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
WHOM = "https://cocodataset.org (no registration)"

LEAST_VISIBLE = 6
LEAST_SIDE_PX = 60

_PEOPLE_PER_TASK = 32
_BODY = tuple(name for name in joints.COCO17 if name not in joints.FACE5)


@dataclasses.dataclass
class Options(writing.Options):
    """Reads COCO's people with keypoints.

    --root holds annotations/person_keypoints_train2014.json and the pictures
    in train2014/, as the archives of the publisher unpack.
    """

    split: Literal["train", "val"] = "train"
    """One of COCO's."""
    year: Literal[2014, 2017] = 2014
    """2014 is what HMR and SPIN train on; 2017 is the same, split otherwise."""
    rules: Literal["hmr", "spin"] = "hmr"
    """hmr: 6 keypoints that are visible, one of them below the shoulders, and
    a mask longer than 60 px; the box is the square that HMR makes 150 px.
    spin: all 12 keypoints of the body are labelled; the box is COCO's."""


class Task(NamedTuple):
    """People of neighbouring pictures."""

    folder: Path
    rules: str
    people: list[coco_files.Annotated]


def run(options: Options) -> None:
    """Makes the records."""
    part = f"{options.split}{options.year}"
    path = options.root / "annotations" / f"person_keypoints_{part}.json"
    if not path.exists():
        what = "the keypoints of people, of annotations_trainval"
        raise requirements.missing_file(path, f"{what}{options.year}.zip", WHOM)
    folder = options.root / part
    if not folder.is_dir():
        raise requirements.missing_file(
            folder, f"the pictures, of {part}.zip", WHOM
        )
    people = coco_files.read(path)
    tasks = [
        Task(folder, options.rules, people[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """The people of a task."""
    for each in task.people:
        yield coco_files.person(
            task.folder, each, RULES[task.rules], dataset_name=NAME
        )


def _hmr(each: coco_files.Annotated, points: coco_files.Points):
    """akanazawa/hmr: src/datasets/coco_to_tfrecords.py get_anns_details."""
    if sum(flag == 2 for *_, flag in points.values()) < LEAST_VISIBLE:
        return f"fewer than {LEAST_VISIBLE} visible keypoints"
    if max(coco_files.mask_box(each)[2:]) - 1 <= LEAST_SIDE_PX:
        return f"not longer than {LEAST_SIDE_PX} px"
    places = {name: point[:2] for name, point in points.items()}
    if not hmr_boxes.has_body(places):
        return "only face and shoulders"
    return hmr_boxes.coco(places) or "all keypoints in one place"


def _spin(each: coco_files.Annotated, points: coco_files.Points):
    """nkolot/SPIN: datasets/preprocess/coco.py."""
    if not points.keys() >= set(_BODY):
        return "not all 12 keypoints of the body"
    return tuple(each.annotation["bbox"])


RULES = {"hmr": _hmr, "spin": _spin}
