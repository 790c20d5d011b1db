"""Serialized records to tensors, a batch at a time, in a TensorFlow graph."""

import tensorflow as tf

from training.data import records


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses a vector (B,) of serialized records, in a TensorFlow graph.

    Returns:
        Tensors by field name: arrays (B, ...) float32, strings (B,), sizes
        (B,) int64, and has_keypoints, has_joints3d, has_pose, has_betas,
        has_parts (B,) float32; has_parts is 0 unless they are part14. An array
        that is not finite is 0, and so is its has_*; `broken` (B, N) bool says
        which of records.ARRAYS it was.
    """
    spec = {
        name: tf.io.FixedLenFeature(shape, tf.float32)
        for name, shape in records.ARRAYS.items()
    }
    for name in records.TEXTS + records.IMAGES:
        spec[name] = tf.io.FixedLenFeature((), tf.string)
    for name in records.LATER_TEXTS:
        spec[name] = tf.io.FixedLenFeature((), tf.string, default_value="")
    for name in (*records.SIZES, *records.FLAGS):
        spec[name] = tf.io.FixedLenFeature((), tf.int64)
    fields = tf.io.parse_example(serialized, spec)
    for flag in records.FLAGS:
        fields[flag] = tf.cast(fields[flag], tf.float32)
    # Other parts than part14 are for those who read them as such.
    rendered = tf.cast(fields["part_set"] == "", tf.float32)
    fields["has_parts"] *= rendered
    broken = []
    for name, shape in records.ARRAYS.items():
        finite = tf.math.is_finite(fields[name])
        axes = range(-len(shape), 0)
        whole = tf.reduce_all(finite, axis=axes, keepdims=True)
        fields[name] = tf.where(whole, fields[name], 0.0)
        broken.append(~tf.reduce_all(finite, axis=axes))
        if name in records.LABELS:
            fields[f"has_{name}"] *= tf.cast(~broken[-1], tf.float32)
    return fields | {"broken": tf.stack(broken, axis=-1)}
