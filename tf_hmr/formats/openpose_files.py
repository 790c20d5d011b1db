"""Reads OpenPose's json: the 2D people of one image.

NAME_keypoints.json with people[].pose_keypoints_2d, x, y and confidence of 25
joints, or of 18 of its older model (also named pose_keypoints). The middle of
the shoulders and of the hips, which it calls neck and mid hip, have no joint
in joints.KEYPOINTS (CMU-Perceptual-Computing-Lab/openpose: doc/02_output.md;
akanazawa/hmr: src/util/openpose.py).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr.formats import json_files, keypoint_labels

_ARMS = ("right_shoulder", "right_elbow", "right_wrist") + (
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
_LEGS = ("right_hip", "right_knee", "right_ankle") + (
    "left_hip",
    "left_knee",
    "left_ankle",
)
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
COCO18 = ("nose", "between_shoulders", *_ARMS, *_LEGS, *_FACE)
BODY25 = (
    "nose",
    "between_shoulders",
    *_ARMS,
    "between_hips",
    *_LEGS,
    *_FACE,
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)


ORDERS = {len(names): names for names in (COCO18, BODY25)}


class Detection(NamedTuple):
    """A person of a file.

    Attributes:
        number: number of the person in the file, from 0.
        names: names of the joints.
        labels: (n, 3) x, y and confidence, in the unit of the file.
        cause: why the person cannot be read, in a few words; else "".
    """

    number: int
    names: tuple[str, ...] = ()
    labels: np.ndarray = np.zeros((0, 3))
    cause: str = ""


def read(path: Path) -> list[Detection]:
    """Reads the people of a file; those who cannot be read have a cause.

    Raises:
        ValueError: the file is not OpenPose's.
    """
    try:
        people = json_files.read(path)["people"]
        if not isinstance(people, list):
            raise TypeError("people are not a list")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not OpenPose's json ({error!r}), expected people with "
            "pose_keypoints_2d of 25 or 18 joints. Run OpenPose again with "
            "--write_json."
        ) from error
    return [_detection(number, person) for number, person in enumerate(people)]


def labels_of(person) -> np.ndarray:
    """The keypoints of an entry of `people`.

    Returns:
        (n, 3) x, y and confidence; n is 0 where it has none of the body, as
        with hands alone.

    Raises:
        ValueError: they cannot be read; the message is a few words.
    """
    if not isinstance(person, dict):
        raise ValueError("it is not an object")
    values = person.get("pose_keypoints_2d") or person.get("pose_keypoints")
    return keypoint_labels.parse(values or [])


def scale_of_folder(folder: Path) -> int:
    """Recognises the unit of a folder's files, which one run has written.

    Returns:
        A value of --keypoint_scale, as keypoint_labels.scale_of.
    """
    people_labels = []
    for path in sorted(folder.glob("*.json")):
        try:
            people_labels += [person.labels for person in read(path)]
        except ValueError:  # named where its own people are read
            continue
    return keypoint_labels.scale_of(people_labels)


def _detection(number: int, person) -> Detection:
    try:
        labels = labels_of(person)
    except ValueError as error:
        return Detection(number, cause=str(error))
    if not len(labels):
        return Detection(number, cause="it has no keypoints of the body")
    if len(labels) not in ORDERS:
        cause = f"{len(labels)} keypoints, expected 25 or 18"
        return Detection(number, cause=cause)
    return Detection(number, ORDERS[len(labels)], labels)
