"""HMR: iterative regression with a factorised adversary.

Kanazawa et al., End-to-end Recovery of Human Shape and Pose, CVPR 2018
(arXiv:1712.06584). Where text and code differ the code holds
(akanazawa/hmr: src/models.py, src/trainer.py, src/ops.py).
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import joints, losses, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import _supervised
from tf_hmr.networks import discriminator, dropout, spin_regressor


class Rotation(NamedTuple):
    """How the rotation of a joint is regressed."""

    numbers: int
    encode: Callable[[tf.Tensor], tf.Tensor]
    decode: Callable[[tf.Tensor], tf.Tensor]


ROTATIONS = {
    "rotvec": Rotation(
        3, rotations.rotmat_to_rotvec, rotations.rotvec_to_rotmat
    ),
    "6d": Rotation(
        6, rotations.rotmat_to_rot6d_stacked, rotations.rot6d_stacked_to_rotmat
    ),
    "6d_interleaved": Rotation(
        6,
        rotations.rotmat_to_rot6d_interleaved,
        rotations.rot6d_interleaved_to_rotmat,
    ),
}


@dataclasses.dataclass(frozen=True)
class Config(_supervised.Config):
    """Defaults are the paper's; the sources are in the module docstring."""

    rotation: Literal["rotvec", "6d", "6d_interleaved"] = "rotvec"
    """What is regressed per joint: 3 numbers, or 6 (columns stacked, or
    row by row as in SPIN's checkpoints)."""
    regressor: Literal["hmr", "spin"] = "hmr"
    """'spin' has no activations, and starts from a mean that is given and
    not trained (nkolot/SPIN: models/hmr.py)."""
    focal: float = 0.0
    """Focal length over the crop's side, of the camera that keypoints are
    compared by; 0 is weak perspective. SPIN: 5000 / 224."""
    iterations: int = 3
    """Passes of the regressor with feedback (T in the paper)."""
    hidden: int = 1024
    """Units of the regressor's two hidden layers."""
    dropout: float = 0.5
    """Dropout after each hidden layer."""
    supervise: Literal["last", "each"] = "last"
    """Which iterations the 2D and 3D losses see; 'each' is what section 3.2
    argues against."""
    adversary_kind: discriminator.Kind = "factorised"
    """One score for each joint, for all and for the shape, or, against
    section 3.3, 'joint': one score in all."""
    adversary_hidden: int = 1024
    """Units of the discriminator of all joints together."""
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

    def start_from(self, theta: np.ndarray) -> None:
        """Sets the mean, (N,)."""
        self.mean.assign(theta[None])

    def given(self) -> tf.Tensor:
        """The first guess, (1, N)."""
        return tf.convert_to_tensor(self.mean)

    def call(self, features, training=False):
        """(B, F) -> list of (B, N), one for each iteration."""
        theta = self.given() + tf.zeros_like(features[:, 0:1])
        thetas = []
        for _ in range(self.iterations):
            x = self.fc1(tf.concat([features, theta], axis=-1))
            x = self.fc2(self.drop1(x, training=training))
            theta = theta + self.fc3(self.drop2(x, training=training))
            thetas.append(theta)
        return thetas


def start_theta(config: Config, rotmats=None, betas=None) -> np.ndarray:
    """The regressor's first guess: camera, rotations, betas in one row.

    Args:
        config: names the rotation form.
        rotmats: (24, 3, 3) mean pose; default image_method.start_rotmats.
        betas: (10,) mean shape; default zeros.
    """
    rotmats = tf.constant(_supervised.start_rotmats(rotmats))
    pose = ROTATIONS[config.rotation].encode(rotmats)
    betas = np.zeros(10) if betas is None else np.asarray(betas)
    start = _supervised.START_CAMERA
    return np.concatenate([start, pose.numpy().ravel(), betas])


