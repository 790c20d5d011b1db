"""Losses of SMPLR's volumes against points and limbs.

As tf_hmr/losses.py: `(total (B,), count (B,))`, never reduced over the batch,
and labels whose flag is 0 may hold anything.

A volume of targets is as large as the logits, 59 MB for each image of the
paper's network. It is never made: a Gaussian is a product of three vectors, so
its product with the logits is summed bin by bin, forwards and backwards.
"""

import math

import tensorflow as tf

from tf_hmr import joints
from tf_hmr.losses import TotalAndCount
from tf_hmr.networks import soft_argmax, volume_targets, volumetric_hourglass

LEAST = 1.5 * math.log(2 * math.pi * math.e)
"""Least value of `softmax_cross_entropy` of a point inside: a Gaussian's
entropy."""
# Points that maps of limbs go with: all, or the joints alone.
_COUNTS = (len(joints.SMPLR41), len(joints.SMPL24) - 1)
# In sides of the cube. Nothing of a Gaussian arrives from there, and squares of
# its distance are finite.
_FARTHEST = 1e6


def softmax_cross_entropy(
    logits: tf.Tensor, points: tf.Tensor, labelled: tf.Tensor, bins: int
) -> TotalAndCount:
    """Cross entropy between a map's softmax and a Gaussian around its point.

    Madadi et al. 2020, section 3.1. A point outside the cube is counted and
    stays where it is: only what its Gaussian leaves inside teaches.

    Args:
        logits: (B, H, W, bins * maps); channel = bin * maps + map. The first P
            maps are the points'.
        points: (B, P, 3) in sides of the cube from its middle.
        labelled: (B, P) flags.
        bins: number of voxels along z.

    Returns:
        total (B,), count (B,) = labelled points.

    Raises:
        ValueError: the shapes do not fit.
    """
    logits = tf.cast(logits, tf.float32)
    sizes = _sizes(logits, points, bins)
    points, flags = _without_unlabelled(points, labelled)
    factors = volume_targets.gaussians(points, sizes)
    values = _softmax_of_points(logits, *factors)
    return tf.reduce_sum(flags * values, axis=1), tf.reduce_sum(flags, axis=1)


def limb_cross_entropy(
    logits: tf.Tensor, points: tf.Tensor, labelled: tf.Tensor, bins: int
) -> TotalAndCount:
    """Cross entropy of the maps after the points' with densities around limbs.

    Arguments and errors as `softmax_cross_entropy`, with the 41 points.

    Returns:
        total (B,), count (B,) = limbs whose points are all labelled.
    """
    logits = tf.cast(logits, tf.float32)
    sizes = _sizes(logits, points, bins, with_limbs=True)
    points, flags = _without_unlabelled(points, labelled)
    targets = tf.stop_gradient(volume_targets.limb_densities(points, sizes))
    volume = _limb_maps(logits, sizes)
    products = _sum_of_voxels(targets * volume)
    normalizer = tf.reduce_logsumexp(volume, axis=(1, 2, 3))
    values = _sum_of_voxels(targets) * normalizer - products
    flags = _limb_flags(flags)
    return tf.reduce_sum(flags * values, axis=1), tf.reduce_sum(flags, axis=1)


def sigmoid_code(
    logits: tf.Tensor, points: tf.Tensor, labelled: tf.Tensor, bins: int
) -> TotalAndCount:
    """The loss of SMPLR's code: cross entropy of each voxel's sigmoid.

    The targets are the points' densities and the code's flat limbs
    (meysam-madadi/SMPLR: Models/StackedHourglass/
    hourglassModelVoxelsBones.py). Arguments and errors as
    `softmax_cross_entropy`, with the 41 points.

    Returns:
        total (B,), count (B,) = voxels of the labelled maps.
    """
    logits = tf.cast(logits, tf.float32)
    sizes = _sizes(logits, points, bins, with_limbs=True)
    points, flags = _without_unlabelled(points, labelled)
    factors = volume_targets.gaussians(points, sizes)
    of_points = _sigmoid_of_points(logits, *factors)
    targets = tf.stop_gradient(volume_targets.code_limbs(points, sizes))
    volume = _limb_maps(logits, sizes)
    of_limbs = _sum_of_voxels(tf.nn.softplus(volume) - targets * volume)
    flags = tf.concat([flags, _limb_flags(flags)], axis=1)
    values = tf.concat([of_points, of_limbs], axis=1)
    voxels = float(math.prod(sizes))
    count = voxels * tf.reduce_sum(flags, axis=1)
    return tf.reduce_sum(flags * values, axis=1), count


def _sizes(
    logits: tf.Tensor, points: tf.Tensor, bins: int, with_limbs: bool = False
) -> volume_targets.Sizes:
    """Sizes of the volume.

    Raises:
        ValueError: it has too few maps, or no place for the limbs.
    """
    _, height, width, channels = logits.shape
    maps, count = soft_argmax.maps_of(channels, bins), points.shape[1]
    if with_limbs and (
        count not in _COUNTS or maps != count + len(volumetric_hourglass.LIMBS)
    ):
        raise ValueError(
            f"Expected the {len(joints.SMPLR41)} points of joints.SMPLR41, or "
            f"its {_COUNTS[1]} joints, and {len(volumetric_hourglass.LIMBS)} "
            "maps of limbs after theirs, "
            f"got {count} points and {maps} maps."
        )
    if count > maps:
        raise ValueError(
            f"Expected a map for each of {count} points, got {maps}: "
            f"{channels} channels of {bins} bins."
        )
    return width, height, bins


