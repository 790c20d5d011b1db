"""SMPLR's denoising autoencoder of points (Madadi et al. 2020, section 3.2).

Layers and constants: meysam-madadi/SMPLR: Models/smplr.py, in TensorFlow 1:
its normalisations have Keras' defaults, its biases start like its kernels.
"""

import keras
import tensorflow as tf

from tf_hmr.networks import dropout


class Block(keras.layers.Layer):
    """A dense layer, batch normalisation and an exponential linear unit."""

    def __init__(self, units: int, name: str):
        super().__init__(name=name)
        self.fc = dense(units, "fc")
        self.bn = keras.layers.BatchNormalization(
            synchronized=True,
            epsilon=1e-3,
            momentum=0.99,
            dtype="float32",
            name="bn",
        )

    def build(self, shape=None):
        """Marks the layer as built; its layers make variables when called."""
        self.built = True

    def call(self, inputs, training=False):
        """(B, N) -> (B, units)."""
        return tf.nn.elu(self.bn(self.fc(inputs), training=training))


class Denoiser(keras.layers.Layer):
    """Noisy points -> clean ones: what the bottleneck makes, plus the input."""

    def __init__(
        self,
        points: int = 41,
        hidden: int = 1024,
        rate: float = 0.2,
        identity: bool = False,
        name: str = "denoiser",
    ):
        """Sizes; the defaults are the paper's.

        Args:
            points: number of points.
            hidden: units of the outer layers; the inner one has half of them.
            rate: dropout on the input and on the code, in training alone.
            identity: whether the last layer starts at zero, so that the
                untrained network returns its input.
            name: of the layer.
        """
        super().__init__(name=name, dtype="float32")
        self.numbers = 3 * points
        self.drop1, self.drop2 = dropout.Dropout(rate), dropout.Dropout(rate)
        self.encoder1 = Block(hidden, "encoder1")
        self.encoder2 = Block(hidden, "encoder2")
        self.code = Block(hidden // 2, "code")
        self.decoder2 = Block(hidden, "decoder2")
        self.decoder1 = Block(hidden, "decoder1")
        self.out = dense(self.numbers, "out", start="zeros" if identity else "")

    def build(self, shape=None):
        """Marks the layer as built; its layers make variables when called."""
        self.built = True

    def call(self, points, training=False):
        """(B, P, 3) -> (B, P, 3), metres relative to the pelvis."""
        batch = -1 if points.shape[0] is None else points.shape[0]
        noisy = tf.reshape(points, (batch, self.numbers))
        x = self.drop1(noisy, training=training)
        outer = self.encoder1(x, training=training)
        inner = self.encoder2(outer, training=training)
        x = self.drop2(self.code(inner, training=training), training=training)
        x = self.decoder2(x, training=training) + inner
        x = self.decoder1(x, training=training) + outer
        # The points as they came, not what dropout left of them.
        clean = self.out(x) + noisy
        return tf.reshape(clean, (batch, self.numbers // 3, 3))


def dense(units: int, name: str, start: str = "", bias=None):
    """A dense layer whose biases start as TensorFlow 1's get_variable does.

    Args:
        units: of the layer.
        name: of the layer.
        start: initializer of kernel and biases in place of Xavier's.
        bias: initializer of the biases in place of `start`.
    """
    return keras.layers.Dense(
        units,
        kernel_initializer=start or "glorot_uniform",
        bias_initializer=bias or start or "glorot_uniform",
        dtype="float32",
        name=name,
    )
