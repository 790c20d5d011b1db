"""ResNet-50 v1.5 without its head: the encoder of SPIN, as torchvision has it.

It differs from Keras' ResNet-50 v1, whose weights do not fit: a unit's stride
is on its 3x3 convolution, kernels with a stride are padded alike on all sides,
and no convolution has a bias (pytorch/vision: torchvision/models/resnet.py,
which nkolot/SPIN: models/hmr.py copies).
"""

import re

import keras

from tf_hmr.networks import batch_norm, resnet

NAME = "resnet50_v15"
# Statistics of images in 0..1, as torchvision's weights expect them
# (nkolot/SPIN: constants.py IMG_NORM_MEAN, IMG_NORM_STD).
MEAN_RGB = (0.485, 0.456, 0.406)
STD_RGB = (0.229, 0.224, 0.225)
EPSILON = 1e-5
# PyTorch's 0.1 is the weight of the new statistics.
MOMENTUM = 0.9


def build(image_size: int) -> keras.Model:
    """Builds the encoder with random weights.

    Args:
        image_size: side of the image, (B, S, S, 3), normalised by MEAN_RGB
            and STD_RGB.

    Returns:
        A model that returns its last map, (B, S / 32, S / 32, 2048), which is
        not negative.
    """
    layers = keras.layers
    image = keras.Input((image_size, image_size, 3), name="normalised")
    x = _conv(image, 64, 7, 2, "conv1")
    x = layers.ReLU(name="conv1_relu")(_batch_norm(x, "conv1"))
    # Padding with zeros equals padding with -inf after a ReLU.
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, (width, units) in enumerate(resnet.STAGES, start=1):
        for unit in range(units):
            stride = 2 if stage > 1 and unit == 0 else 1
            x = _unit(x, width, stride, f"layer{stage}_unit{unit}")
    return keras.Model(image, x, name=NAME)


def _conv(x, filters: int, size: int, stride: int, name: str):
    if size > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        size,
        stride,
        use_bias=False,
        # As torchvision: normal, scaled by the outputs of a kernel.
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, "fan_out", "untruncated_normal"
        ),
        name=f"{name}_conv",
    )(x)


def _batch_norm(x, name: str):
    return batch_norm.BatchNormalization(
        epsilon=EPSILON, momentum=MOMENTUM, name=f"{name}_bn"
    )(x)


def _unit(x, width: int, stride: int, name: str):
    """A bottleneck beside its shortcut (He et al. 2016, Figure 5)."""
    layers = keras.layers
    shortcut = x
    if x.shape[-1] != 4 * width:
        if stride > 1:
            # GPU delegates get an int8 1x1 convolution with a stride wrong.
            shortcut = layers.MaxPooling2D(1, stride, name=f"{name}_0_pool")(x)
        shortcut = _conv(shortcut, 4 * width, 1, 1, f"{name}_0")
        shortcut = _batch_norm(shortcut, f"{name}_0")
    y = _conv(x, width, 1, 1, f"{name}_1")
    y = layers.ReLU(name=f"{name}_1_relu")(_batch_norm(y, f"{name}_1"))
    y = _conv(y, width, 3, stride, f"{name}_2")
    y = layers.ReLU(name=f"{name}_2_relu")(_batch_norm(y, f"{name}_2"))
    y = _batch_norm(_conv(y, 4 * width, 1, 1, f"{name}_3"), f"{name}_3")
    total = layers.Add(name=f"{name}_add")([shortcut, y])
    return layers.ReLU(name=f"{name}_out")(total)


_TORCH_VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def torch_names(encoder: keras.Model) -> dict[str, keras.Variable]:
    """Maps names in torchvision to the variables of a model of `build`.

    For example layer1.0.downsample.0.weight.
    """
    return {
        f"{_torch_layer(layer.name)}.{_TORCH_VARIABLES[variable.name]}": (
            variable
        )
        for layer in encoder.layers
        for variable in layer.weights
    }


def _torch_layer(name: str) -> str:
    if name in ("conv1_conv", "conv1_bn"):
        return {"conv1_conv": "conv1", "conv1_bn": "bn1"}[name]
    pattern = r"layer(\d)_unit(\d)_(\d)_(conv|bn)"
    stage, unit, part, kind = re.fullmatch(pattern, name).groups()
    if part == "0":
        return f"layer{stage}.{unit}.downsample.{'01'[kind == 'bn']}"
    return f"layer{stage}.{unit}.{kind}{part}"
