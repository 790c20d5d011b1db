"""SPIN's losses of a predicted body, with explicit weights.

Kolotouros et al., ICCV 2019, with the numbers of nkolot/SPIN:
train/trainer.py. All errors are squared. Unlike HMR's, joints that are not
labelled stay in the denominators. HKMR_MF uses the same losses.
"""

import tensorflow as tf

from tf_hmr import losses, method
from tf_hmr.methods import _smpl_losses

# SPIN compares 49 keypoints, of which OpenPose's 25 have weight 0, and 24
# joints in 3D. Each joint here has its weight there, whatever their number.
KEYPOINTS, JOINTS = 49, 24


def keypoints_2d(pred, labels, weight: float) -> method.Term:
    """2D keypoints (keypoint_loss).

    Args:
        pred: (B, J, 2) in [-1, 1] of the crop.
        labels: (B, J, 3) likewise, with confidence, 0 if not seen.
        weight: weight of the mean over SPIN's keypoints.
    """
    total, _ = losses.joints_squared(pred, labels[..., :2], labels[..., 2])
    return method.Term(total, tf.fill(tf.shape(total), 2.0 * KEYPOINTS), weight)


def joints_3d(aligned, weight: float) -> method.Term:
    """3D joints (keypoint_3d_loss); an example with any joint counts in full.

    Args:
        aligned: returned by _smpl_losses.root_aligned.
        weight: weight of the mean over SPIN's joints.
    """
    pred, true, confidence = aligned
    total, _ = losses.joints_squared(pred, true, confidence)
    is_labelled = tf.cast(tf.reduce_any(confidence > 0, axis=1), tf.float32)
    return method.Term(total, 3.0 * JOINTS * is_labelled, weight)


def rotmats(pred, batch, weight: float) -> method.Term:
    """Rotation matrices, mean over the examples with a pose (smpl_losses)."""
    squared = losses.rotmats_squared(
        pred.rotmats, batch["rotmats"], batch["has_pose"]
    )
    return _smpl_losses.term(squared, weight)


def betas(pred, batch, weight: float) -> method.Term:
    """Shape, mean over the examples with a shape (smpl_losses)."""
    squared = losses.betas_squared(
        pred.betas, batch["betas"], batch["has_betas"]
    )
    return _smpl_losses.term(squared, weight)


def camera_scale(camera, weight: float) -> method.Term:
    """Penalises cameras (B, 3) with a scale s near 0 or below: exp(-20 s)."""
    total = tf.exp(-20.0 * tf.cast(camera[:, 0], tf.float32))
    return method.Term(total, tf.ones_like(total), weight)
