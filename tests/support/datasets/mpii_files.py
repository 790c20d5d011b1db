"""Writes a small MPII: the publisher's Matlab file, the json, pictures."""

import json
from pathlib import Path

import numpy as np
import scipy.io

from tests.support.datasets import people
from training.data.readers.mpii import MPII16

MAT = "annotations/mpii_human_pose_v1_u12_1.mat"
EMPTY = np.zeros((0, 0))


def write(root: Path, scenes, change=None) -> Path:
    """Writes scenes as MPII ships them.

    People alone in their picture are `single_person`; a last picture is to
    test on and has no joints.

    Args:
        root: folder of the dataset.
        scenes: of people.scene.
        change: called with a list of [rects] of each scene, dicts that hold
            what a struct holds, before they are written.
    """
    rects = [
        [rect(person, i) for person in s.people] for i, s in enumerate(scenes)
    ]
    if change:
        change(rects)
    names = [f"{number:09d}.jpg" for number in range(1, len(scenes) + 1)]
    for name, scene in zip(names, scenes, strict=True):
        people.write_image(root / "images" / name, scene.image)
    pictures = [
        {"image": {"name": name}, "annorect": structs(of_it)}
        for name, of_it in zip(names, rects, strict=True)
    ]
    head = {"x1": 1, "y1": 2, "x2": 9, "y2": 12}
    pictures.append(
        {"image": {"name": "test.jpg"}, "annorect": structs([head])}
    )
    single = np.empty((len(pictures), 1), object)
    for row, scene in enumerate(scenes):
        is_single = len(scene.people) == 1
        single[row, 0] = np.array([[1]]) if is_single else EMPTY
    single[-1, 0] = EMPTY
    train = np.array([[1] * len(scenes) + [0]], np.uint8)
    release = {"annolist": structs(pictures), "img_train": train}
    path = root / MAT
    path.parent.mkdir(parents=True, exist_ok=True)
    release = {"RELEASE": release | {"single_person": single}}
    scipy.io.savemat(path, release, long_field_names=True)
    return root


def rect(person: people.Person, number: int) -> dict:
    """A person as MPII stores it; is_visible in each of its spellings."""
    spellings = ("1", "0", 1, 0, EMPTY)
    points = [
        {
            "x": x + 1,
            "y": y + 1,
            "id": index,
            "is_visible": spellings[(index + number) % 5],
        }
        for index, (x, y) in enumerate(person.points(MPII16))
    ]
    x, y, w, h = person.box
    return {
        "x1": x,
        "y1": y,
        "x2": x + 20,
        "y2": y + 20,
        "annopoints": {"point": structs(points)},
        "scale": h / 200,
        "objpos": {"x": x + w / 2 + 0.5, "y": y + h / 2 + 0.5},
    }


def structs(rows: list[dict]) -> np.ndarray:
    """A Matlab struct array; who lacks a field has an empty one."""
    names = sorted({name for row in rows for name in row})
    struct = np.empty((1, len(rows)), [(name, object) for name in names])
    for column, row in enumerate(rows):
        for name in names:
            struct[name][0, column] = row.get(name, EMPTY)
    return struct if rows else EMPTY


def write_json(root: Path, scenes, split="train") -> Path:
    """The list of human-pose-estimation.pytorch; hides a left wrist."""
    annotations = []
    for number, scene in enumerate(scenes, start=1):
        name = f"{number:09d}.jpg"
        people.write_image(root / "images" / name, scene.image)
        for person in scene.people:
            x, y, w, h = person.box
            points = person.points(MPII16) + 1
            flags = np.ones(16, int)
            hidden = MPII16.index("left_wrist")
            points[hidden], flags[hidden] = -1, 0
            annotations.append(
                {
                    "image": name,
                    "center": [x + w / 2 + 0.5, y + h / 2 + 0.5],
                    "scale": h / 200,
                    "joints": points.tolist(),
                    "joints_vis": flags.tolist(),
                }
            )
    path = root / "annot" / f"{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(annotations))
    return root
