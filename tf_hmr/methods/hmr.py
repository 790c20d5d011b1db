"""HMR: iterative regression with a factorised adversary.

Kanazawa et al., End-to-end Recovery of Human Shape and Pose, CVPR 2018
(arXiv:1712.06584). Where text and code differ, this follows the code
(akanazawa/hmr: src/models.py, src/trainer.py, src/ops.py, do_train.sh).
"""

import dataclasses
from typing import ClassVar, Literal

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import config_values, losses, method, retired
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera
from tf_hmr.methods import _adversary, _image_encoder, _smpl_losses, _theta
from tf_hmr.networks import discriminator, dropout, encoders

_SPIN = "SPIN is a method of its own: `training.fit spin`, or `spin_quick`."
_FITS = "Fits teach SPIN and HKMR_MF: `training.fit spin` or `hkmr_mf`."


@dataclasses.dataclass(frozen=True)
class Config(_image_encoder.EncoderFields):
    """Defaults are the paper's; the sources are in the module docstring."""

    crop_scale: config_values.Positive = 224 / 150
    """Side of the crop over the longer side of the person's box: people are
    150 px long in 224 px (akanazawa/hmr: src/util/image.py)."""
    encoder: encoders.Name = "resnet50_slim"
    """ResNet-50 v2 as in HMR's code; 'resnet50' has ImageNet weights to
    download, 'resnet50_v15' is SPIN's, 'small' trains on a CPU."""
    rotation: _theta.RotationName = "rotvec"
    """Regressed rotation of a joint: 3 numbers, or 6 (columns stacked, or
    row by row as in SPIN's checkpoints)."""
    iterations: config_values.Repeats = 3
    """Passes of the regressor with feedback (T in the paper)."""
    hidden: config_values.Count = 1024
    """Units of the regressor's two hidden layers."""
    dropout: config_values.Dropout = 0.5
    """Dropout after each hidden layer."""
    supervise: Literal["last", "each"] = "last"
    """Iterations with 2D and 3D losses; section 3.2 argues against 'each'."""
    keypoints_2d: config_values.NonNegative = 60.0
    """Weight of the 2D keypoint loss (do_train.sh: e_loss_weight)."""
    joints_3d: config_values.NonNegative = 60.0
    """Weight of the 3D joint loss (do_train.sh: e_3d_weight)."""
    rotmats: config_values.NonNegative = 60.0
    """Weight of the rotation matrix loss (do_train.sh: e_3d_weight)."""
    betas: config_values.NonNegative = 60.0
    """Weight of the shape loss (do_train.sh: e_3d_weight)."""
    loss_3d: _smpl_losses.Penalty = "squared"
    """Penalty of 3D joints and rotation matrices; 'squared' is halved."""
    loss_rotmats: Literal["as_joints", "squared", "absolute"] = "as_joints"
    """Penalty of rotation matrices; 'as_joints' is that of loss_3d."""
    joints_in_loss: _smpl_losses.JointSet = "lsp"
    """Joints of the 3D loss: 14 as HMR, or all 19."""
    adversary_kind: discriminator.Kind = "factorised"
    """'factorised': one score for each joint, one for all and one for the
    shape; 'joint', against section 3.3: one score in all."""
    adversary_hidden: config_values.Count = 1024
    """Units of the discriminator of all joints together."""
    adversary: config_values.NonNegative = 1.0
    """Weight of the adversarial loss (d_loss_weight); 0 builds no adversary."""
    true_root: bool = False
    """For experiments: the labelled global rotation is an input, and every
    iteration keeps it."""

    RETIRED: ClassVar[dict[str, retired.Field]] = {
        "regressor": retired.Field(
            ("hmr",), _SPIN, successors={"spin": "spin"}
        ),
        "supervision": retired.Field(("hmr",), _SPIN),
        "camera_scale": retired.Field((0.0,), _SPIN),
        "focal": retired.Field((0.0,), _SPIN),
        "fits": retired.Field(("none",), _FITS),
        "fit_steps": retired.Field((100,), _FITS),
        "fit_prior": retired.Field(("",), _FITS),
    }


