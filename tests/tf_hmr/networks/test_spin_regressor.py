"""SPIN's regressor for bodies of any number of joints and betas."""

import numpy as np
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr.networks import spin_regressor


def test_the_start_is_split_by_the_bodys_sizes(rng):
    start = rng.normal(size=3 + 6 * 26 + 12).astype(np.float32)
    layer = spin_regressor.Regressor(8, 0.0, 2, start, num_betas=12)
    layer.build((None, 5))
    assert layer.init_pose.shape == (1, 6 * 26)
    assert layer.init_shape.shape == (1, 12)
    assert_close("exact", layer.initial_estimate()[0], start)
    layer.initialize_from_mean(2 * start)
    assert_close("exact", layer.init_shape[0], 2 * start[-12:])
    assert [theta.shape for theta in layer(tf.zeros((2, 5)))] == [
        (2, len(start))
    ] * 2
