"""ResNet-50 v2: Keras' own in one dialect, slim's in the other.

That the slim dialect gives the original's features is shown with the original
HMR's outputs, in test_convert_hmr_tf1.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import hmr_tf1
from tests.support.closeness import assert_close
from tf_hmr.networks import resnet

SIDE = 64


def randomise(model, rng) -> None:
    """Weights under which every layer matters and the features stay small."""
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name == "kernel":
            scale = np.float32(np.prod(shape[:-1]) ** -0.5)
            value = scale * rng.standard_normal(shape, np.float32)
        elif variable.name in ("gamma", "moving_variance"):
            value = rng.uniform(0.7, 1.3, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        variable.assign(value)


@pytest.fixture(scope="module")
def keras_model():
    model = keras.applications.ResNet50V2(
        include_top=False, weights=None, input_shape=(SIDE, SIDE, 3)
    )
    randomise(model, np.random.default_rng(5))
    return model


@pytest.fixture(scope="module")
def ours(keras_model):
    model = resnet.build("resnet50", SIDE)
    model.set_weights(keras_model.get_weights())
    return model


@pytest.fixture(scope="module")
def slim(keras_model):
    model = resnet.build("resnet50_slim", SIDE)
    model.set_weights(keras_model.get_weights())
    return model


def described(model):
    return [
        (layer.name, variable.name, tuple(variable.shape))
        for layer in model.layers
        for variable in layer.weights
    ]


@pytest.fixture
def images(rng):
    return tf.constant(rng.uniform(-1, 1, (4, SIDE, SIDE, 3)), tf.float32)


def test_keras_variables_by_name_shape_and_order(ours, keras_model):
    assert described(ours) == described(keras_model)
    for name in ("epsilon", "momentum"):
        variables = [
            [
                getattr(layer, name)
                for layer in model.layers
                if isinstance(layer, keras.layers.BatchNormalization)
            ]
            for model in (ours, keras_model)
        ]
        assert variables[0] == variables[1]


def test_keras_features(ours, keras_model, images):
    assert_close("other_resnet", ours(images), keras_model(images))


def test_keras_training(ours, keras_model, images):
    """Features and statistics of a training step."""
    before = [keras_model.get_weights(), ours.get_weights()]
    assert_close(
        "other_resnet",
        ours(images, training=True),
        keras_model(images, training=True),
    )
    num_changed = 0
    for old, actual, expected in zip(
        before[0], ours.weights, keras_model.weights, strict=True
    ):
        assert_close("other_resnet", actual, expected)
        num_changed += not np.array_equal(old, expected)
    # Mean and variance of each of 49 normalisations.
    assert num_changed == 98
    keras_model.set_weights(before[0])
    ours.set_weights(before[1])


def test_dialects_differ_by_pooling_and_normalisation(ours, slim, images):
    """The same weights give other features, moved by a pixel of the pool."""
    assert described(slim) == described(ours)
    pooled = keras.Model(ours.input, ours.get_layer("pool1_pool").output)
    pooling = keras.Model(slim.input, slim.get_layer("pool1_pool").output)
    # Slim's window starts where Keras' has its second row and column.
    conv = keras.Model(slim.input, slim.get_layer("conv1_conv").output)(images)
    below = tf.pad(
        conv, [[0, 0], [0, 1], [0, 1], [0, 0]], constant_values=-1e30
    )
    around = tf.pad(conv, [[0, 0], [1, 0], [1, 0], [0, 0]])
    for model, padded in ((pooling, below), (pooled, around)):
        expected = tf.nn.max_pool2d(padded, 3, 2, "VALID")
        assert_close("exact", model(images), expected)
    last_norm = slim.get_layer("post_bn")
    assert (last_norm.epsilon, last_norm.momentum) == (1e-5, 0.997)
    difference = tf.reduce_mean(tf.abs(slim(images) - ours(images)))
    assert difference > 0.01


@pytest.mark.parametrize("name", ["ours", "slim"])
def test_no_pointwise_convolution_has_a_stride(name, request):
    """GPU delegates get an int8 1x1 convolution of stride 2 wrong."""
    model = request.getfixturevalue(name)
    strided = [
        layer.kernel_size
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.strides != (1, 1)
    ]
    assert strided == [(7, 7), (3, 3), (3, 3), (3, 3)]
    assert model.output.shape[1:] == (2, 2, 2048)


def test_slim_names_are_the_originals(slim):
    """Of the listing that the original graph gave, in golden/hmr_tf1."""
    shapes = {
        name: tuple(variable.shape)
        for name, variable in resnet.slim_names(slim).items()
    }
    expected = {
        name: shape
        for name, shape in hmr_tf1.shapes().items()
        if name.startswith(f"{resnet.SLIM_SCOPE}/")
    }
    assert shapes == expected