def _without_unlabelled(points, labelled) -> tuple[tf.Tensor, tf.Tensor]:
    """Points with zeros in the place of missing ones; flags (B, P)."""
    flags = tf.cast(tf.cast(labelled, tf.float32) > 0.0, tf.float32)
    points = tf.cast(points, tf.float32)
    points = tf.where(flags[:, :, tf.newaxis] > 0.0, points, 0.0)
    points = tf.clip_by_value(points, -_FARTHEST, _FARTHEST)
    return tf.stop_gradient(points), flags


def _limb_flags(flags: tf.Tensor) -> tf.Tensor:
    """(B, 41) flags of points -> (B, limbs), 1 where all of a limb's are."""
    return tf.stack(
        [
            tf.reduce_min(tf.gather(flags, rows, axis=1), axis=1)
            for rows in volume_targets.limb_points()
        ],
        axis=1,
    )


def _limb_maps(logits: tf.Tensor, sizes: volume_targets.Sizes) -> tf.Tensor:
    """(B, H, W, bins, limbs) logits of the last maps."""
    width, height, bins = sizes
    maps = logits.shape[3] // bins
    volume = tf.reshape(logits, (-1, height, width, bins, maps))
    return volume[..., -len(volumetric_hourglass.LIMBS) :]


def _sum_of_voxels(values: tf.Tensor) -> tf.Tensor:
    """(B, ..., maps) -> (B, maps), one axis after the other.

    A single sum adds 65,536 float32 numbers in a row and loses two digits.
    """
    while values.shape.rank > 2:
        values = tf.reduce_sum(values, axis=1)
    return values


@tf.custom_gradient
def _softmax_of_points(logits, columns, rows, bins):
    """Cross entropies (B, P); the three factors of the Gaussians follow."""
    slices = _slices(logits, columns, bins)
    plane = rows[:, :, tf.newaxis] * columns[:, tf.newaxis]
    maxima = [tf.reduce_max(part, axis=(1, 2)) for part in slices]
    largest = tf.reduce_max(tf.stack(maxima), axis=0)[:, None, None]
    sums = [_sum_of_voxels(tf.exp(s - largest)) for s in slices]
    normalizer = tf.math.log(tf.add_n(sums)) + largest[:, 0, 0]
    mass = _mass(columns, rows, bins)
    value = mass * normalizer - _products(slices, plane, bins)

    def gradient(upstream):
        scale, plane_scale = upstream * mass, upstream[:, None, None] * plane
        parts = [
            scale[:, None, None] * tf.exp(s - normalizer[:, None, None])
            - bins[:, number, None, None] * plane_scale
            for number, s in enumerate(slices)
        ]
        return _joined(parts, logits), None, None, None

    return value, gradient


@tf.custom_gradient
def _sigmoid_of_points(logits, columns, rows, bins):
    """Sums over the voxels of the cross entropies (B, P); as above."""
    slices = _slices(logits, columns, bins)
    plane = rows[:, :, tf.newaxis] * columns[:, tf.newaxis]
    sums = [_sum_of_voxels(tf.nn.softplus(s)) for s in slices]
    value = tf.add_n(sums) - _products(slices, plane, bins)

    def gradient(upstream):
        scale = upstream[:, None, None]
        parts = [
            scale * (tf.sigmoid(s) - bins[:, number, None, None] * plane)
            for number, s in enumerate(slices)
        ]
        return _joined(parts, logits), None, None, None

    return value, gradient


def _slices(logits, columns, bins) -> list[tf.Tensor]:
    """Logits (B, H, W, P) of the points in each bin."""
    points, count = columns.shape[2], bins.shape[1]
    maps = logits.shape[3] // count
    return [
        logits[..., number * maps : number * maps + points]
        for number in range(count)
    ]


def _products(slices, plane, bins) -> tf.Tensor:
    """Sums (B, P) of the logits times their targets."""
    return tf.add_n(
        [
            bins[:, number] * _sum_of_voxels(plane * s)
            for number, s in enumerate(slices)
        ]
    )


def _mass(columns, rows, bins) -> tf.Tensor:
    """(B, P) what the voxels hold of each Gaussian."""
    factors = [tf.reduce_sum(f, axis=1) for f in (columns, rows, bins)]
    return factors[0] * factors[1] * factors[2]


def _joined(parts, logits) -> tf.Tensor:
    """Gradients of the bins' points as those of all channels."""
    rest = logits.shape[3] // len(parts) - parts[0].shape[3]
    padding = [(0, 0), (0, 0), (0, 0), (0, rest)]
    return tf.concat([tf.pad(part, padding) for part in parts], axis=3)
