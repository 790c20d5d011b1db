"""HMR: iterative regression with a factorised adversary.

Kanazawa et al., End-to-end Recovery of Human Shape and Pose, CVPR 2018
(arXiv:1712.06584). Where text and code differ the code holds
(akanazawa/hmr: src/models.py, src/trainer.py, src/ops.py).
"""

import dataclasses
import functools
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import backbones, camera, dropout, geometry, joints, losses, method
from tf_hmr import body as bodies

BODY_JOINTS = len(joints.SMPL24) - 1
# Numbers that the paper's code averages one squared error over: 24 rotation
# matrices and 10 betas (src/trainer.py: 216 + 10).
PARAMETERS = 226


@dataclasses.dataclass(frozen=True)
class Config(method.Config):
    """Defaults are the paper's; the sources are in the module docstring."""

    image_size: int = 224
    """Side of the square input crop in pixels."""
    crop_scale: float = 224 / 150
    """Side of the crop over the longer side of the person's box: people are
    150 px long in 224 px (src/util/image.py)."""
    encoder: backbones.Name = "resnet50_slim"
    """ResNet-50 v2 as in HMR's code; 'resnet50' has ImageNet weights to
    download, 'small' trains on a CPU."""
    encoder_width: int = 24
    """Channels of the first layer of the 'small' encoder."""
    encoder_depths: tuple[int, ...] = (1, 2, 2)
    """Residual blocks in each stage of the 'small' encoder."""
    features: Literal["pool", "layout"] = "pool"
    """'pool' averages the last map; 'layout' also keeps where things are."""
    layout_channels: int = 32
    """Channels of the kept map, with features='layout'."""
    layout_keypoints: float = 0.0
    """With features='layout': weight of a keypoint loss on the places that
    the encoder finds, before any body is fitted; 0 leaves them free."""
    rotation: Literal["rotvec", "6d"] = "rotvec"
    """What is regressed per joint: 3 numbers, or 6 (columns stacked)."""
    iterations: int = 3
    """Passes of the regressor with feedback (T in the paper)."""
    hidden: int = 1024
    """Units of the regressor's two hidden layers."""
    dropout: float = 0.5
    """Dropout after each hidden layer."""
    adversary_hidden: int = 1024
    """Units of the discriminator of all joints together."""
    keypoints_2d: float = 60.0
    """Weight of the 2D keypoint loss (do_train.sh: e_loss_weight)."""
    joints_3d: float = 60.0
    """Weight of the 3D joint loss (do_train.sh: e_3d_weight)."""
    rotmats: float = 60.0
    """Weight of the rotation matrix loss (do_train.sh: e_3d_weight)."""
    betas: float = 60.0
    """Weight of the shape loss (do_train.sh: e_3d_weight)."""
    loss_3d: Literal["squared", "absolute"] = "squared"
    """Penalty of 3D joints and rotation matrices; 'squared' is halved."""
    joints_in_loss: Literal["lsp", "cocoplus"] = "lsp"
    """Joints of the 3D loss: 14 as HMR, or all 19."""
    adversary: float = 1.0
    """Weight of the adversary's say (d_loss_weight); 0 builds none."""


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

    def call(self, features, training=False):
        """(B, F) -> list of (B, N), one for each iteration."""
        mean = tf.convert_to_tensor(self.mean)
        theta = mean + tf.zeros_like(features[:, 0:1])
        thetas = []
        for _ in range(self.iterations):
            x = self.fc1(tf.concat([features, theta], axis=-1))
            x = self.fc2(self.drop1(x, training=training))
            theta = theta + self.fc3(self.drop2(x, training=training))
            thetas.append(theta)
        return thetas


