"""A perceptron with residual blocks, which lifts keypoints to a body.

Martinez et al., A Simple Yet Effective Baseline for 3D Human Pose Estimation,
ICCV 2017, section 3.2: a first layer, and blocks of two layers with a skip.
Without their batch normalisation: the inputs are normalised already.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.networks import dropout


class ResidualMlp(keras.layers.Layer):
    """Adds to a start what it computes from features.

    The last layer begins at zero, so the first estimate is the start.
    """

    def __init__(self, hidden: int, blocks: int, rate: float, start):
        """Makes the layers.

        Args:
            hidden: units of each hidden layer.
            blocks: residual blocks of two layers.
            rate: dropout rate after each layer of a block.
            start: (N,) numbers to start from; they are not trained.
        """
        super().__init__(name="regressor", dtype="float32")
        self.start = np.asarray(start, np.float32)
        # All in float32, whatever the policy: it is small, and reads metres.
        dense = functools.partial(keras.layers.Dense, dtype="float32")
        # Lists of layers are tracked; each drop has random numbers of its own.
        self.first = dense(hidden, activation="relu", name="first")
        self.layers = [
            dense(
                hidden,
                activation="relu",
                kernel_initializer="he_normal",
                name=f"block{block}_{layer}",
            )
            for block in range(blocks)
            for layer in range(2)
        ]
        self.drops = [
            dropout.Dropout(rate, dtype="float32") for _ in self.layers
        ]
        self.last = dense(
            len(self.start), kernel_initializer="zeros", name="last"
        )

    def build(self, shape):
        self.first.build(shape)
        for layer in (*self.layers, self.last):
            layer.build((None, self.first.units))
        # An initializer, because an assign inside a symbolic build is lost.
        self.initial = self.add_weight(
            shape=(1, len(self.start)),
            initializer=lambda shape, dtype=None: tf.constant(
                self.start[None], dtype
            ),
            trainable=False,
            name="initial",
        )

    def initialize_from_mean(self, start: np.ndarray) -> None:
        """Sets the start; as the constructor's."""
        self.initial.assign(np.asarray(start, np.float32)[None])

    def call(self, features, training=False):
        """(B, F) -> (B, N)."""
        x = self.first(features)
        for first, second in zip(
            range(0, len(self.layers), 2),
            range(1, len(self.layers), 2),
            strict=True,
        ):
            y = self._layer(first, x, training)
            x = x + self._layer(second, y, training)
        return tf.convert_to_tensor(self.initial) + self.last(x)

    def _layer(self, number, x, training):
        x = self.layers[number](x)
        return self.drops[number](x, training=training)
