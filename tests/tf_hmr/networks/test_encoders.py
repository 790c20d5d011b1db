"""Encoders: the fused normalisation is Keras', the layout finds places."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr.networks import batch_norm, encoders


def normalise(layer, x, weight):
    """Output, gradients and statistics of one training step."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) * weight)
    gradients = tape.gradient(loss, [x, layer.gamma, layer.beta])
    return {
        "output": y,
        "to input": gradients[0],
        "to gamma": gradients[1],
        "to beta": gradients[2],
        "mean": layer.moving_mean,
        "variance": layer.moving_variance,
    }


@pytest.mark.parametrize(
    "dtype, row",
    [("float32", "batch_norm"), ("mixed_bfloat16", "batch_norm_bfloat16")],
)
def test_fused_normalisation_is_keras_own(rng, dtype, row):
    x = tf.constant(rng.normal(1, 2, (8, 5, 5, 6)), tf.float32)
    if dtype != "float32":
        x = tf.cast(x, tf.bfloat16)
    weight = tf.constant(rng.normal(0, 0.1, x.shape), tf.float32)
    results = {}
    for kind in (
        batch_norm.BatchNormalization,
        keras.layers.BatchNormalization,
    ):
        layer = kind(momentum=0.9, dtype=dtype)
        layer.build(x.shape)
        layer.gamma.assign(np.arange(1, 7) / 4)
        layer.beta.assign(np.arange(6) / 10)
        results[kind] = normalise(layer, x, weight)
    ours, keras_own = results.values()
    for name, value in ours.items():
        expected = keras_own[name]
        assert_close(
            row,
            tf.cast(tf.convert_to_tensor(value), tf.float32),
            tf.cast(tf.convert_to_tensor(expected), tf.float32),
        )


def test_layout_finds_a_peak_where_it_is(rng):
    """One hot cell of the finer map, read as its centre in [-1, 1]."""
    layer = encoders.Layout(channels=2, named=3)
    finer = np.zeros((4, 6, 6, 4), np.float32)
    cells = [(0, 0), (5, 5), (2, 4), (3, 1)]
    for row, (y, x) in enumerate(cells):
        finer[row, y, x] = 1.0
    last = np.zeros((4, 3, 3, 5), np.float32)
    layer(finer, last)
    layer.fine.kernel.assign(tf.ones_like(layer.fine.kernel))
    layer.peaks.kernel.assign(100 * tf.ones_like(layer.peaks.kernel))
    features, positions = layer(finer, last)
    expected = [((2 * x + 1) / 6 - 1, (2 * y + 1) / 6 - 1) for y, x in cells]
    for named in range(3):
        assert_close("relative_place", positions[:, named], expected)
    assert features.shape == (4, 3 * 3 * 2 + 2 * 4)


@pytest.mark.parametrize(
    "name",
    ["small", "mobilenet_v3", "resnet50", "resnet50_slim", "resnet50_v15"],
)
def test_encoders_give_maps_that_layout_takes(name):
    plain = encoders.build(name, 96, 8)
    encoder = encoders.with_finer_map(plain)
    # Weights files and error messages go by these.
    assert plain.name == encoder.name == name
    assert [layer.name for layer in encoder.layers] == [
        layer.name for layer in plain.layers
    ]
    finer, last = encoder(tf.zeros((1, 96, 96, 3)))
    assert finer.shape[1] == 2 * last.shape[1]
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.synchronized


def test_uneven_sides_are_explained():
    with pytest.raises(ValueError, match="multiple of 32"):
        encoders.with_finer_map(encoders.build("small", 72, 8))


def test_unknown_encoder_lists_what_there_is():
    with pytest.raises(
        ValueError, match="resnet50_slim, resnet50_v15, mobilenet"
    ):
        encoders.build("vit", 64)
