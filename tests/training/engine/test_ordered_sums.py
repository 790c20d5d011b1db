"""The last bits of a sum of gradients do not depend on what else reads them."""

import time

import numpy as np
import pytest
import tensorflow as tf

from training.engine import ordered_sums

# float32 loses the 1 beside a larger number, so that the order of a sum shows.
GRADIENTS = (1e8, -1e8, 1.0)


@pytest.fixture
def ordered():
    before = tf.config.optimizer.get_experimental_options()
    ordered_sums.enable()
    yield
    before.setdefault("arithmetic_optimization", True)
    tf.config.optimizer.set_experimental_options(before)


@tf.custom_gradient
def use(x, gradient):
    """x, with this gradient."""
    return tf.identity(x), lambda upstream: (gradient, None)


def late(*values):
    time.sleep(0.2)
    return np.float32(len(values))


def total(order: tuple[int, ...], readers: tuple[int, ...]) -> float:
    """The gradient of a tensor that is used three times.

    Args:
        order: of GRADIENTS, in which the uses are made.
        readers: those of GRADIENTS that a slow operation reads as well.
    """

    @tf.function(autograph=False)
    def run(values):
        gradients = [tf.abs(value) * tf.sign(value) for value in values]
        x = tf.zeros(1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            uses = [use(x, gradients[number]) for number in order]
        read = [gradients[number] for number in readers]
        return (
            tape.gradient(uses, x),
            tf.numpy_function(late, read, tf.float32),
        )

    summed, _ = run([tf.constant([value]) for value in GRADIENTS])
    return float(summed[0])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
def test_a_sum_has_one_order_whoever_reads_its_parts(ordered, order):
    expected = total(order, ())
    assert [
        total(order, readers) for readers in ((0,), (0, 1), (0, 2), (1, 2))
    ] == [expected] * 4
