"""Bones between the 41 points of SMPLR: their lengths and directions.

The inputs of its two networks that never see an image (Madadi et al. 2020,
section 3.3: shape from lengths, pose from directions).
"""

import numpy as np
import tensorflow as tf

from tf_hmr import joints

# The least squared length, a micrometre's: coincident points have a zero
# direction, and a gradient.
_MIN_SQ = 1e-12


def bone_vectors(points: tf.Tensor) -> tf.Tensor:
    """Vectors from the father of each point to the point.

    Args:
        points: (B, 41, 3) joints.SMPLR41 relative to the pelvis, metres; or
            (B, 23, 3), its joints alone.

    Returns:
        (B, P, 3) metres, P as of the points.

    Raises:
        ValueError: the points have another shape.
    """
    points = tf.convert_to_tensor(points)
    counts = (len(joints.SMPLR41), len(joints.SMPL24) - 1)
    if not any(
        points.shape.is_compatible_with([None, count, 3]) for count in counts
    ):
        raise ValueError(
            f"Expected points of shape (B, {counts[0]}, 3), or joints of "
            f"shape (B, {counts[1]}, 3), without the pelvis, got "
            f"{points.shape}."
        )
    rows = tf.concat([tf.zeros_like(points[:, 0:1]), points], axis=1)
    # Delegates gather with int32 alone.
    parents = joints.smplr41_parents()[: points.shape[1]]
    parents = np.array(parents, np.int32)
    return points - tf.gather(rows, parents, axis=1)


def lengths_and_directions(points: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Lengths of the bones and unit vectors along them.

    The original divides by the length, which is NaN for coincident points
    (meysam-madadi/SMPLR: Models/smplr.py); here such a bone has no direction,
    and the gradient is finite.

    Args:
        points: as for `bone_vectors`.

    Returns:
        (B, P) metres, at least 1e-6, and (B, P, 3).
    """
    bones = bone_vectors(points)
    length_sq = tf.reduce_sum(bones * bones, axis=2, keepdims=True)
    lengths = tf.sqrt(tf.maximum(length_sq, _MIN_SQ))
    batch = -1 if bones.shape[0] is None else bones.shape[0]
    return tf.reshape(lengths, (batch, bones.shape[1])), bones / lengths
