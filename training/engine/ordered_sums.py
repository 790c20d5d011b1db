"""Sums of gradients whose last bits never change.

TensorFlow adds the gradients of a tensor that is used several times by AddN.
That writes its result into the first input that no other operation reads any
more, and begins the sum with it (tensorflow/tensorflow:
tensorflow/core/kernels/aggregate_ops.h). Which input that is depends on what
other threads have finished, so a sum of three or more may end in other bits
from run to run, whether or not operations are asked to be deterministic. A sum
of two cannot.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop


def enable() -> None:
    """Lets every tape of this process add gradients two at a time, in order."""
    tf.config.optimizer.set_experimental_options(
        # It would join sums of two to one AddN again.
        {"arithmetic_optimization": False}
    )
    # TensorFlow has no public function for it.
    pywrap_tfe.TFE_Py_RegisterVSpace(
        backprop._default_vspace._replace(aggregate_fn=_sum)
    )


def _sum(gradients: Sequence[tf.Tensor | tf.IndexedSlices]):
    """The sum of gradients of one tensor; of sparse ones, as TensorFlow's."""
    if all(isinstance(gradient, tf.Tensor) for gradient in gradients):
        return functools.reduce(tf.add, gradients)
    return backprop._aggregate_grads(gradients)
