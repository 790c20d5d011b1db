"""CLIFF in small: HMR's regressor, which is also told where the crop lies.

Li et al., CLIFF: Carrying Location Information in Full Frames into Human Pose
and Shape Estimation, ECCV 2022: the place of the crop, over the focal length,
is three more features (eq. 3), and keypoints are compared where the body stands
in the full image's camera (eq. 7).
"""

import dataclasses

import tensorflow as tf

from tf_hmr import method
from tf_hmr.body.model import Body
from tf_hmr.methods import _image_encoder, _smpl_losses, _theta
from tf_hmr.networks import spin_regressor


@dataclasses.dataclass(frozen=True)
class Config(_image_encoder.EncoderFields):
    """Of a network for tests."""

    hidden: int = 32
    """Units of the regressor's two hidden layers."""
    keypoints_2d: float = 60.0
    """Weight of the 2D keypoint loss."""
    joints_3d: float = 60.0
    """Weight of the 3D joint loss."""
    rotmats: float = 60.0
    """Weight of the rotation matrix loss."""
    betas: float = 60.0
    """Weight of the shape loss."""


class Model(_image_encoder.ImageEncoder):
    """Encoder and iterative regressor, with the crop's place as features."""

    input_names = ("image", "box", "image_size", "intrinsics")

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        start = _theta.encode(body, "6d", None, None)
        self.regressor = spin_regressor.Regressor(config.hidden, 0.0, 3, start)

    def initialize_from_mean(self, rotmats, betas):
        """Starts the regressor at the training set's mean."""
        start = _theta.encode(self.body, "6d", rotmats, betas)
        self.regressor.initialize_from_mean(start)

    def call(self, inputs, training=False):
        """Inputs of `input_names` -> Prediction."""
        features, _ = self.features(inputs["image"], training)
        crop_centre = crop_place(
            inputs["box"], inputs["image_size"], inputs["intrinsics"]
        )
        features = tf.concat(
            [tf.cast(features, tf.float32), crop_centre], axis=-1
        )
        thetas = self.regressor(features, training=training)
        weak, rotmats, betas = _theta.decode(self.body, "6d", thetas[-1])
        if training:
            vertices = None
            points, _ = self.body.keypoints(rotmats, betas)
        else:
            vertices, points, _ = self.body(rotmats, betas)
        keypoints = in_crop(points, weak, crop_centre)
        return method.Prediction(
            rotmats, betas, weak, points, keypoints, vertices
        )

    def terms(self, batch, prediction):
        """HMR's terms without its adversary."""
        config, names = self.config, self.joint_names
        labels = _smpl_losses.select(batch["keypoints"], names)
        aligned = _smpl_losses.root_aligned(
            prediction.joints, names, batch["joints3d"], "lsp"
        )
        return {
            "keypoints_2d": _smpl_losses.keypoints_2d(
                prediction.keypoints, labels, config.keypoints_2d
            ),
            "joints_3d": _smpl_losses.joints_3d(
                aligned, "squared", config.joints_3d
            ),
            "rotmats": _smpl_losses.rotmats(
                prediction, batch, "squared", config.rotmats
            ),
            "betas": _smpl_losses.betas(prediction, batch, config.betas),
        }


def crop_place(box, image_size, intrinsics):
    """Middle of the crop from the image's, and its side, over the focal length.

    Args:
        box: (B, 4) x, y, w, h of the crop in pixels of the image.
        image_size: (B, 2) width and height.
        intrinsics: (B, 4) fx, fy, cx, cy in half sides of the crop.

    Returns:
        (B, 3).
    """
    focal = intrinsics[:, 0:1] * box[:, 2:3] / 2.0
    middle = box[:, 0:2] + 0.5 * box[:, 2:4] - 0.5 * image_size
    return tf.concat([middle, box[:, 2:3]], axis=1) / focal


def in_crop(points, weak, crop_centre):
    """Joints (B, J, 3) as the full image's camera sees them, in the crop.

    The body stands at depth 2 / (side s) focal lengths; all is in focal
    lengths of the image, so that its size in pixels drops out.
    """
    side = tf.reshape(crop_centre[:, 2:3], (-1, 1, 1))
    middle = tf.reshape(crop_centre[:, 0:2], (-1, 1, 2))
    scale = tf.reshape(weak[:, 0:1], (-1, 1, 1))
    depth = 2.0 / (side * scale)
    shift = tf.reshape(weak[:, 1:3], (-1, 1, 2)) + depth * middle
    projected = (points[:, :, 0:2] + shift) / (points[:, :, 2:3] + depth)
    return 2.0 * (projected - middle) / side