class Discriminator(keras.Model):
    """Scores of 23 joints, of all joints together, and of the shape: 25.

    src/models.py Discriminator_separable_rotations. Float32 under any policy:
    its losses are squares of small differences.
    """

    def __init__(self, hidden: int):
        super().__init__(name="adversary", dtype="float32")
        dense = functools.partial(keras.layers.Dense, dtype="float32")
        self.conv1 = dense(32, "relu", name="conv1")
        self.conv2 = dense(32, "relu", name="conv2")
        self.all_fc1 = dense(hidden, "relu", name="all_fc1")
        self.all_fc2 = dense(hidden, "relu", name="all_fc2")
        self.all_out = dense(1, name="all_out")
        self.shape_fc1 = dense(10, "relu", name="shape_fc1")
        self.shape_fc2 = dense(5, "relu", name="shape_fc2")
        self.shape_out = dense(1, name="shape_out")

    def build(self, shape=None):
        self.joint_kernels = self.add_weight(
            shape=(BODY_JOINTS, 32),
            # Glorot's limit for 23 layers from 32 inputs to one output.
            initializer=keras.initializers.RandomUniform(
                -((6 / 33) ** 0.5), (6 / 33) ** 0.5
            ),
            name="joint_kernels",
        )
        self.joint_biases = self.add_weight(
            shape=(BODY_JOINTS,), initializer="zeros", name="joint_biases"
        )
        self.conv1.build((None, BODY_JOINTS, 9))
        self.conv2.build((None, BODY_JOINTS, 32))
        self.all_fc1.build((None, BODY_JOINTS * 32))
        self.all_fc2.build((None, self.all_fc1.units))
        self.all_out.build((None, self.all_fc2.units))
        self.shape_fc1.build((None, 10))
        self.shape_fc2.build((None, 10))
        self.shape_out.build((None, 5))
        self.built = True

    def call(self, rotmats, betas):
        """(N, 24, 3, 3), (N, 10) -> (N, 25); the global rotation is free."""
        x = tf.reshape(rotmats[:, 1:], (-1, BODY_JOINTS, 9))
        x = self.conv2(self.conv1(x))
        kernels = tf.cast(self.joint_kernels, x.dtype)
        each = tf.einsum("njc,jc->nj", x, kernels)
        each = each + tf.cast(self.joint_biases, x.dtype)
        every = tf.reshape(x, (-1, BODY_JOINTS * 32))
        every = self.all_out(self.all_fc2(self.all_fc1(every)))
        shape = self.shape_out(self.shape_fc2(self.shape_fc1(betas)))
        return tf.concat([each, every, shape], axis=-1)


def start_theta(config: Config, rotmats=None, betas=None) -> np.ndarray:
    """The regressor's first guess: camera, rotations, betas in one row.

    Args:
        config: names the rotation form.
        rotmats: (24, 3, 3) mean pose; default upright facing the camera (a
            half turn about x, as the body is y-up) in the rest pose.
        betas: (10,) mean shape; default zeros.
    """
    if rotmats is None:
        rotmats = np.tile(np.eye(3), (len(joints.SMPL24), 1, 1))
        rotmats[0] = np.diag([1.0, -1.0, -1.0])
    rotmats = tf.constant(rotmats, tf.float32)
    if config.rotation == "6d":
        pose = geometry.rotmat_to_rot6d_stacked(rotmats)
    else:
        pose = geometry.rotmat_to_rotvec(rotmats)
    betas = np.zeros(10) if betas is None else np.asarray(betas)
    # Scale 0.9 at the centre: src/trainer.py load_mean_param.
    return np.concatenate([[0.9, 0.0, 0.0], pose.numpy().ravel(), betas])


