"""A normalising flow of body poses: a density, and a latent that is normal.

Zanfir et al., Weakly Supervised 3D Human Pose and Shape Reconstruction with
Normalizing Flows, ECCV 2020, is the pose prior of HUND (CVPR 2021, eq. 6); here
it is a real NVP (Dinh et al., ICLR 2017). Poses are the rotation vectors of all
joints but the root. They are whitened; then affine couplings, between which a
fixed rotation mixes all numbers, move one half by functions of the other. The
way from latent to pose is products, exp and tanh alone, as delegates take.
"""

import logging

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import method
from tf_hmr.geometry import rotations
from tf_hmr.networks import dropout

# Largest size of the logarithm of a coupling's scale: one point far away
# cannot make it overflow.
_MAX_LOG_SCALE = 2.0
_LOG_2PI = float(np.log(2 * np.pi))
MIN_POSES = 40_000
"""Of fewer poses the flow learns the people; with 8,000 it is on unseen ones
hardly better than a Gaussian."""
log = logging.getLogger(__name__)


class PoseFlow(method.Learner):
    """The flow, in float32; learns from unpaired poses by their likelihood."""

    def __init__(
        self,
        num_joints: int,
        couplings: int = 8,
        hidden: int = 96,
        noise_deg: float = 1.5,
    ):
        """Sizes of the flow.

        Args:
            num_joints: joints of the body, with the root (J).
            couplings: number of them.
            hidden: units of the two hidden layers of each.
            noise_deg: deviation of the noise that poses are trained with, so
                that what hardly varies has no boundless density.
        """
        super().__init__(name="pose_flow", dtype="float32")
        self.numbers = 3 * (num_joints - 1)
        self.noise_rad = float(np.deg2rad(noise_deg))
        self._fixed = self.numbers // 2
        moved = self.numbers - self._fixed
        # With 0 in the last layer every coupling starts as the identity.
        self.couplings = [
            keras.Sequential(
                [
                    _dense(f"coupling{index}_hidden1", hidden, "relu"),
                    _dense(f"coupling{index}_hidden2", hidden, "relu"),
                    _dense(f"coupling{index}_out", 2 * moved, None, "zeros"),
                ],
                name=f"coupling{index}",
            )
            for index in range(couplings)
        ]
        square = (self.numbers, self.numbers)
        rng = np.random.default_rng(0)
        self.mixing = [
            self._constant(
                f"mixing{index}", np.linalg.qr(rng.normal(size=square))[0]
            )
            for index in range(couplings)
        ]
        self.mean = self._constant("pose_mean", np.zeros(self.numbers))
        self.whitening = self._constant("whitening", np.eye(self.numbers))
        self.colouring = self._constant("colouring", np.eye(self.numbers))
        self.log_volume = self._constant("log_volume", np.zeros(()))
        self.noise_seeds = keras.random.SeedGenerator(name="flow_noise_seed")

    def _constant(self, name: str, values: np.ndarray) -> keras.Variable:
        """A weight that is stored and not trained."""
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: tf.constant(values, dtype),
            trainable=False,
            # Used outside of a layer's call, too, where no policy may round it.
            autocast=False,
            name=name,
        )

    def build_all(self) -> None:
        """Makes every variable."""
        self(tf.zeros((1, self.numbers)))

    def initialize_from_poses(self, rotvecs: np.ndarray) -> None:
        """Whitens with the poses' mean and covariance.

        Args:
            rotvecs: (N, J, 3).
        """
        if len(rotvecs) < MIN_POSES:
            log.warning(
                "There are %d unpaired poses: a flow learns such people, not "
                "people. Prepare %d or more.",
                len(rotvecs),
                MIN_POSES,
            )
        poses = np.asarray(rotvecs, np.float64)[:, 1:]
        poses = poses.reshape(len(poses), self.numbers)
        noise = self.noise_rad**2 * np.eye(self.numbers)
        values, vectors = np.linalg.eigh(np.cov(poses.T) + noise)
        self.mean.assign(poses.mean(axis=0))
        self.whitening.assign(vectors / np.sqrt(values))
        self.colouring.assign(np.sqrt(values)[:, None] * vectors.T)
        self.log_volume.assign(-0.5 * np.log(values).sum())

    def inputs(self, batch):
        """(P, N) rotation vectors of the unpaired poses."""
        return self.flat(batch["prior_rotmats"])

    def flat(self, rotmats: tf.Tensor) -> tf.Tensor:
        """(B, J, 3, 3) to (B, N) rotation vectors without the root's."""
        rotvecs = rotations.rotmat_to_rotvec(rotmats[:, 1:])
        return tf.reshape(rotvecs, (-1, self.numbers))

    def call(self, poses, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        """`latent` of poses (B, N), with noise in training."""
        if training:
            seed = dropout.next_seed(self.noise_seeds)
            noise = tf.random.stateless_normal(tf.shape(poses), seed)
            poses = poses + self.noise_rad * noise
        return self.latent(poses)

    def terms(self, batch, prediction):
        """Nats per number of the poses, with the noise that they are given."""
        total = normal_negative_log_likelihood(*prediction)
        count = self.numbers * tf.ones_like(total)
        return {"nats": method.Term(total, count, 1.0)}

    def latent(self, poses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Latents (B, N) of poses (B, N), and log |d latent / d pose| (B,)."""
        values = tf.matmul(poses - self.mean, self.whitening)
        log_det = self.log_volume + tf.zeros_like(values[:, 0])
        for coupling, mixing in zip(self.couplings, self.mixing, strict=True):
            values = tf.matmul(values, mixing)
            fixed, moved = self._halves(values)
            log_scale, shift = self._scale_and_shift(coupling, fixed)
            moved = moved * tf.exp(log_scale) + shift
            values = tf.concat([fixed, moved], axis=1)
            log_det = log_det + tf.reduce_sum(log_scale, axis=1)
        return values, log_det

    def poses(self, latents: tf.Tensor) -> tf.Tensor:
        """Poses (B, N), rotation vectors, of latents (B, N)."""
        values = latents
        for coupling, mixing in zip(
            reversed(self.couplings), reversed(self.mixing), strict=True
        ):
            fixed, moved = self._halves(values)
            log_scale, shift = self._scale_and_shift(coupling, fixed)
            moved = (moved - shift) * tf.exp(-log_scale)
            values = tf.concat([fixed, moved], axis=1)
            values = tf.matmul(values, tf.transpose(mixing))
        return tf.matmul(values, self.colouring) + self.mean

    def rotmats(self, latents: tf.Tensor) -> tf.Tensor:
        """Rotations (B, J - 1, 3, 3) of latents (B, N), without the root's."""
        rotvecs = tf.reshape(self.poses(latents), (-1, self.numbers // 3, 3))
        return rotations.rotvec_to_rotmat(rotvecs)

    def latent_of_rotmats(self, rotmats: tf.Tensor) -> tf.Tensor:
        """Latents (B, N) of rotations (B, J, 3, 3), whose root is not used."""
        return self.latent(self.flat(rotmats))[0]

    def negative_log_likelihood(self, poses: tf.Tensor) -> tf.Tensor:
        """Nats (B,) of poses (B, N): -log of their density."""
        return normal_negative_log_likelihood(*self.latent(poses))

    def _halves(self, values) -> tuple[tf.Tensor, tf.Tensor]:
        return values[:, : self._fixed], values[:, self._fixed :]

    def _scale_and_shift(self, coupling, fixed) -> tuple[tf.Tensor, tf.Tensor]:
        out = coupling(fixed)
        moved = self.numbers - self._fixed
        limit = _MAX_LOG_SCALE
        return limit * tf.tanh(out[:, :moved] / limit), out[:, moved:]


def normal_negative_log_likelihood(latents, log_det) -> tf.Tensor:
    """Of latents that are normal (B, N), and the logarithm of their volume."""
    squares = tf.reduce_sum(tf.square(latents), axis=1)
    return 0.5 * (squares + latents.shape[1] * _LOG_2PI) - log_det


def _dense(name, units, activation, kernel="he_normal"):
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=kernel,
        dtype="float32",
        name=name,
    )
