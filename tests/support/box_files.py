"""Files of boxes for tests, as detectors and data sets write them."""

import json

import numpy as np


def save(path, content):
    path.write_text(json.dumps(content))
    return path


def openpose(*people_points, key="pose_keypoints_2d"):
    return {"people": [{key: points} for points in people_points]}


def body25(x, y, w, h, confidence=0.9):
    rng = np.random.default_rng(int(x))
    points = rng.uniform(0, 1, (25, 2)) * (w, h) + (x, y)
    points[:2] = (x, y), (x + w, y + h)
    return np.hstack([points, np.full((25, 1), confidence)]).ravel().tolist()


def coco(names, annotations, **more):
    return {
        "images": [{"id": i, "file_name": name} for i, name in names.items()],
        "annotations": annotations,
        **more,
    }
