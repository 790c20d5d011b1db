"""The stacked hourglass of SMPLR, whose maps are volumes.

Newell et al., Stacked Hourglass Networks, ECCV 2016, with 16 bins of depth for
each map (Madadi et al. 2020, section 3.1). Layers, names and constants:
meysam-madadi/SMPLR: Models/StackedHourglass/hourglassModelVoxelsBones.py. No
convolution has a bias, no normalisation a gamma; the moving variances are
those of TensorFlow 1's fused kernel.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.networks import batch_norm, dropout

LIMBS = {
    "right_arm": ("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    "left_arm": ("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    "right_leg": ("right_knee", "right_ankle", "right_foot"),
    "left_leg": ("left_knee", "left_ankle", "left_foot"),
}
"""Maps after those of the points: joints that end the segments of a limb; each
segment begins at the joint's father. As the original's bone numbers."""

_EPSILON = 1e-5
_MOMENTUM = 0.9


def standardize(images: tf.Tensor) -> tf.Tensor:
    """Images (B, S, S, 3) with mean 0 and standard deviation 1, one by one.

    As tf.image.per_image_standardization, in operators of delegates: images of
    one colour become 0.
    """
    images = tf.cast(images, tf.float32)
    count = int(np.prod(images.shape[1:]))
    axes = (1, 2, 3)
    centred = images - tf.reduce_mean(images, axes, keepdims=True)
    variance = tf.reduce_mean(centred * centred, axes, keepdims=True)
    return centred * tf.math.rsqrt(tf.maximum(variance, 1 / count))


class VolumetricHourglass(keras.layers.Layer):
    """Standardised images -> logits of volumes, one set for each stack."""

    def __init__(
        self,
        stacks: int = 5,
        width: int = 256,
        bins: int = 16,
        maps: int = 45,
        levels: int = 4,
        stem: Sequence[int] = (64, 128, 128),
        rate: float = 0.1,
        name: str = "encoder",
    ):
        """Sizes; the defaults are the paper's.

        Args:
            stacks: hourglasses in a row.
            width: channels of the hourglasses, even.
            bins: voxels of a map in depth.
            maps: points, and limbs if any.
            levels: times that an hourglass halves its maps.
            stem: channels of the first convolution and of two residuals.
            rate: dropout before a stack's output or the next stack.
            name: of the layer.

        Raises:
            ValueError: a width is odd.
        """
        super().__init__(name=name)
        if any(channels % 2 for channels in (width, *stem[1:])):
            raise ValueError(
                f"Expected even numbers of channels, got width {width} and "
                f"stem {tuple(stem)}: a residual halves them."
            )
        self.bins, self.maps, self.levels = bins, maps, levels
        first, second, third = stem
        self.pad = keras.layers.ZeroPadding2D(2)
        self.conv = _conv(first, 6, stride=2, name="conv")
        self.pool = keras.layers.MaxPooling2D(2)
        self.residuals = [
            Residual(second, "residual1"),
            Residual(third, "residual2"),
            Residual(width, "residual3"),
        ]
        self.stacks = [
            _Stack(width, bins * maps, levels, rate, last, f"stack{number}")
            for number, last in enumerate([False] * (stacks - 1) + [True])
        ]

    def build(self, shape):
        """Refuses a side that the hourglasses cannot halve often enough.

        Raises:
            ValueError: names a multiple that is needed.
        """
        multiple = 4 * 2**self.levels
        if shape[1] % multiple or shape[2] % multiple:
            raise ValueError(
                f"Images of {shape[1]} x {shape[2]} pixels cannot be halved "
                f"{self.levels + 2} times. Take a multiple of {multiple} as "
                "image_size, or fewer levels."
            )
        self.built = True

    def call(self, images, training=False) -> list[tf.Tensor]:
        """(B, S, S, 3) -> (B, S / 4, S / 4, bins * maps) of each stack."""
        return self.call_with_features(images, training)[0]

    def call_with_features(
        self, images, training=False
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """As `call`, with the last stack's features (B, S / 4, S / 4, width).

        They are what its output convolution reads, before dropout.
        """
        x = self.conv(self.pad(images))
        first, second, third = self.residuals
        x = self.pool(first(x, training=training))
        x = third(second(x, training=training), training=training)
        volumes = []
        for stack in self.stacks:
            logits, features, x = stack(x, training=training)
            volumes.append(logits)
        return volumes, features


class Residual(keras.layers.Layer):
    """Three convolutions, each after its normalisation, beside a shortcut."""

    def __init__(self, width: int, name: str):
        super().__init__(name=name)
        self.width = width
        self.norms = [_batch_norm(f"bn{number}") for number in (1, 2, 3)]
        self.convs = [
            _conv(width // 2, 1, name="conv1"),
            _conv(width // 2, 3, name="conv2"),
            _conv(width, 1, name="conv3"),
        ]
        self.shortcut = None

    def build(self, shape):
        if shape[-1] != self.width:
            self.shortcut = _conv(self.width, 1, name="shortcut")
        self.built = True

    def call(self, inputs, training=False):
        """(B, H, W, C) -> (B, H, W, width)."""
        x = inputs
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = conv(tf.nn.relu(norm(x, training=training)))
        # The shortcut takes the input as it came: no normalisation.
        return x + (inputs if self.shortcut is None else self.shortcut(inputs))


class Hourglass(keras.layers.Layer):
    """Residuals on maps that are halved `levels` times, and doubled again."""

    def __init__(self, width: int, levels: int, name: str):
        super().__init__(name=name)
        self.up = Residual(width, "up")
        self.pool = keras.layers.MaxPooling2D(2)
        self.low1 = Residual(width, "low1")
        self.low2 = (
            Hourglass(width, levels - 1, "low2")
            if levels > 1
            else Residual(width, "low2")
        )
        self.low3 = Residual(width, "low3")

    def build(self, shape=None):
        """Marks the layer as built; its layers make variables when called."""
        self.built = True

    def call(self, inputs, training=False):
        """(B, H, W, width) -> the same shape."""
        low = self.low1(self.pool(inputs), training=training)
        low = self.low2(low, training=training)
        low = self.low3(low, training=training)
        return self.up(inputs, training=training) + _doubled(low)


class _Stack(keras.layers.Layer):
    """An hourglass, its output, and the way back into the next one."""

    def __init__(
        self,
        width: int,
        channels: int,
        levels: int,
        rate: float,
        is_last: bool,
        name: str,
    ):
        super().__init__(name=name)
        self.is_last = is_last
        self.hourglass = Hourglass(width, levels, "hourglass")
        self.conv = _conv(width, 1, name="conv_1")
        self.norm = _batch_norm("bn")
        self.out = _conv(channels, 1, name="out")
        self.drop = dropout.Dropout(rate)
        if not is_last:
            self.ll = _conv(width, 1, name="ll")
            self.out_back = _conv(width, 1, name="out_")

    def build(self, shape=None):
        """Marks the layer as built; its layers make variables when called."""
        self.built = True

    def call(self, inputs, training=False):
        """(B, H, W, width) -> logits, features, input of the next stack."""
        x = self.conv(self.hourglass(inputs, training=training))
        features = tf.nn.relu(self.norm(x, training=training))
        if self.is_last:
            logits = self.out(self.drop(features, training=training))
            return logits, features, inputs
        logits = self.out(features)
        forward = self.drop(self.ll(features), training=training)
        return logits, features, forward + self.out_back(logits) + inputs


def _doubled(x: tf.Tensor) -> tf.Tensor:
    """Repeats every row and column.

    Keras' UpSampling2D takes a detour over five axes, which delegates refuse.
    """
    size = (2 * x.shape[1], 2 * x.shape[2])
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size)


def _conv(filters: int, size: int, *, stride: int = 1, name: str):
    return keras.layers.Conv2D(
        filters,
        size,
        stride,
        # The stem's convolution is padded by hand, as the original.
        padding="valid" if stride > 1 else "same",
        use_bias=False,
        # TensorFlow 1's Xavier for layers: normal, cut at two deviations.
        kernel_initializer="glorot_normal",
        name=name,
    )


def _batch_norm(name: str):
    return batch_norm.BatchNormalization(
        scale=False,
        unbiased=True,
        epsilon=_EPSILON,
        momentum=_MOMENTUM,
        name=name,
    )
