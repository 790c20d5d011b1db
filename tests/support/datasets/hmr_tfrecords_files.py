"""Writes TFRecords as the original HMR's converters do."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.support import record_samples
from tests.support.datasets import people
from tf_hmr import joints

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
HIDDEN = "left_wrist"


def features(person: people.Person, scene: people.Scene) -> dict:
    """2D labels with the face, as of COCO."""
    height, width = scene.image.shape[:2]
    points = person.points(joints.LSP14)
    flags = [int(name != HIDDEN) for name in joints.LSP14]
    face = np.column_stack([person.points(FACE), [2, 2, 0, 1, 2]])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return {
        "image/height": [height],
        "image/width": [width],
        "image/center": middle.astype(int),
        "image/x": points[:, 0],
        "image/y": points[:, 1],
        "image/visibility": flags,
        "image/format": [b"JPEG"],
        "image/filename": [b"im.jpg"],
        "image/encoded": [record_samples.jpeg(scene.image)],
        "image/face_pts": face.T.ravel(),
    }


def features_3d(person, scene, has_3d: int = 1) -> dict:
    """2D and 3D labels, as of Human3.6M or (has_3d 0) MPI-INF-3DHP."""
    values = features(person, scene)
    del values["image/face_pts"]
    focal, _, *centre = scene.intrinsics
    # As if a larger picture had been shrunk (height, width) and then cut.
    shrunk, crop_pt = np.array([0.5, 0.4]), np.array([7, 11])
    camera = np.array([focal / 0.5, *((centre + crop_pt) / shrunk[::-1])])
    pose = person.pose.ravel() if has_3d else -np.ones(72)
    shape = person.betas if has_3d else -np.ones(10)
    return values | {
        "mosh/pose": pose,
        "mosh/shape": shape,
        "mosh/gt3d": person.points3d(joints.LSP14).ravel(),
        "meta/scale_factors": shrunk,
        "meta/crop_pt": crop_pt,
        "meta/has_3d": [has_3d],
        "image/cam": camera,
    }


def serialize(named: dict) -> bytes:
    """A tf.train.Example; the type of a feature is that of its values."""
    example = tf.train.Example()
    for name, values in named.items():
        feature = example.features.feature[name]
        values = list(values)
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif np.issubdtype(np.asarray(values).dtype, np.integer):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return example.SerializeToString()


def write(path: Path, rows: list[dict | bytes]) -> Path:
    """One file of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for row in rows:
            file.write(row if isinstance(row, bytes) else serialize(row))
    return path
