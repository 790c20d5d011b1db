"""What the volumes of SMPLR's hourglass should hold: points and limbs.

meysam-madadi/SMPLR: Models/StackedHourglass/hourglassModelVoxelsBones.py; a
voxel stands for its lower corner, all lengths are counted in voxels, and the
index of a place is not rounded. So a bin, which is longer than a pixel is wide,
has the same deviation of one.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.networks import volumetric_hourglass

Sizes = tuple[int, int, int]
"""Columns, rows and bins of a volume: x, y, z of a place."""

# The original's guard against segments of no length.
_MIN_LENGTH_SQ = 1e-5


def voxels(positions: tf.Tensor, sizes: Sizes) -> tf.Tensor:
    """Places (..., 3) in sides of the cube from its middle -> indices.

    Along an axis of a single voxel there are no places: the index is 0.
    """
    counts = [size if size > 1 else 0 for size in sizes]
    return (positions + 0.5) * tf.constant(counts, positions.dtype)


def gaussians(positions: tf.Tensor, sizes: Sizes) -> list[tf.Tensor]:
    """Densities around points with a deviation of one voxel, axis by axis.

    The density of a voxel is the product of the three. It sums to 1 for a
    point well inside; less at a face, nothing far outside. Along an axis of a
    single voxel it is 1.

    Args:
        positions: (B, P, 3) in sides of the cube from its middle.
        sizes: of the volume.

    Returns:
        (B, columns, P), (B, rows, P), (B, bins, P).
    """
    indices = voxels(positions, sizes)
    factors = []
    for axis, size in enumerate(sizes):
        grid = np.arange(size, dtype=np.float32)[:, np.newaxis]
        distances = grid - indices[:, tf.newaxis, :, axis]
        density = tf.exp(-0.5 * distances * distances)
        if size > 1:
            density = density / math.sqrt(2 * math.pi)
        factors.append(density)
    return factors


def limb_points() -> list[tuple[int, ...]]:
    """Rows of joints.SMPLR41 that the segments of each limb begin or end at."""
    return [
        tuple(sorted({row for pair in _segments(limb) for row in pair}))
        for limb in volumetric_hourglass.LIMBS.values()
    ]


def limb_densities(positions: tf.Tensor, sizes: Sizes) -> tf.Tensor:
    """Densities around limbs: one voxel of deviation across each segment.

    A map sums to 1 where the limb is in the cube. The paper draws such maps;
    those of the code are flat, see `code_limbs`.

    Args:
        positions: (B, 41, 3) joints.SMPLR41, or (B, 23, 3) its joints alone.
        sizes: of the volume.

    Returns:
        (B, rows, columns, bins, limbs).
    """
    maps = []
    for distances_sq in _limb_distances(positions, sizes):
        nearest_sq = distances_sq[0]
        for other_sq in distances_sq[1:]:
            nearest_sq = tf.minimum(nearest_sq, other_sq)
        density = tf.exp(-0.5 * nearest_sq)
        total = tf.reduce_sum(density, axis=(1, 2, 3), keepdims=True)
        # A limb outside the cube keeps the little that reaches into it.
        maps.append(density / tf.maximum(total, 1.0))
    return tf.stack(maps, axis=-1)


def code_limbs(positions: tf.Tensor, sizes: Sizes) -> tf.Tensor:
    """The maps of limbs that SMPLR's code is trained with.

    Of each segment the softmax over all voxels of 1 / (1 + d^2), d in voxels;
    of a limb the largest of its segments. They differ by a factor of e at most.
    Arguments and result as `limb_densities`.
    """
    maps = []
    for distances_sq in _limb_distances(positions, sizes):
        values = []
        for distance_sq in distances_sq:
            weight = tf.exp(1.0 / (1.0 + distance_sq))
            total = tf.reduce_sum(weight, axis=(1, 2, 3), keepdims=True)
            values.append(weight / total)
        maps.append(tf.reduce_max(tf.stack(values), axis=0))
    return tf.stack(maps, axis=-1)


def _segments(limb: Sequence[str]) -> list[tuple[int, int]]:
    """Rows of joints.SMPLR41 where each segment begins and ends."""
    return [
        joints.select((joints.SMPL24_PARENTS[name], name), of=joints.SMPLR41)
        for name in limb
    ]


def _limb_distances(
    positions: tf.Tensor, sizes: Sizes
) -> Iterator[list[tf.Tensor]]:
    """Squared distances (B, rows, columns, bins) to each segment of a limb."""
    indices = voxels(positions, sizes)
    for limb in volumetric_hourglass.LIMBS.values():
        yield [
            _distance_sq(indices[:, begin], indices[:, end], sizes)
            for begin, end in _segments(limb)
        ]


def _distance_sq(begin: tf.Tensor, end: tf.Tensor, sizes: Sizes) -> tf.Tensor:
    """Squared distance of every voxel to a segment between (B, 3) indices."""
    vector = end - begin
    offsets = []
    # The volume's axes are rows, columns, bins.
    for axis, volume_axis in ((0, 2), (1, 1), (2, 3)):
        shape = [1, 1, 1, 1]
        shape[volume_axis] = sizes[axis]
        grid = np.arange(sizes[axis], dtype=np.float32).reshape(shape)
        offsets.append(grid - begin[:, axis, None, None, None])
    steps = [vector[:, axis, None, None, None] for axis in range(3)]
    products = [a * b for a, b in zip(offsets, steps, strict=True)]
    length_sq = tf.reduce_sum(vector * vector, axis=1)[:, None, None, None]
    share = (products[0] + products[1] + products[2]) / (
        length_sq + _MIN_LENGTH_SQ
    )
    share = tf.clip_by_value(share, 0.0, 1.0)
    squares = [
        tf.square(offset - share * step)
        for offset, step in zip(offsets, steps, strict=True)
    ]
    return squares[0] + squares[1] + squares[2]