class Model(_supervised.ImageMethod):
    """Encoder, iterative regressor and factorised adversary."""

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        start = start_theta(config)
        if config.regressor == "spin":
            self.regressor = spin_regressor.Regressor(
                config.hidden, config.dropout, config.iterations, start
            )
        else:
            self.regressor = Regressor(config, start)
        self.adversary = None
        if config.adversary:
            kind = discriminator.KINDS[config.adversary_kind]
            self.adversary = kind(config.adversary_hidden)

    def start_from(self, rotmats, betas):
        """Starts the regressor at the training set's mean."""
        self.regressor.start_from(start_theta(self.config, rotmats, betas))

    def mean_body(self):
        """The regressor's start: rotations (24, 3, 3) and betas (10,)."""
        _, rotmats, betas = self.decode(self.regressor.given())
        return rotmats[0], betas[0]

    def build_all(self):
        """Makes the variables of both players."""
        super().build_all()
        if self.adversary is not None:
            self.adversary.build()

    def decode(self, theta):
        """(B, N) -> camera (B, 3), rotmats (B, 24, 3, 3), betas (B, 10)."""
        rotation = ROTATIONS[self.config.rotation]
        end = 3 + rotation.numbers * len(joints.SMPL24)
        pose = tf.reshape(
            theta[:, 3:end], (-1, len(joints.SMPL24), rotation.numbers)
        )
        return theta[:, 0:3], rotation.decode(pose), theta[:, end : end + 10]

    def project(self, points, weak):
        """Joints (B, J, 3) and cameras (B, 3) -> keypoints (B, J, 2)."""
        focal = self.config.focal
        if not focal:
            return camera.project_weak_perspective(points, weak)
        # In units of half the crop's side, as the keypoints are.
        moved = camera.weak_to_translation(weak, 2 * focal, 2.0)
        return camera.project_perspective(
            points + moved[:, None], 2 * focal, (0.0, 0.0)
        )

    def call(self, inputs, training=False):
        """inputs["image"] (B, S, S, 3) float32 0..255 -> Prediction."""
        features, places = self.features(inputs["image"], training)
        thetas = self.regressor(features, training=training)
        decoded = [self.decode(theta) for theta in thetas]
        weak, rotmats, betas = decoded[-1]
        if training:
            cameras, poses, shapes = (
                tf.concat(each, axis=0) for each in zip(*decoded, strict=True)
            )
            return self._seen(rotmats, betas, weak)._replace(
                iterates={
                    "camera": cameras,
                    "rotmats": poses,
                    "betas": shapes,
                    "places": places,
                }
            )
        vertices, body_joints, _ = self.body(rotmats, betas)
        keypoints = self.project(body_joints, weak)
        return method.Prediction(
            rotmats, betas, weak, body_joints, keypoints, vertices
        )

    def _seen(self, rotmats, betas, weak) -> method.Prediction:
        """What the losses compare: without a mesh."""
        points, _ = self.body.keypoints(rotmats, betas)
        seen = self.project(points, weak)
        return method.Prediction(rotmats, betas, weak, points, seen, None)

    def terms(self, batch, prediction):
        """Keypoints, 3D joints, rotations, betas, and the adversary's say.

        2D and 3D losses see the last iteration only, the adversary sees all
        (src/trainer.py).
        """
        iterates = prediction.iterates
        if self.config.supervise == "each":
            terms = self._each_supervised(batch, iterates)
        else:
            terms = self.supervised_terms(batch, prediction, iterates["places"])
        if self.adversary is not None:
            scores = self.adversary(iterates["rotmats"], iterates["betas"])
            terms["generator"] = _supervised.term(
                losses.generator(scores), self.config.adversary
            )
        return terms

    def _each_supervised(self, batch, iterates):
        """The losses of all iterations, summed."""
        count = self.config.iterations
        every = self._seen(
            *(iterates[name] for name in ("rotmats", "betas", "camera"))
        )
        labels, places = _supervised.repeated(batch, count), iterates["places"]
        if places is not None:
            places = tf.concat([places] * count, axis=0)
        terms = self.supervised_terms(labels, every, places)
        return {
            name: _supervised.summed(
                each, 1 if name == "layout_keypoints" else count
            )
            for name, each in terms.items()
        }