class Regressor(keras.layers.Layer):
    """Refines (camera, rotations, betas) from features and feedback.

    src/models.py Encoder_fc3_dropout: the same two hidden layers and linear
    layer in every iteration; the start is a trainable mean.
    """

    def __init__(self, config: Config, start: np.ndarray):
        # Float32 outside its hidden layers: the feedback sums small steps.
        super().__init__(name="regressor", dtype="float32")
        self.iterations = config.iterations
        self.start = start.astype(np.float32)
        dense = keras.layers.Dense
        self.fc1 = dense(config.hidden, "relu", name="fc1")
        self.drop1 = dropout.Dropout(config.dropout)
        self.fc2 = dense(config.hidden, "relu", name="fc2")
        self.drop2 = dropout.Dropout(config.dropout)
        self.fc3 = dense(
            len(start),
            kernel_initializer=keras.initializers.VarianceScaling(
                0.01, "fan_avg", "uniform"
            ),
            dtype="float32",
            name="fc3",
        )

    def build(self, shape):
        numbers = len(self.start)
        hidden = self.fc1.units
        self.fc1.build((None, shape[-1] + numbers))
        self.fc2.build((None, hidden))
        self.fc3.build((None, hidden))
        # An initializer, because an assign inside a symbolic build is lost.
        self.mean = self.add_weight(
            shape=(1, numbers),
            initializer=lambda shape, dtype=None: tf.constant(
                self.start[None], dtype
            ),
            name="mean",
        )

    def initialize_from_mean(self, theta: np.ndarray) -> None:
        """Sets the mean, (N,)."""
        self.mean.assign(theta[None])

    def call(self, features, root=None, training=False):
        """Refines theta.

        Args:
            features: (B, F).
            root: (B, n) numbers of the global rotation that each iteration
                keeps; None estimates it.
            training: whether units are dropped.

        Returns:
            List of (B, N), one for each iteration.
        """
        mean = tf.convert_to_tensor(self.mean)
        theta = mean + tf.zeros_like(features[:, 0:1])
        theta = _theta.with_root(theta, root)
        thetas = []
        for _ in range(self.iterations):
            x = self.fc1(tf.concat([features, theta], axis=-1))
            x = self.fc2(self.drop1(x, training=training))
            theta = theta + self.fc3(self.drop2(x, training=training))
            theta = _theta.with_root(theta, root)
            thetas.append(theta)
        return thetas


