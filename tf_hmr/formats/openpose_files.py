"""Reads OpenPose's json: the 2D people of one image.

NAME_keypoints.json with people[].pose_keypoints_2d, x, y and confidence of 25
joints, or of 18 of its older model (also named pose_keypoints). The middle of
the shoulders and of the hips, which it calls neck and mid hip, have no joint
in joints.KEYPOINTS (CMU-Perceptual-Computing-Lab/openpose: doc/02_output.md;
akanazawa/hmr: src/util/openpose.py).
"""

from pathlib import Path

import numpy as np

from tf_hmr.formats import json_files

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


def read(path: Path) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Reads the people of a file.

    Returns:
        For each person the names of the joints and (n, 3) x, y, confidence.

    Raises:
        ValueError: the file is not OpenPose's.
    """
    try:
        people = json_files.loads(path.read_bytes())["people"]
        detections = []
        for person in people:
            values = person.get("pose_keypoints_2d")
            if values is None:
                values = person["pose_keypoints"]
            labels = np.array(values, np.float64).reshape(-1, 3)
            names = {18: COCO18, 25: BODY25}[len(labels)]
            if not np.isfinite(labels).all():
                raise ValueError("numbers that are not finite")
            detections.append((names, labels))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not OpenPose's json ({error!r}), expected people with "
            "pose_keypoints_2d of 25 or 18 joints. Run OpenPose again with "
            "--write_json."
        ) from error
    return detections
