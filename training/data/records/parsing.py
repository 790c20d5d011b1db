"""Parses serialized records to tensors, by batch, in a TensorFlow graph."""

import numpy as np
import tensorflow as tf

from training.data.records import schema


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses a vector (B,) of serialized records.

    Returns:
        Tensors by field name: arrays (B, ...) float32, strings (B,), sizes
        (B,) int64, and has_keypoints, has_joints3d, has_pose, has_betas,
        has_parts (B,) float32; has_parts is 0 unless they are part14. An array
        that is not finite is 0, and so is its has_*; `broken` (B, N) bool says
        which of schema.ALL_ARRAYS were not finite.
    """
    spec = {
        name: tf.io.FixedLenFeature(shape, tf.float32)
        for name, shape in schema.ARRAYS.items()
    }
    for name, shape in schema.OPTIONAL.items():
        spec[name] = tf.io.FixedLenFeature(
            shape, tf.float32, default_value=np.zeros(shape, np.float32)
        )
    for name in schema.TEXTS + schema.IMAGES:
        spec[name] = tf.io.FixedLenFeature((), tf.string)
    for name in schema.LATER_TEXTS:
        spec[name] = tf.io.FixedLenFeature((), tf.string, default_value="")
    for name in (*schema.SIZES, *schema.FLAGS):
        spec[name] = tf.io.FixedLenFeature((), tf.int64)
    fields = tf.io.parse_example(serialized, spec)
    for flag in schema.FLAGS:
        fields[flag] = tf.cast(fields[flag], tf.float32)
    # Only code that asks for another part set may read its labels.
    rendered = tf.cast(fields["part_set"] == "", tf.float32)
    fields["has_parts"] *= rendered
    broken = []
    for name, shape in schema.ALL_ARRAYS.items():
        finite = tf.math.is_finite(fields[name])
        axes = range(-len(shape), 0)
        all_finite = tf.reduce_all(finite, axis=axes, keepdims=True)
        fields[name] = tf.where(all_finite, fields[name], 0.0)
        broken.append(~tf.reduce_all(finite, axis=axes))
        if name in schema.LABELS:
            fields[f"has_{name}"] *= tf.cast(~broken[-1], tf.float32)
    return fields | {"broken": tf.stack(broken, axis=-1)}


parse_in_graph = tf.function(parse, autograph=False)
"""`parse` of tensors, which all datasets of a batch size trace once."""


def example_key(dataset: tf.Tensor, example_id: tf.Tensor) -> tf.Tensor:
    """Hashes strings (B,) to numbers (B,) int64, which any device can hold.

    Among a million examples two share a number with a chance of 5e-8.
    """
    names = tf.strings.join([dataset, example_id], "/")
    return tf.strings.to_hash_bucket_fast(names, np.iinfo(np.int64).max)
