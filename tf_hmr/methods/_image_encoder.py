"""The encoder of one image crop, and its features."""

import dataclasses
from typing import Literal

import keras
import tensorflow as tf

from tf_hmr import config_values, method
from tf_hmr.body.model import Body
from tf_hmr.networks import encoders


@dataclasses.dataclass(frozen=True)
class EncoderChoice(method.Config):
    """Fields of a Config whose method has an encoder."""

    encoder: encoders.Name = "resnet50_v15"
    """'resnet50_v15' is SPIN's ResNet-50, 'resnet50_slim' HMR's; 'resnet50'
    has ImageNet weights to download, 'small' trains on a CPU."""
    encoder_width: config_values.Count = 24
    """Channels of the first layer of the 'small' encoder."""
    encoder_depths: tuple[config_values.Count, ...] = (1, 2, 2)
    """Residual blocks in each stage of the 'small' encoder."""


@dataclasses.dataclass(frozen=True)
class EncoderFields(EncoderChoice):
    """Fields of a Config whose method encodes one image crop as features."""

    features: Literal["pool", "layout"] = "pool"
    """'pool' averages the last map; 'layout' also keeps positions."""
    layout_channels: config_values.Count = 32
    """Channels of the kept map, with features='layout'."""
    layout_keypoints: config_values.NonNegative = 0.0
    """With features='layout': weight of a loss on the encoder's own keypoints,
    before any body is regressed; 0 leaves them free."""


class ImageEncoder(method.Method):
    """A method whose regressor sees the features of one image crop.

    Its Config has EncoderFields.
    """

    def __init__(self, config: EncoderFields, body: Body):
        super().__init__(config, body)
        if config.layout_keypoints and config.features != "layout":
            raise ValueError(
                f"layout_keypoints={config.layout_keypoints} needs places to "
                "compare: set features='layout', or layout_keypoints=0."
            )
        self.encoder = encoders.build(
            config.encoder,
            config.image_size,
            config.encoder_width,
            config.encoder_depths,
        )
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.layout = None
        if config.features == "layout":
            self.encoder = encoders.with_finer_map(self.encoder)
            self.layout = encoders.Layout(
                config.layout_channels, named=len(self.joint_names)
            )

    def features(self, images, training=False):
        """Encodes image crops.

        Args:
            images: (B, S, S, 3) float32 0..255.
            training: whether batch statistics are the batch's own.

        Returns:
            Features (B, F), and the encoder's own keypoints (B, J, 2) in
            [-1, 1] of the crop; None without features='layout'.
        """
        # Cast to the policy's type, in which the encoder computes.
        images = tf.cast(images, self.compute_dtype)
        normalised = encoders.normalise(self.config.encoder, images)
        maps = self.encoder(normalised, training=training)
        if self.layout is None:
            return self.pool(maps), None
        finer, last = maps
        layout, encoder_keypoints = self.layout(finer, last)
        pooled = tf.cast(self.pool(last), tf.float32)
        return tf.concat([pooled, layout], axis=-1), encoder_keypoints
