"""SPIN: HMR's regressor, taught by fits that are made in the training loop.

Kolotouros et al., Learning to Reconstruct 3D Human Pose and Shape via
Model-fitting in the Loop, ICCV 2019 (nkolot/SPIN: models/hmr.py,
train/trainer.py, utils/train_options.py).
"""

import dataclasses
from typing import ClassVar

from tf_hmr import config_values, method, retired
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera
from tf_hmr.methods import (
    _fits_in_loop,
    _image_encoder,
    _smpl_losses,
    _spin_losses,
    _theta,
)
from tf_hmr.networks import encoders, resnet_v15, spin_regressor

_LOSSES = "SPIN's losses are squared errors: weigh them by --method.joints-3d."
_ADVERSARY = "SPIN has no adversary: `training.fit hmr`, or `quick`, has one."
_NETWORK = "SPIN is the method; HMR is `training.fit hmr`, or `quick`."


@dataclasses.dataclass(frozen=True)
class Config(_fits_in_loop.FitFields, _image_encoder.EncoderFields):
    """Defaults are the published model's and its training's.

    train/trainer.py weighs 60 (5 L2D + 5 L3D + Lpose + 0.001 Lbetas + the
    mean of exp(-10 s)^2).
    """

    crop_scale: config_values.Positive = spin_regressor.CROP_SCALE
    """Side of the crop over the longer side of the person's box (SPIN:
    datasets/preprocess: scaleFactor)."""
    encoder: encoders.Name = resnet_v15.NAME
    """ResNet-50 as torchvision's; 'resnet50' has ImageNet weights to
    download, 'resnet50_slim' is HMR's, 'small' trains on a CPU."""
    rotation: _theta.RotationName = "6d_interleaved"
    """Regressed rotation of a joint: 6 numbers, row by row as in SPIN's
    checkpoints, or columns stacked, or 3 as HMR's."""
    focal: config_values.NonNegative = spin_regressor.FOCAL
    """Focal length over the crop's side, of the camera that projects joints to
    keypoints: 5000 / 224; 0 is weak perspective."""
    iterations: config_values.Repeats = 3
    """Passes of the regressor with feedback."""
    hidden: config_values.Count = 1024
    """Units of the regressor's two hidden layers."""
    dropout: config_values.Dropout = 0.5
    """Dropout after each hidden layer."""
    keypoints_2d: config_values.NonNegative = 300.0
    """Weight of the 2D keypoint loss."""
    joints_3d: config_values.NonNegative = 300.0
    """Weight of the 3D joint loss."""
    rotmats: config_values.NonNegative = 60.0
    """Weight of the rotation matrix loss."""
    betas: config_values.NonNegative = 0.06
    """Weight of the shape loss."""
    camera_scale: config_values.NonNegative = 60.0
    """Weight of exp(-10 s)^2 of the camera's scale s."""
    joints_in_loss: _smpl_losses.JointSet = "cocoplus"
    """Joints of the 3D loss: all 19, or 14 as HMR."""
    fits: _fits_in_loop.Fits = "improved"
    """Labels from fits to the keypoints, where an example has no pose:
    'improved' runs SMPLify from every prediction on and keeps the better one;
    'kept' takes those that data.fits gives; 'none' learns from labels alone."""

    RETIRED: ClassVar[dict[str, retired.Field]] = {
        "regressor": retired.Field(("spin",), _NETWORK),
        "supervision": retired.Field(("spin",), _LOSSES),
        # SPIN never read these; the second value is spin_quick's.
        "loss_3d": retired.Field(("squared", "absolute"), _LOSSES),
        "loss_rotmats": retired.Field(("as_joints",), _LOSSES),
        "supervise": retired.Field(("last",), _NETWORK),
        "adversary_kind": retired.Field(("factorised",), _ADVERSARY),
        "adversary_hidden": retired.Field((1024, 256), _ADVERSARY),
        "adversary": retired.Field((0.0,), _ADVERSARY),
    }


class Model(_fits_in_loop.FitsInLoop, _image_encoder.ImageEncoder):
    """Encoder, iterative regressor, and fits as labels."""

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        self.regressor = spin_regressor.Regressor(
            config.hidden,
            config.dropout,
            config.iterations,
            _theta.encode(body, config.rotation, None, None),
            num_betas=body.num_betas,
        )

    def initialize_from_mean(self, rotmats, betas):
        """Starts the regressor at the training set's mean."""
        start = _theta.encode(self.body, self.config.rotation, rotmats, betas)
        self.regressor.initialize_from_mean(start)

    def mean_body(self):
        """The regressor's start: rotations (J, 3, 3) and betas (N,)."""
        _, rotmats, betas = self.decode(self.regressor.initial_estimate())
        return rotmats[0], betas[0]

    def decode(self, theta):
        """(B, N) -> camera (B, 3), rotmats (B, J, 3, 3), betas (B, N)."""
        return _theta.decode(self.body, self.config.rotation, theta)

    def call(self, inputs, training=False):
        """inputs["image"] (B, S, S, 3) float32 0..255 -> Prediction."""
        image = inputs["image"]
        features, encoder_keypoints = self.features(image, training)
        thetas = self.regressor(features, training=training)
        weak, rotmats, betas = self.decode(thetas[-1])
        if training:
            vertices = None
            points, _ = self.body.keypoints(rotmats, betas)
            intermediate = {"encoder_keypoints": encoder_keypoints}
        else:
            vertices, points, _ = self.body(rotmats, betas)
            intermediate = None
        keypoints = self.project(points, weak)
        return method.Prediction(
            rotmats, betas, weak, points, keypoints, vertices, intermediate
        )

    def project(self, points, weak):
        """Projects joints (B, J, 3) by cameras (B, 3): keypoints (B, J, 2)."""
        focal = self.config.focal
        if not focal:
            return camera.project_weak_perspective(points, weak)
        # The unit is half the crop's side, as for the keypoints.
        translations = camera.weak_to_translation(weak, 2 * focal, 2.0)
        return camera.project_perspective(
            points + translations[:, None], 2 * focal, (0.0, 0.0)
        )

    def terms(self, batch, prediction):
        """SPIN's whole loss: squared errors of the last iteration.

        60 (5 L2D + 5 L3D + Lpose + 0.001 Lbetas + mean of exp(-10 s)^2), as
        train/trainer.py.
        """
        config, names = self.config, self.joint_names
        labels = _smpl_losses.select(batch["keypoints"], names)
        aligned = _smpl_losses.root_aligned(
            prediction.joints, names, batch["joints3d"], config.joints_in_loss
        )
        terms = {
            "keypoints_2d": _spin_losses.keypoints_2d(
                prediction.keypoints, labels, config.keypoints_2d
            ),
            "joints_3d": _spin_losses.joints_3d(aligned, config.joints_3d),
            "rotmats": _spin_losses.rotmats(prediction, batch, config.rotmats),
            "betas": _spin_losses.betas(prediction, batch, config.betas),
            "camera_scale": _spin_losses.camera_scale(
                prediction.camera, config.camera_scale
            ),
        }
        if config.layout_keypoints:
            # Not in the paper: keypoints of the encoder, not of the body.
            terms["layout_keypoints"] = _smpl_losses.keypoints_2d(
                prediction.intermediate["encoder_keypoints"],
                labels,
                config.layout_keypoints,
            )
        return terms
