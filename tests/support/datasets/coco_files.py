"""Writes a small COCO: pictures, and people as polygons or run lengths."""

import copy
import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from tests.support.datasets import people
from tf_hmr import joints


def write(root: Path, scenes, split="train", year=2014, change=None) -> Path:
    """Writes scenes as COCO ships them.

    Args:
        root: folder of the dataset.
        scenes: of people.scene.
        split: "train" or "val".
        year: 2014 or 2017: how the pictures are named.
        change: called with the annotations' content before it is written.

    Returns:
        The file of annotations.
    """
    content = {"info": {}, "licenses": [], "images": [], "annotations": []}
    for number, scene in enumerate(scenes, start=1):
        name = f"COCO_{split}{year}_{number:012d}.jpg"
        if year == 2017:
            name = f"{number:012d}.jpg"
        people.write_image(root / f"{split}{year}" / name, scene.image)
        height, width = scene.image.shape[:2]
        picture = {"id": number, "file_name": name, "license": 1}
        content["images"].append(picture | {"width": width, "height": height})
        for index, person in enumerate(scene.people):
            content["annotations"].append(
                annotation(person, number, 100 * number + index)
            )
    content["categories"] = [{"id": 1, "name": "person"}]
    if change:
        change(content)
    path = root / "annotations" / f"person_keypoints_{split}{year}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def annotation(person: people.Person, picture: int, number: int) -> dict:
    """A person as COCO stores it; the kind of mask depends on the number."""
    points = person.points(joints.COCO17)
    keypoints = np.column_stack([points, np.full(17, 2)])
    kinds = (polygons, packed_runs, runs)
    return {
        "id": number,
        "image_id": picture,
        "category_id": 1,
        "iscrowd": 0,
        "area": float(person.mask.sum()),
        "bbox": person.box.tolist(),
        "num_keypoints": 17,
        "keypoints": keypoints.ravel().tolist(),
        "segmentation": kinds[number % 3](person.mask),
    }


def polygons(mask: np.ndarray) -> list[list[float]]:
    """The outlines; the corners of its outermost pixels."""
    # Each pixel becomes 2 x 2 so that the outline is around it, not on it.
    outlines, _ = cv2.findContours(
        np.kron(mask, np.ones((2, 2))).astype(np.uint8),
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_NONE,
    )
    corners = [np.rint(line[:, 0] / 2 + 0.01) for line in outlines]
    return [line.ravel().tolist() for line in corners if len(line) > 2]


def packed_runs(mask: np.ndarray) -> dict:
    """Run lengths as a string."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return encoded | {"counts": encoded["counts"].decode()}


def runs(mask: np.ndarray) -> dict:
    """Run lengths by column as numbers, the first one of background."""
    flat = np.concatenate([[0], mask.ravel(order="F"), [0]])
    edges = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": list(mask.shape), "counts": counts.tolist()}


def hide(annotation: dict, *names: str, value: int = 0) -> dict:
    """The annotation with joints of visibility `value`: 0 or 1."""
    annotation = copy.deepcopy(annotation)
    for name in names:
        start = 3 * joints.COCO17.index(name)
        annotation["keypoints"][start + 2] = value
        if not value:
            annotation["keypoints"][start : start + 2] = 0, 0
    return annotation