class Model(_image_encoder.ImageEncoder):
    """Encoder, iterative regressor and factorised adversary."""

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        self.input_names = _theta.input_names(config.true_root)
        start = _theta.encode(body, config.rotation, None, None)
        self.regressor = Regressor(config, start)
        self.adversary = None
        if config.adversary:
            kind = discriminator.KINDS[config.adversary_kind]
            self.adversary = kind(
                config.adversary_hidden, body.data.num_joints, body.num_betas
            )

    def initialize_from_mean(self, rotmats, betas):
        """Starts the regressor at a mean pose and shape."""
        start = _theta.encode(self.body, self.config.rotation, rotmats, betas)
        self.regressor.initialize_from_mean(start)

    def build_all(self):
        """Makes the variables of the network and of its adversary."""
        super().build_all()
        if self.adversary is not None:
            self.adversary.build()

    def decode(self, theta):
        """(B, N) -> camera (B, 3), rotmats (B, J, 3, 3), betas (B, N)."""
        return _theta.decode(self.body, self.config.rotation, theta)

    def call(self, inputs, training=False):
        """inputs["image"] (B, S, S, 3) float32 0..255 -> Prediction.

        With true_root also inputs["global_rotation"] (B, 3, 3).
        """
        image, root = inputs["image"], None
        if self.config.true_root:
            form = _theta.ROTATIONS[self.config.rotation]
            root = form.encode(inputs["global_rotation"])
        features, encoder_keypoints = self.features(image, training)
        thetas = self.regressor(features, root, training=training)
        estimates = [self.decode(theta) for theta in thetas]
        weak, rotmats, betas = estimates[-1]
        if training:
            cameras, poses, shapes = (
                tf.concat(values, axis=0)
                for values in zip(*estimates, strict=True)
            )
            return self._without_mesh(rotmats, betas, weak)._replace(
                intermediate={
                    "camera": cameras,
                    "rotmats": poses,
                    "betas": shapes,
                    "encoder_keypoints": encoder_keypoints,
                }
            )
        vertices, points, _ = self.body(rotmats, betas)
        keypoints = camera.project_weak_perspective(points, weak)
        return method.Prediction(
            rotmats, betas, weak, points, keypoints, vertices
        )

    def _without_mesh(self, rotmats, betas, weak) -> method.Prediction:
        """Makes the prediction for the losses, without vertices."""
        points, _ = self.body.keypoints(rotmats, betas)
        keypoints = camera.project_weak_perspective(points, weak)
        return method.Prediction(rotmats, betas, weak, points, keypoints, None)

    def terms(self, batch, prediction):
        """HMR's whole loss, for encoder and regressor (eq. 1).

        60 (L2D + L3D) + Ladv: 2D and 3D losses are of the last iteration, the
        adversarial loss is of all iterations (src/trainer.py).
        `adversary_terms` is the loss of the discriminator.
        """
        config, intermediate = self.config, prediction.intermediate
        if config.supervise == "each":
            terms = self._supervised_iterations(batch, intermediate)
        else:
            terms = self.supervised_terms(batch, prediction)
        if config.layout_keypoints:
            # Not in the paper: keypoints of the encoder, not of the body.
            terms["layout_keypoints"] = _smpl_losses.keypoints_2d(
                intermediate["encoder_keypoints"],
                _smpl_losses.select(batch["keypoints"], self.joint_names),
                config.layout_keypoints,
            )
        if self.adversary is not None:
            # Least squares with target 1 for all estimates (eq. 2).
            scores = self.adversary(
                intermediate["rotmats"], intermediate["betas"]
            )
            terms["generator"] = _smpl_losses.term(
                losses.generator(scores), config.adversary
            )
        return terms

    def supervised_terms(self, batch, prediction) -> dict[str, method.Term]:
        """L2D and L3D, each where it is labelled.

        Args:
            batch: a batch of training/data/pipeline/batches.py: train_dataset.
            prediction: the prediction for it.
        """
        config, names = self.config, self.joint_names
        of_rotmats = config.loss_rotmats
        if of_rotmats == "as_joints":
            of_rotmats = config.loss_3d
        aligned = _smpl_losses.root_aligned(
            prediction.joints, names, batch["joints3d"], config.joints_in_loss
        )
        return {
            # L1 of the visible keypoints (src/ops.py: keypoint_l1_loss).
            "keypoints_2d": _smpl_losses.keypoints_2d(
                prediction.keypoints,
                _smpl_losses.select(batch["keypoints"], names),
                config.keypoints_2d,
            ),
            # Half squared errors (src/ops.py: compute_3d_loss). Joints are
            # relative to the mid-hip; rotations and shape share one mean over
            # 216 + 10 numbers.
            "joints_3d": _smpl_losses.joints_3d(
                aligned, config.loss_3d, config.joints_3d
            ),
            "rotmats": _smpl_losses.rotmats(
                prediction, batch, of_rotmats, config.rotmats
            ),
            "betas": _smpl_losses.betas(prediction, batch, config.betas),
        }

    def _supervised_iterations(self, batch, intermediate):
        """The losses of all iterations, summed."""
        count = self.config.iterations
        estimates = self._without_mesh(
            intermediate["rotmats"],
            intermediate["betas"],
            intermediate["camera"],
        )
        terms = self.supervised_terms(
            _smpl_losses.repeated(batch, count), estimates
        )
        return {
            name: _smpl_losses.summed(term, count)
            for name, term in terms.items()
        }

    def adversary_terms(self, batch, prediction):
        """The discriminator's least-squares loss (src/trainer.py).

        Target 1 for real bodies, 0 for the estimates of all iterations.
        """
        if self.adversary is None:
            return {}
        real, fake = _adversary.scores(
            self.adversary, batch, prediction.intermediate
        )
        return {
            "real": _smpl_losses.term(losses.discriminator_real(real), 1.0),
            "fake": _smpl_losses.term(losses.discriminator_fake(fake), 1.0),
        }
