"""Encoders from a normalised image to a feature map, as Keras models.

Each takes (B, S, S, 3) of `normalise` and returns its last map (B, s, s, C);
the method decides whether to pool it. Batch normalisation is synchronised over
replicas (tf.distribute).
"""

from typing import Literal, get_args

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.networks import batch_norm, resnet, resnet_v15

Name = Literal[
    "resnet50", "resnet50_slim", "resnet50_v15", "mobilenet_v3", "small"
]


def normalise(name: Name, images: tf.Tensor) -> tf.Tensor:
    """Normalises (B, S, S, 3) RGB 0..255 for the encoder `name`.

    "resnet50_v15": 0..1 less the mean of ImageNet's pixels, over their
    deviation; all others: [-1, 1].
    """
    if name == resnet_v15.NAME:
        mean, std = np.array([resnet_v15.MEAN_RGB, resnet_v15.STD_RGB])
        return images * (1 / (255 * std)) - mean / std
    return images / 127.5 - 1.0


def _batch_norm(x, name: str, gamma: str = "ones"):
    layer = batch_norm.BatchNormalization(
        # Keras' 0.99 forgets the start too slowly for runs of minutes.
        momentum=0.97,
        gamma_initializer=gamma,
        name=f"{name}_bn",
    )
    return layer(x)


