"""ResNet-50 v2 (He et al. 2016, Identity Mappings) in its two variants.

Keras and TF-slim build the same layers with the same shapes, so that the
weights of one load into the other, but they compute different features:

* the first pooling: slim pads at the bottom and right with -inf, Keras on all
  sides with 0, which moves the map by one of its input's pixels;
* batch normalisation: epsilon, and the momentum of its statistics.

Sources: tensorflow/models: research/slim/nets/resnet_v2.py, resnet_utils.py
(of TF 1, also tf.contrib.slim); keras-team/keras:
keras/src/applications/resnet.py.
"""

import re
from typing import NamedTuple

import keras

from tf_hmr.networks import batch_norm

# (width of the bottleneck, units) of the four stages. The last unit of each
# stage but the last has the stride.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
SLIM_SCOPE = "resnet_v2_50"


class Variant(NamedTuple):
    """Differences between the two variants."""

    pads_first_pooling: bool
    """Zeros on all sides before it; otherwise -inf, bottom and right."""
    epsilon: float
    momentum: float
    kernel_initializer: str


VARIANTS = {
    "resnet50": Variant(True, 1.001e-5, 0.99, "glorot_uniform"),
    "resnet50_slim": Variant(False, 1e-5, 0.997, "he_normal"),
}


def build(name: str, image_size: int) -> keras.Model:
    """Builds ResNet-50 v2 without its head, with Keras' names of layers.

    No 1x1 convolution has a stride (GPU delegates get an int8 one wrong):
    identity shortcuts are subsampled by a 1x1 pooling, and the units with a
    projection have stride 1.

    Args:
        name: "resnet50" or "resnet50_slim"; the model's name too.
        image_size: side of the normalised image, (B, S, S, 3) in [-1, 1].

    Returns:
        A model that returns its last map, (B, S / 32, S / 32, 2048).
    """
    variant = VARIANTS[name]
    layers = keras.layers
    image = keras.Input((image_size, image_size, 3), name="normalised")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = _conv(variant, 64, 7, 2, use_bias=True, name="conv1_conv")(x)
    if variant.pads_first_pooling:
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    padding = "valid" if variant.pads_first_pooling else "same"
    x = layers.MaxPooling2D(3, 2, padding, name="pool1_pool")(x)
    for stage, (width, units) in enumerate(STAGES, start=2):
        for unit in range(1, units + 1):
            last = unit == units and stage < len(STAGES) + 1
            stride = 2 if last else 1
            x = _unit(x, variant, width, stride, f"conv{stage}_block{unit}")
    x = _batch_norm(x, variant, "post_bn")
    x = layers.ReLU(name="post_relu")(x)
    return keras.Model(image, x, name=name)


def _conv(variant, filters, size, stride=1, use_bias=False, name=None):
    return keras.layers.Conv2D(
        filters,
        size,
        stride,
        # A strided kernel is padded by hand: "same" would pad the bottom and
        # right more, by an amount that depends on the image's side.
        padding="valid" if stride > 1 else "same",
        use_bias=use_bias,
        kernel_initializer=variant.kernel_initializer,
        name=name,
    )


def _batch_norm(x, variant: Variant, name: str):
    return batch_norm.BatchNormalization(
        epsilon=variant.epsilon, momentum=variant.momentum, name=name
    )(x)


def _unit(x, variant: Variant, width: int, stride: int, name: str):
    """A bottleneck with its normalisations before the convolutions."""
    layers = keras.layers
    preactivated = _batch_norm(x, variant, f"{name}_preact_bn")
    preactivated = layers.ReLU(name=f"{name}_preact_relu")(preactivated)
    shortcut = x
    if x.shape[-1] != 4 * width:
        project = _conv(variant, 4 * width, 1, 1, True, f"{name}_0_conv")
        shortcut = project(preactivated)
    elif stride > 1:
        shortcut = layers.MaxPooling2D(1, stride, name=f"{name}_0_pool")(x)
    y = _conv(variant, width, 1, name=f"{name}_1_conv")(preactivated)
    y = _batch_norm(y, variant, f"{name}_1_bn")
    y = layers.ReLU(name=f"{name}_1_relu")(y)
    if stride > 1:
        y = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(y)
    y = _conv(variant, width, 3, stride, name=f"{name}_2_conv")(y)
    y = _batch_norm(y, variant, f"{name}_2_bn")
    y = layers.ReLU(name=f"{name}_2_relu")(y)
    y = _conv(variant, 4 * width, 1, 1, True, f"{name}_3_conv")(y)
    return layers.Add(name=f"{name}_out")([shortcut, y])


_SLIM_LAYERS = {
    "preact_bn": "preact",
    "0_conv": "shortcut",
    "1_conv": "conv1",
    "1_bn": "conv1/BatchNorm",
    "2_conv": "conv2",
    "2_bn": "conv2/BatchNorm",
    "3_conv": "conv3",
}
_SLIM_VARIABLES = {"kernel": "weights", "bias": "biases"}


def slim_names(encoder: keras.Model) -> dict[str, keras.Variable]:
    """Maps names in a slim checkpoint to the variables of a model of `build`.

    For example resnet_v2_50/block1/unit_1/bottleneck_v2/conv1/weights.
    """
    variables = {}
    for layer in encoder.layers:
        for variable in layer.weights:
            variable_name = _SLIM_VARIABLES.get(variable.name, variable.name)
            name = f"{SLIM_SCOPE}/{_slim_layer(layer.name)}/{variable_name}"
            variables[name] = variable
    return variables


def _slim_layer(name: str) -> str:
    if name in ("conv1_conv", "post_bn"):
        return {"conv1_conv": "conv1", "post_bn": "postnorm"}[name]
    stage, unit, part = re.fullmatch(r"conv(\d)_block(\d)_(\w+)", name).groups()
    scope = f"block{int(stage) - 1}/unit_{unit}/bottleneck_v2"
    return f"{scope}/{_SLIM_LAYERS[part]}"
