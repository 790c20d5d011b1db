"""The supervision of SPIN, for any regressor.

Kolotouros et al., ICCV 2019, with the numbers of nkolot/SPIN:
train/trainer.py: total = 60 (5 L2D + 5 L3D + Lpose + 0.001 Lbetas + mean of
exp(-10 s)^2), all squared errors. Unlike HMR's, joints that are not labelled
stay in the denominators.
"""

import tensorflow as tf

from tf_hmr import losses, method

# SPIN compares 49 keypoints, of which OpenPose's 25 weigh nothing, and 24
# joints in 3D. Each of ours weighs what it does there, whatever their number.
KEYPOINTS, JOINTS = 49, 24
WEIGHTS = {
    "keypoints_2d": 300.0,
    "joints_3d": 300.0,
    "rotmats": 60.0,
    "betas": 0.06,
    "camera_scale": 60.0,
}
"""For the fields of image_method.Config of these names."""


def keypoints_term(pred, true, confidence, weight: float) -> method.Term:
    """2D keypoints (B, K, 2) in [-1, 1]; confidence (B, K) 0 if not seen."""
    total, _ = losses.joints_squared(pred, true, confidence)
    return method.Term(total, tf.fill(tf.shape(total), 2.0 * KEYPOINTS), weight)


def joints_term(pred, true, confidence, weight: float) -> method.Term:
    """3D joints (B, J, 3), root-aligned; confidence (B, J).

    An example with any joint counts whole.
    """
    total, _ = losses.joints_squared(pred, true, confidence)
    has = tf.cast(tf.reduce_any(confidence > 0, axis=1), tf.float32)
    return method.Term(total, 3.0 * JOINTS * has, weight)


def camera_term(camera, weight: float) -> method.Term:
    """Cameras (B, 3) with a scale s near 0 or below are far off: exp(-20 s)."""
    total = tf.exp(-20.0 * tf.cast(camera[:, 0], tf.float32))
    return method.Term(total, tf.ones_like(total), weight)


def terms(
    config, batch, prediction, true_2d, aligned
) -> dict[str, method.Term]:
    """All terms, by the names of HMR's, with "camera_scale".

    Args:
        config: an image_method.Config.
        batch: of pipeline.train_dataset.
        prediction: a method.Prediction.
        true_2d: (B, J, 3) labels of its keypoints.
        aligned: its 3D joints, their labels and the labels' flags.
    """
    return {
        "keypoints_2d": keypoints_term(
            prediction.keypoints,
            true_2d[..., :2],
            true_2d[..., 2],
            config.keypoints_2d,
        ),
        "joints_3d": joints_term(*aligned, config.joints_3d),
        "rotmats": method.Term(
            *losses.rotmats_squared(
                prediction.rotmats, batch["rotmats"], batch["has_pose"]
            ),
            config.rotmats,
        ),
        "betas": method.Term(
            *losses.betas_squared(
                prediction.betas, batch["betas"], batch["has_betas"]
            ),
            config.betas,
        ),
        "camera_scale": camera_term(prediction.camera, config.camera_scale),
    }
