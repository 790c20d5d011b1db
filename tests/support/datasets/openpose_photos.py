"""Photos with a file of OpenPose beside each."""

import json

import numpy as np

from tests.support.datasets import people
from tf_hmr.formats import openpose_files


def write_openpose(root, scenes, names=openpose_files.BODY25):
    """Photos and OpenPose's file beside each; elbows are not sure."""
    key = "pose_keypoints_2d" if len(names) == 25 else "pose_keypoints"
    for number, scene in enumerate(scenes):
        path = root / "images" / f"photo{number}.jpg"
        people.write_image(path, scene.image)
        detections = []
        for person in scene.people:
            keypoints = person.keypoints | {
                f"between_{pair}s": person.points(
                    (f"left_{pair}", f"right_{pair}")
                ).mean(axis=0)
                for pair in ("shoulder", "hip")
            }
            rows = [
                (*keypoints[name], 0.1 if "elbow" in name else 0.9)
                for name in names
            ]
            detections.append({key: np.array(rows).ravel().tolist()})
        content = {"version": 1.3, "people": detections}
        text = path.with_name(f"photo{number}_keypoints.json")
        text.write_text(json.dumps(content))
    return root
