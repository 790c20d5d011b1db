"""An embedding of maps, and an LSTM that updates a state from it.

HUND's second network and its recurrent stages (Zanfir et al., CVPR 2021,
section 2 and eq. 2): six convolutions with pooling and a linear layer make the
code of a crop; an LSTM sees the state, the code, the crop's camera and how well
the state is aligned, and a linear layer makes the update of it. All stages
share their weights.
"""

import functools
from typing import Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.networks.map_decoder import Detection

CAMERA = 4
"""Numbers of a crop's intrinsics."""
_FEWEST = 16  # Numbers of a code; with fewer there is no picture left in it.


class Options(NamedTuple):
    """Sizes of the layers."""

    stages: int
    """Updates of the state (M)."""
    units: int
    """Units of the LSTM."""
    numbers: int
    """Inputs of the LSTM, without residuals: state, code, camera, value."""
    widths: tuple[int, ...]
    """Channels of the convolutions."""
    embed_keypoints: bool
    """Whether the linear layer also sees the detected keypoints."""
    hidden: int
    """Units of a hidden layer before the first state; 0: none."""
    initial: Literal["head", "mean"]
    """Whether the first state is estimated, or is the mean for all."""
    value: bool
    """Whether the LSTM sees the value of the alignment."""


class Descent(keras.layers.Layer):
    """Embedding, first state and updates; float32 after the convolutions."""

    def __init__(self, options: Options, mean: np.ndarray):
        """Makes the layers.

        Args:
            options: sizes.
            mean: (n,) the state to start from.

        Raises:
            ValueError: `numbers` leaves too few for the code.
        """
        super().__init__(name="regressor", dtype="float32")
        self.options = options
        code = options.numbers - len(mean) - CAMERA - int(options.value)
        if code < _FEWEST:
            needed = options.numbers - code + _FEWEST
            raise ValueError(
                f"numbers={options.numbers}: the state has {len(mean)}, the "
                f"camera {CAMERA} and the code of the crop would have {code}. "
                f"Expected numbers of {needed} or more."
            )
        conv = keras.layers.Conv2D
        dense = functools.partial(keras.layers.Dense, dtype="float32")
        self.convolutions = [
            conv(
                width,
                3,
                padding="same",
                activation="relu",
                name=f"embed{number}",
            )
            for number, width in enumerate(options.widths, 1)
        ]
        self.pool = keras.layers.MaxPooling2D()
        self.code = dense(code, "relu", name="code")
        # A first state near the mean, and small updates.
        small = keras.initializers.VarianceScaling(0.01, "fan_avg", "uniform")
        self.hidden = self.first = None
        if options.initial == "head":
            self.first = dense(
                len(mean), kernel_initializer=small, name="first"
            )
            if options.hidden:
                self.hidden = dense(options.hidden, "relu", name="hidden")
        self.cell = self.update = None
        if options.stages:
            self.cell = keras.layers.LSTMCell(
                options.units, dtype="float32", name="cell"
            )
            self.update = dense(
                len(mean), kernel_initializer=small, name="update"
            )
        self.mean = self.add_weight(
            shape=(1, len(mean)),
            initializer=lambda shape, dtype=None: tf.constant(
                np.asarray(mean)[None], dtype
            ),
            trainable=False,
            # No policy may round it: it is used outside of a layer's call.
            autocast=False,
            name="mean",
        )

    def initialize_from_mean(self, mean: np.ndarray) -> None:
        """Sets the state to start from, (n,)."""
        self.mean.assign(np.asarray(mean, np.float32)[None])

    def embed(self, detection: Detection, intrinsics: tf.Tensor) -> tf.Tensor:
        """Embeds what is seen in crops, with their cameras.

        Args:
            detection: its features, heatmaps and parts are embedded.
            intrinsics: (B, 4) fx, fy, cx, cy, [-1, 1] units; the focal
                lengths enter as logarithms.

        Returns:
            (B, code + 4) context of every stage.
        """
        with tf.name_scope(self.name):
            return self._embed(detection, intrinsics)

    def _embed(self, detection, intrinsics):
        dtype = detection.features.dtype
        x = tf.concat(
            [
                detection.features,
                tf.cast(detection.heatmaps, dtype),
                tf.cast(detection.parts, dtype),
            ],
            axis=-1,
        )
        for convolution in self.convolutions:
            x = convolution(x)
            if x.shape[1] > 1:
                x = self.pool(x)
        numbers = x.shape[1] * x.shape[2] * x.shape[3]
        x = tf.cast(tf.reshape(x, (-1, numbers)), tf.float32)
        if self.options.embed_keypoints:
            count = detection.keypoints.shape[1]
            flat = tf.reshape(detection.keypoints, (-1, 2 * count))
            x = tf.concat([x, flat, detection.confidence], axis=-1)
        focal = tf.math.log(intrinsics[:, 0:2])
        return tf.concat([self.code(x), focal, intrinsics[:, 2:4]], axis=-1)

    def first_state(self, context: tf.Tensor) -> tf.Tensor:
        """The state before the stages, (B, n)."""
        mean = tf.convert_to_tensor(self.mean)
        if self.first is None:
            return mean + tf.zeros_like(context[:, 0:1])
        with tf.name_scope(self.name):
            x = context if self.hidden is None else self.hidden(context)
            return mean + self.first(x)

    def first_memory(self, context: tf.Tensor) -> list[tf.Tensor]:
        """The LSTM's memory before the stages: zeros."""
        zeros = tf.zeros((1, self.options.units))
        return [tf.zeros_like(context[:, 0:1]) + zeros for _ in range(2)]

    def refine(self, context, state, memory, feedback=None):
        """One stage (eq. 2).

        Args:
            context: (B, code + 4) of `embed`.
            state: (B, n).
            memory: the LSTM's, two tensors (B, units).
            feedback: (B, m) value of the alignment, and residuals, if any.

        Returns:
            The next state and memory.
        """
        x = [context, state] + ([] if feedback is None else [feedback])
        # An export tells the parts of a network by the names of operators.
        with tf.name_scope(self.name):
            output, memory = self.cell(tf.concat(x, axis=-1), memory)
            return state + self.update(output), memory
