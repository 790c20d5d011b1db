"""Soft-argmax of a volume: the mean place of its softmax.

Sun et al., Integral Human Pose Regression, ECCV 2018; the paper's equation of
the volumetric network of SMPLR (Madadi et al. 2020, section 3.1).

In operators of GPU delegates, with at most four axes. The sums run over one
axis after the other, so that no float32 or float16 adds up all 65,536 voxels of
a map, and as means, because a float16 sum of 65,536 ones is infinite.
"""

import numpy as np
import tensorflow as tf


def soft_argmax(logits: tf.Tensor, bins: int, points: int) -> tf.Tensor:
    """Mean positions of the first maps of a volume.

    A voxel stands for its lower corner, as in the original, whose targets do
    so too (meysam-madadi/SMPLR: Models/StackedHourglass/
    hourglassModelVoxelsBones.py): a flat map gives the middle less half a
    voxel.

    Args:
        logits: (B, H, W, bins * maps); channel = bin * maps + map.
        bins: number of voxels along z.
        points: number of maps that are points; the others are ignored.

    Returns:
        (B, points, 3) x (along W), y (along H), z (along the bins), in sides
        of the cube from its middle: -0.5 to 0.5. Float32. Along an axis of a
        single voxel, as of flat maps, 0.

    Raises:
        ValueError: the channels are no multiple of `bins`, or too few.
    """
    logits = tf.cast(logits, tf.float32)
    batch, height, width, channels = logits.shape
    maps = maps_of(channels, bins)
    if points > maps:
        raise ValueError(
            f"Expected at least {points} maps, got {maps}: {channels} channels "
            f"of {bins} bins."
        )
    batch = -1 if batch is None else batch
    volume = tf.reshape(logits, (batch, height * width, bins, maps))
    volume = volume[:, :, :, 0:points]
    weights = tf.exp(volume - tf.reduce_max(volume, (1, 2), keepdims=True))
    plane = tf.reduce_mean(weights, axis=2, keepdims=True)
    plane = tf.reshape(plane, (batch, height, width, points))
    marginals = (
        tf.reduce_mean(plane, axis=1, keepdims=True),
        tf.reshape(
            tf.reduce_mean(plane, axis=2, keepdims=True),
            (batch, 1, height, points),
        ),
        tf.reduce_mean(weights, axis=1, keepdims=True),
    )
    means = [_mean_position(marginal) for marginal in marginals]
    positions = tf.reshape(tf.concat(means, axis=2), (batch, 3, points))
    return tf.transpose(positions, (0, 2, 1))


def maps_of(channels: int, bins: int) -> int:
    """Number of maps in the channels of a volume.

    Raises:
        ValueError: the channels are no multiple of the bins.
    """
    if channels % bins:
        raise ValueError(
            f"Expected a multiple of {bins} bins as channels, got {channels}."
        )
    return channels // bins


def _mean_position(marginal: tf.Tensor) -> tf.Tensor:
    """(B, 1, N, P) weights of N voxels -> (B, 1, 1, P) mean, -0.5 to 0.5."""
    size = marginal.shape[2]
    if size == 1:
        return 0.0 * marginal
    positions = np.arange(size, dtype=np.float32) / size - 0.5
    positions = positions.reshape(1, 1, size, 1)
    total = tf.reduce_mean(marginal, axis=2, keepdims=True)
    return tf.reduce_mean(marginal * positions, axis=2, keepdims=True) / total