class Model(method.Method):
    """Encoder, iterative regressor and factorised adversary."""

    def __init__(self, config: Config, body: bodies.Body):
        super().__init__(config, body)
        if config.layout_keypoints and config.features != "layout":
            raise ValueError(
                f"layout_keypoints={config.layout_keypoints} needs places to "
                "compare: set features='layout', or layout_keypoints=0."
            )
        self.encoder = backbones.build(
            config.encoder,
            config.image_size,
            config.encoder_width,
            config.encoder_depths,
        )
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.layout = None
        if config.features == "layout":
            self.encoder = backbones.with_finer_map(self.encoder)
            self.layout = backbones.Layout(
                config.layout_channels, named=len(self.joint_names)
            )
        self.regressor = Regressor(config, start_theta(config))
        self.adversary = None
        if config.adversary:
            self.adversary = Discriminator(config.adversary_hidden)
        self.loss_joints = (
            joints.LSP14
            if config.joints_in_loss == "lsp"
            else joints.COCOPLUS19
        )

    def start_from(self, rotmats, betas):
        """Starts the regressor at the training set's mean."""
        theta = start_theta(self.config, rotmats, betas)
        self.regressor.mean.assign(theta[None])

    def build_all(self):
        """Makes the variables of both players."""
        super().build_all()
        if self.adversary is not None:
            self.adversary.build()

    def features(self, images, training=False):
        """(B, S, S, 3) 0..255 -> (B, F), and places (B, J, 2) or None."""
        maps = self.encoder(images / 127.5 - 1.0, training=training)
        if self.layout is None:
            return self.pool(maps), None
        finer, last = maps
        kept, places = self.layout(finer, last)
        pooled = tf.cast(self.pool(last), tf.float32)
        return tf.concat([pooled, kept], axis=-1), places

    def decode(self, theta):
        """(B, N) -> camera (B, 3), rotmats (B, 24, 3, 3), betas (B, 10)."""
        numbers = 6 if self.config.rotation == "6d" else 3
        end = 3 + numbers * len(joints.SMPL24)
        pose = tf.reshape(theta[:, 3:end], (-1, len(joints.SMPL24), numbers))
        if self.config.rotation == "6d":
            rotmats = geometry.rot6d_stacked_to_rotmat(pose)
        else:
            rotmats = geometry.rotvec_to_rotmat(pose)
        return theta[:, 0:3], rotmats, theta[:, end : end + 10]

    def call(self, images, training=False):
        """(B, S, S, 3) float32 0..255 -> Prediction."""
        features, places = self.features(images, training)
        thetas = self.regressor(features, training=training)
        decoded = [self.decode(theta) for theta in thetas]
        weak, rotmats, betas = decoded[-1]
        vertices, iterates = None, None
        if training:
            body_joints, _ = self.body.keypoints(rotmats, betas)
            iterates = {
                "rotmats": tf.concat([d[1] for d in decoded], axis=0),
                "betas": tf.concat([d[2] for d in decoded], axis=0),
                "places": places,
            }
        else:
            vertices, body_joints, _ = self.body(rotmats, betas)
        keypoints = camera.project_weak_perspective(body_joints, weak)
        return method.Prediction(
            rotmats, betas, weak, body_joints, keypoints, vertices, iterates
        )

    def terms(self, batch, prediction):
        """Keypoints, 3D joints, rotations, betas, and the adversary's say.

        2D and 3D losses see the last iteration only, the adversary sees all
        (src/trainer.py).
        """
        squared = self.config.loss_3d == "squared"
        half = 0.5 if squared else 1.0
        true_2d = select(batch["keypoints"], self.joint_names)
        terms = {
            "keypoints_2d": term(
                losses.keypoints_l1(
                    prediction.keypoints, true_2d[..., :2], true_2d[..., 2]
                ),
                self.config.keypoints_2d,
            )
        }
        if self.config.layout_keypoints:
            terms["layout_keypoints"] = term(
                losses.keypoints_l1(
                    prediction.iterates["places"],
                    true_2d[..., :2],
                    true_2d[..., 2],
                ),
                self.config.layout_keypoints,
            )
        pred, true, valid = self._root_aligned(batch, prediction)
        joint_loss = losses.joints_squared if squared else losses.joints_l1
        terms["joints_3d"] = term(
            joint_loss(pred, true, valid), half * self.config.joints_3d
        )
        rotmat_loss = losses.rotmats_squared if squared else losses.rotmats_l1
        has_pose, has_betas = batch["has_pose"], batch["has_betas"]
        total, _ = rotmat_loss(prediction.rotmats, batch["rotmats"], has_pose)
        terms["rotmats"] = method.Term(
            total, PARAMETERS * has_pose, half * self.config.rotmats
        )
        total, _ = losses.betas_squared(
            prediction.betas, batch["betas"], has_betas
        )
        terms["betas"] = method.Term(
            total, PARAMETERS * has_betas, 0.5 * self.config.betas
        )
        if self.adversary is not None:
            scores = self.adversary(
                prediction.iterates["rotmats"], prediction.iterates["betas"]
            )
            terms["generator"] = term(
                losses.generator(scores), self.config.adversary
            )
        return terms

    def adversary_terms(self, batch, prediction):
        """Least squares: real poses towards 1, predictions towards 0."""
        if self.adversary is None:
            return {}
        fake = self.adversary(
            tf.stop_gradient(prediction.iterates["rotmats"]),
            tf.stop_gradient(prediction.iterates["betas"]),
        )
        real = self.adversary(batch["prior_rotmats"], batch["prior_betas"])
        return {
            "real": term(losses.discriminator_real(real), 1.0),
            "fake": term(losses.discriminator_fake(fake), 1.0),
        }

    def _root_aligned(self, batch, prediction):
        """Joints of the 3D loss minus their mid-hip: pred, true, valid."""
        index = joints.select(self.loss_joints, of=self.joint_names)
        pred = tf.gather(prediction.joints, index, axis=1)
        true = select(batch["joints3d"], self.loss_joints)
        hips = joints.select(("left_hip", "right_hip"), of=self.loss_joints)
        valid = true[..., 3] * tf.reduce_min(
            tf.gather(true[..., 3], hips, axis=1), axis=1, keepdims=True
        )

        def aligned(points):
            root = tf.gather(points, hips, axis=1)
            return points - tf.reduce_mean(root, axis=1, keepdims=True)

        return aligned(pred), aligned(true[..., :3]), valid


def select(points, names):
    """(B, 30, C) in the order of joints.KEYPOINTS -> (B, len(names), C)."""
    return tf.gather(points, joints.select(names, of=joints.KEYPOINTS), axis=1)


def term(total_and_count, weight: float) -> method.Term:
    """A loss function's (total, count) with its weight."""
    total, count = total_and_count
    return method.Term(total, count, weight)
