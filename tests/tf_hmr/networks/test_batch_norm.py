"""Options of the batch normalisation: without gamma, unbiased variances."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import processes
from tests.support.closeness import assert_close
from tf_hmr.networks import batch_norm
from training.engine import devices

SHAPE = (4, 3, 5, 6)
OPTIONS = {"momentum": 0.9, "epsilon": 1e-5}


def trained(layer, x):
    """Output, gradients and statistics of a step."""
    layer.build(x.shape)
    layer.beta.assign(np.arange(6) / 10)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y**3)
    gradients = tape.gradient(loss, [x, layer.beta])
    return [y, *gradients, layer.moving_mean, layer.moving_variance]


def test_without_gamma_it_is_keras_own(rng):
    x = tf.constant(rng.normal(1, 2, SHAPE), tf.float32)
    ours = batch_norm.BatchNormalization(scale=False, **OPTIONS)
    keras_own = keras.layers.BatchNormalization(scale=False, **OPTIONS)
    values = trained(ours, x), trained(keras_own, x)
    for actual, expected in zip(*values, strict=True):
        assert_close("batch_norm", actual, expected)
    assert_close("batch_norm", ours(x), keras_own(x))
    assert len(ours.trainable_variables) == 1


@pytest.mark.parametrize("unbiased", [True, False])
def test_the_moving_variance_has_bessels_correction(unbiased, rng):
    x = rng.normal(1, 2, SHAPE).astype(np.float32)
    layer = batch_norm.BatchNormalization(unbiased=unbiased, **OPTIONS)
    layer(tf.constant(x), training=True)
    variance = x.var((0, 1, 2), ddof=int(unbiased))
    expected = 0.9 + 0.1 * variance
    assert_close("batch_norm", layer.moving_variance, expected)
    copy = batch_norm.BatchNormalization.from_config(layer.get_config())
    assert copy.unbiased == unbiased


def train_here(folder: str, device: str) -> None:
    """What the process below runs: one step on the halves of a batch."""
    x = np.random.default_rng(1).normal(1, 2, SHAPE).astype(np.float32)
    strategy = devices.strategy(device)
    with strategy.scope():
        layer = batch_norm.BatchNormalization(
            scale=False, unbiased=True, **OPTIONS
        )
        layer.build(SHAPE)

    @tf.function
    def step(halves):
        return strategy.run(lambda half: layer(half, training=True), [halves])

    halves = strategy.experimental_distribute_values_from_function(
        lambda context: np.split(x, 2)[context.replica_id_in_sync_group]
    )
    step(halves)
    np.save(f"{folder}/variance.npy", layer.moving_variance)
    np.save(f"{folder}/expected.npy", 0.9 + 0.1 * x.var((0, 1, 2), ddof=1))


@pytest.mark.slow
def test_two_devices_correct_as_one(tmp_path):
    tmp_path.joinpath("two").mkdir()
    process = processes.start(tmp_path / "two", "cpu:2", function=train_here)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-2000:]
    variance = np.load(tmp_path / "two" / "variance.npy")
    expected = np.load(tmp_path / "two" / "expected.npy")
    assert_close("batch_norm", variance, expected)