def _block(x, width: int, stride: int, name: str):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, Figure 2)."""
    conv = keras.layers.Conv2D
    shortcut = x
    y = conv(width, 3, stride, "same", use_bias=False, name=f"{name}_1_conv")(x)
    y = keras.layers.ReLU(name=f"{name}_1_relu")(_batch_norm(y, f"{name}_1"))
    y = conv(width, 3, 1, "same", use_bias=False, name=f"{name}_2_conv")(y)
    # A gain of zero starts the block as its shortcut (Goyal et al. 2017).
    y = _batch_norm(y, f"{name}_2", gamma="zeros")
    if stride > 1 or x.shape[-1] != width:
        # Averaging before the 1x1 keeps all pixels (ResNet-D), and no int8
        # 1x1 convolution has a stride, which GPU delegates get wrong.
        if stride > 1:
            shortcut = keras.layers.AveragePooling2D(
                stride, padding="same", name=f"{name}_0_pool"
            )(shortcut)
        shortcut = conv(width, 1, use_bias=False, name=f"{name}_0_conv")(
            shortcut
        )
        shortcut = _batch_norm(shortcut, f"{name}_0")
    total = keras.layers.Add(name=f"{name}_add")([shortcut, y])
    return keras.layers.ReLU(name=f"{name}_out")(total)


def small_resnet(
    image_size: int, width: int = 24, depths: tuple[int, ...] = (1, 2, 2)
) -> keras.Model:
    """A residual network for CPUs; each stage, and the stem, halves the map."""
    image = keras.Input((image_size, image_size, 3), name="normalised")
    x = keras.layers.Conv2D(
        width, 3, 2, "same", use_bias=False, name="stem_conv"
    )(image)
    x = keras.layers.ReLU(name="stem_relu")(_batch_norm(x, "stem"))
    for stage, depth in enumerate(depths, start=1):
        for unit in range(depth):
            stride = 2 if unit == 0 else 1
            name = f"stage{stage}_unit{unit + 1}"
            x = _block(x, width * 2**stage, stride, name)
    return keras.Model(image, x, name="small")


def _mobilenet_v3(image_size: int) -> keras.Model:
    model = keras.applications.MobileNetV3Large(
        include_top=False,
        weights=None,
        include_preprocessing=False,
        input_shape=(image_size, image_size, 3),
        name="mobilenet_v3",
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    return model


def build(
    name: Name,
    image_size: int,
    width: int = 24,
    depths: tuple[int, ...] = (1, 2, 2),
) -> keras.Model:
    """Builds an encoder with random weights; `name` is also the model's name.

    Args:
        name: "resnet50_slim" (v2, of HMR's and TF-slim's checkpoints),
            "resnet50" (v2, of Keras' ImageNet weights; networks/resnet.py
            explains the difference), "resnet50_v15" (SPIN's and
            torchvision's), "mobilenet_v3" (large) or "small".
        image_size: side of the input crop.
        width: channels of the first layer of "small".
        depths: residual blocks in each of its stages.

    Raises:
        ValueError: unknown name.
    """
    if name in resnet.VARIANTS:
        return resnet.build(name, image_size)
    if name == resnet_v15.NAME:
        return resnet_v15.build(image_size)
    if name == "mobilenet_v3":
        return _mobilenet_v3(image_size)
    if name == "small":
        return small_resnet(image_size, width, depths)
    raise ValueError(
        f"Unknown encoder {name!r}. There are: {', '.join(get_args(Name))}."
    )


def with_finer_map(encoder: keras.Model) -> keras.Model:
    """Gives the encoder two outputs: a map of twice the side, and the last.

    The finer map is the deepest one of that side.

    Raises:
        ValueError: it has no such map; the image's side does not halve evenly.
    """
    last = encoder.output
    sides = (2 * last.shape[1], 2 * last.shape[2])
    finer = [
        layer.output
        for layer in encoder.layers
        if len(layer.output.shape) == len(last.shape)
        and tuple(layer.output.shape[1:3]) == sides
    ]
    if not finer:
        raise ValueError(
            f"The encoder {encoder.name!r} has no map of side {sides}, twice "
            f"its last, for images of side {encoder.input.shape[1]}. Choose an "
            "image_size that halves evenly: a multiple of 32."
        )
    return keras.Model(encoder.input, [finer[-1], last], name=encoder.name)


class Layout(keras.layers.Layer):
    """Spatial features: the positions that pooling a map would discard.

    The last map is kept in a few channels, and channels of a finer map become
    keypoints by soft-argmax: the mean (x, y) under a spatial softmax (Levine et
    al. 2016, section 5.1; Sun et al. 2018, eq. 1). The regressor then gets
    image coordinates as features and need not decode them.
    """

    def __init__(self, channels: int, named: int):
        """Makes the layers.

        Args:
            channels: channels in which the last map is kept.
            named: number of keypoints that get a loss: the first ones.
        """
        super().__init__(name="layout")
        self.named = named
        conv = keras.layers.Conv2D
        self.kept = conv(channels, 1, name="kept")
        self.fine = conv(2 * channels, 1, name="fine")
        self.coarse = conv(2 * channels, 1, name="coarse")
        self.upsample = keras.layers.UpSampling2D(interpolation="bilinear")
        self.peaks = conv(max(2 * channels, named), 1, name="peaks")

    def build(self, finer_shape, last_shape):
        self.kept.build(last_shape)
        self.coarse.build(last_shape)
        self.fine.build(finer_shape)
        _, height, width, _ = finer_shape
        self.peaks.build((None, height, width, self.fine.filters))
        # Centres of the cells, in [-1, 1] of the crop.
        y, x = np.mgrid[:height, :width]
        centres = np.stack([x.ravel(), y.ravel()], axis=1) + 0.5
        centres = 2 * centres / (width, height) - 1
        self.cells = centres.astype(np.float32)
        self.kept_count = last_shape[1] * last_shape[2] * self.kept.filters

    def call(self, finer, last):
        """(B, 2s, 2s, C), (B, s, s, D) -> (B, F), keypoints (B, named, 2)."""
        x = self.fine(finer) + self.upsample(self.coarse(last))
        peaks = self.peaks(tf.nn.relu(x))
        peaks = tf.reshape(peaks, (-1, len(self.cells), self.peaks.filters))
        peaks = tf.transpose(tf.cast(peaks, tf.float32), (0, 2, 1))
        keypoints = tf.matmul(tf.nn.softmax(peaks), self.cells)
        map_features = tf.reshape(self.kept(last), (-1, self.kept_count))
        flat = tf.reshape(keypoints, (-1, 2 * self.peaks.filters))
        features = tf.concat([tf.cast(map_features, tf.float32), flat], axis=-1)
        return features, keypoints[:, : self.named]
