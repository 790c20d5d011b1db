"""A small SMPLR, and labelled people whom a weak camera sees."""

import numpy as np
import tensorflow as tf

from tests.support.label_batches import make_batch
from tf_hmr import joints
from tf_hmr.geometry import rotations

SMALL = {
    "image_size": 64,
    "stacks": 2,
    "width": 16,
    "bins": 8,
    "levels": 2,
    "stem": (8, 8, 8),
    "hidden": 32,
    "dropout": 0.0,
    "points": 1.0,
}


def bodies(rng, count=4):
    """Random rotations and shapes of people, upright before a camera."""
    turns = rng.normal(0, 0.3, (count, 24, 3))
    turns[:, 0] += (np.pi, 0, 0)
    rotmats = rotations.rotvec_to_rotmat(tf.constant(turns, tf.float32))
    return rotmats, tf.constant(rng.normal(size=(count, 10)), tf.float32)


def photographed(model, rng, camera=((1.1, 0.05, -0.1),) * 4):
    """A batch whose keypoints a weak camera sees, and that camera (B, 3)."""
    batch = make_batch(rng, labelled=(1,) * len(camera))
    camera = np.float32(camera)
    rotmats, betas = bodies(rng, len(camera))
    _, keypoints = model.points(rotmats, betas)
    projected = camera[:, None, :1] * (
        keypoints.numpy()[..., :2] + camera[:, None, 1:]
    )
    stored = batch["keypoints"].numpy()
    rows = list(joints.select(model.joint_names, of=joints.KEYPOINTS))
    stored[:, rows, :2], stored[:, rows, 2] = projected, 1
    labels = {"rotmats": rotmats, "betas": betas, "keypoints": stored}
    return batch | {k: tf.constant(v) for k, v in labels.items()}, camera
