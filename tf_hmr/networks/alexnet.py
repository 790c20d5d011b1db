"""AlexNet that regresses points: SMPLR's weak network (Madadi et al. 4.4.1).

Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural
Networks, NIPS 2012: filters, strides and layers of its section 3.5, in one
tower and without the normalisation of its section 3.3, which later networks
found to be of no use. Dropout as in its section 4.2.
"""

import keras
import tensorflow as tf

from tf_hmr.networks import dropout

WIDTH = 256
"""Channels of the last convolution in the paper; the others follow."""
_RATE = 0.5


class AlexNet(keras.layers.Layer):
    """Standardised images -> numbers, and the features they are read from."""

    def __init__(self, outputs: int, width: int = WIDTH, name: str = "alexnet"):
        """Sizes; the default is the paper's.

        Args:
            outputs: numbers (N).
            width: channels of the last convolution.
            name: of the layer.
        """
        super().__init__(name=name)
        first, wide = max(1, 3 * width // 8), 3 * width // 2
        self.convs = [
            _conv(first, 11, stride=4, name="conv1"),
            _conv(width, 5, name="conv2"),
            _conv(wide, 3, name="conv3"),
            _conv(wide, 3, name="conv4"),
            _conv(width, 3, name="conv5"),
        ]
        self.pool = keras.layers.MaxPooling2D(3, 2)
        self.flatten = keras.layers.Flatten()
        self.dense = [
            _dense(16 * width, f"fc{number}", "relu") for number in (6, 7)
        ]
        self.drops = [dropout.Dropout(_RATE), dropout.Dropout(_RATE)]
        self.out = _dense(outputs, "out")

    def build(self, shape):
        """Refuses images that shrink to nothing.

        Raises:
            ValueError: names the least side.
        """
        if min(shape[1:3]) < _LEAST_SIDE:
            raise ValueError(
                f"Images of {shape[1]} x {shape[2]} pixels are too small for "
                f"AlexNet. Take at least {_LEAST_SIDE} as image_size."
            )
        self.built = True

    def call(self, images, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        """(B, S, S, 3) -> numbers (B, N), features (B, 16 width)."""
        x = images
        for number, conv in enumerate(self.convs, start=1):
            x = conv(x)
            if number in (1, 2, 5):
                x = self.pool(x)
        x = self.flatten(x)
        for dense, drop in zip(self.dense, self.drops, strict=True):
            x = drop(dense(x), training=training)
        return self.out(x), x


def _least_side() -> int:
    """The side whose last maps are one pixel wide."""
    pixels = 1
    for _ in range(3):
        pixels = 2 * (pixels - 1) + 3
    return 4 * (pixels - 1) + 11


_LEAST_SIDE = _least_side()


def _conv(filters: int, size: int, *, stride: int = 1, name: str):
    return keras.layers.Conv2D(
        filters,
        size,
        stride,
        padding="valid" if stride > 1 else "same",
        activation="relu",
        name=name,
    )


def _dense(units: int, name: str, activation=None):
    return keras.layers.Dense(units, activation=activation, name=name)
