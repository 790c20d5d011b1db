"""Random batches of labels, as methods are given them."""

import numpy as np
import tensorflow as tf

from tf_hmr import joints


def make_batch(rng, size=64, count=4, labelled=(1, 1, 0, 0)):
    """Random labels; the last examples have 2D labels only."""
    has = np.array(labelled[:count], np.float32)
    points = rng.normal(0, 0.3, (count, len(joints.KEYPOINTS), 3))
    points[..., 2] = rng.random((count, len(joints.KEYPOINTS))) < 0.7
    body_joints = rng.normal(0, 0.3, (count, len(joints.KEYPOINTS), 4))
    body_joints[..., 3] = has[:, None]
    turn = np.linalg.qr(rng.normal(size=(5 * count, 24, 3, 3)))[0]
    turn *= np.linalg.det(turn)[..., None, None]
    arrays = {
        "image": rng.uniform(0, 255, (count, size, size, 3)),
        "keypoints": points,
        "joints3d": body_joints,
        "rotmats": turn[:count],
        "betas": rng.normal(size=(count, 10)),
        "has_pose": has,
        "has_betas": has,
        "has_joints3d": has,
        "box": np.tile([10.0, 20.0, 90.0, 90.0], (count, 1)),
        "image_size": np.tile([160.0, 120.0], (count, 1)),
        "intrinsics": np.tile([2.5, 2.5, 0.1, -0.3], (count, 1)),
        "landmarks": rng.normal(0, 0.3, (count, len(joints.BLAZEPOSE33), 7)),
        "depth": np.full((count, 1), 4.0),
        "gender": np.sign(rng.normal(size=count)),
        "prior_rotmats": turn[count : 4 * count],
        "prior_betas": rng.normal(size=(3 * count, 10)),
        "prior_gender": np.sign(rng.normal(size=3 * count)),
    }
    return {k: tf.constant(v, tf.float32) for k, v in arrays.items()}
