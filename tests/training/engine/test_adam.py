"""The fused optimiser beside Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from training.engine.adam import Adam


def apply_steps(adam, start, gradients):
    """Variables after a step in a graph for each of `gradients`."""
    variables = [
        keras.Variable(value, name=name) for name, value in start.items()
    ]
    adam.build(variables)

    @tf.function(autograph=False)
    def step(values):
        adam.apply(list(values), variables)

    for values in gradients:
        step([tf.constant(value) for value in values])
    return variables, adam


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_as_many_steps_of_keras(decay, rng):
    """Also where the rate changes, and for variables that never shrink."""
    start = {
        "kernel": rng.normal(size=(5, 4)).astype("f4"),
        "bias": rng.normal(size=(4,)).astype("f4"),
    }
    scales = 10.0 ** np.arange(-3, 3)
    gradients = [
        [
            (scale * rng.normal(size=v.shape)).astype("f4")
            for v in start.values()
        ]
        for scale in scales
    ]
    rate = keras.optimizers.schedules.CosineDecay(0.1, 6)
    ours = Adam(rate, decay)
    keras_adam = keras.optimizers.AdamW(rate, weight_decay=decay)
    for adam in (ours, keras_adam):
        adam.exclude_from_weight_decay(var_names=["bias"])
    actual, expected = (
        apply_steps(adam, start, gradients) for adam in (ours, keras_adam)
    )
    for a, b in zip(actual[0], expected[0], strict=True):
        assert_close("fused_adam", a, b)
        assert np.abs(a - start[a.name]).max() > 0.1
    assert [v.path.split("/")[1:] for v in ours.variables] == [
        v.path.split("/")[1:] for v in keras_adam.variables
    ]
    for a, b in zip(ours.variables, keras_adam.variables, strict=True):
        assert_close("fused_adam", a, b)
