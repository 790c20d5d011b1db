"""A variational autoencoder that scores how human body poses are.

Pavlakos et al., Expressive Body Capture, CVPR 2019, section 3.3, in the form
of HKMR (Georgakis et al., ECCV 2020, "Pose Prior"): the rotation vectors of
all joints but the global rotation, which are 69 numbers of SMPL's joints. It
is trained separately (training.config.Stage.part) on unpaired poses; then the
KL divergence of its code measures how far a pose is from them.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.geometry import rotations
from tf_hmr.networks import dropout

NUMBERS = 3 * (len(joints.SMPL24) - 1)
"""The 69 numbers of HKMR."""
_MIN_SCALE = 1e-4


class Code(NamedTuple):
    """Normal distributions of latent vectors, independent in each number."""

    mean: tf.Tensor
    """(B, L)."""
    scale: tf.Tensor
    """(B, L) standard deviations, positive."""

    def divergence(self) -> tf.Tensor:
        """(B, L) KL divergence from the unit normal distribution."""
        mean, variance = tf.square(self.mean), tf.square(self.scale)
        return 0.5 * (mean + variance - 1.0 - tf.math.log(variance))


class Reconstruction(NamedTuple):
    """Reconstructed poses and their code."""

    poses: tf.Tensor
    """(B, N)."""
    code: Code


class PoseVae(method.Learner):
    """Encoder and decoder with two hidden layers each, in float32."""

    def __init__(
        self,
        hidden: int,
        latent: int,
        rate: float,
        kl: float,
        num_joints: int = len(joints.SMPL24),
    ):
        """Sizes of the layers, of the code and of the poses.

        Args:
            hidden: units of every hidden layer.
            latent: numbers of the code (L).
            rate: dropout, in training alone.
            kl: weight of the KL divergence, a mean over the code's numbers,
                relative to the mean squared error over the N numbers of a
                pose.
            num_joints: joints of the body, with the root (J); N = 3 (J - 1).
                The default is the paper's body.
        """
        super().__init__(name="pose_vae", dtype="float32")
        self.latent, self.kl, self.numbers = latent, kl, 3 * (num_joints - 1)
        self.encoder = _layers("encoder", hidden, rate, 2 * latent, True)
        self.decoder = _layers("decoder", hidden, rate, self.numbers, False)
        self.noise = keras.random.SeedGenerator(name="noise_seed")

    def build_all(self) -> None:
        """Makes every variable."""
        self(tf.zeros((1, self.numbers)))

    def inputs(self, batch):
        """(P, N) rotation vectors of the unpaired poses."""
        return self.flat(rotations.rotmat_to_rotvec(batch["prior_rotmats"]))

    def flat(self, rotvecs):
        """(B, J, 3) rotation vectors -> (B, N), without the global one."""
        return tf.reshape(rotvecs[:, 1:], (-1, self.numbers))

    def encode(self, poses, training=False) -> Code:
        """(B, N) -> distributions of their codes."""
        numbers = _run(self.encoder, poses, training)
        # Not exp, so that the code of a pose far from all others stays finite.
        scale = tf.nn.softplus(numbers[:, self.latent :]) + _MIN_SCALE
        return Code(numbers[:, : self.latent], scale)

    def decode(self, codes, training=False):
        """(B, L) -> (B, N)."""
        return _run(self.decoder, codes, training)

    def call(self, poses, training=False) -> Reconstruction:
        """(B, N) -> Reconstruction; decodes the code's mean if not training."""
        code = self.encode(poses, training)
        sample = code.mean
        if training:
            seed = dropout.next_seed(self.noise)
            normal = tf.random.stateless_normal(tf.shape(sample), seed)
            sample = sample + code.scale * normal
        return Reconstruction(self.decode(sample, training), code)

    def terms(self, batch, prediction):
        """The evidence lower bound (Kingma and Welling, ICLR 2014)."""
        error = tf.square(prediction.poses - self.inputs(batch))
        one = tf.ones_like(error[:, 0])
        return {
            "reconstruction": method.Term(
                tf.reduce_sum(error, axis=1), self.numbers * one, 1.0
            ),
            "kl": self.divergence_term(prediction.code, self.kl),
        }

    def divergence_term(self, code: Code, weight: float) -> method.Term:
        """The divergence of codes, as a mean over their numbers."""
        divergence = code.divergence()
        count = self.latent * tf.ones_like(divergence[:, 0])
        return method.Term(tf.reduce_sum(divergence, axis=1), count, weight)


def _layers(name, hidden, rate, units, normalised) -> list:
    """Two hidden layers and a linear one; an encoder's are normalised."""
    layers = []
    for number in (1, 2):
        layers += [
            keras.layers.Dense(hidden, dtype="float32", name=f"{name}{number}"),
            keras.layers.LeakyReLU(0.2, dtype="float32"),
        ]
        if normalised:
            layers.append(
                keras.layers.BatchNormalization(
                    synchronized=True,
                    dtype="float32",
                    name=f"{name}{number}_bn",
                )
            )
        if number == 1:
            layers.append(dropout.Dropout(rate, dtype="float32"))
    out = keras.layers.Dense(units, dtype="float32", name=f"{name}_out")
    return [*layers, out]


def _run(layers, x, training):
    for layer in layers:
        if isinstance(
            layer, (dropout.Dropout, keras.layers.BatchNormalization)
        ):
            x = layer(x, training=training)
        else:
            x = layer(x)
    return x
