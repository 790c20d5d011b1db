"""Dropout masks and seeds that differ between replicas."""

import keras
import tensorflow as tf


class Dropout(keras.layers.Dropout):
    """Keras' layer, with a different mask on each replica.

    Keras keeps the same random state on all replicas, so its masks would hide
    the same units of every replica's examples. On one replica the masks equal
    Keras' bit for bit.
    """

    def call(self, inputs, training=False):
        """Any shape -> the same; unchanged without training."""
        if not training or not self.rate:
            return inputs
        seed = next_seed(self.seed_generator)
        return tf.nn.experimental.stateless_dropout(
            inputs, self.rate, seed, noise_shape=self.noise_shape
        )


def next_seed(generator: keras.random.SeedGenerator) -> tf.Tensor:
    """(2,) int32 seed for a stateless draw, different on each replica."""
    # The same cast as in keras.src.backend.tensorflow.random.
    seed = tf.math.floormod(generator.next(), tf.int32.max - 1)
    seed = tf.cast(seed, tf.int32)
    context = tf.distribute.get_replica_context()
    if context and context.num_replicas_in_sync > 1:
        seed = tf.random.experimental.stateless_fold_in(
            seed, context.replica_id_in_sync_group
        )
    return seed
