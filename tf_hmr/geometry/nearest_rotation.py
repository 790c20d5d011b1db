"""Nearest rotations without an SVD, for training and for exported models.

Horn's quaternion (Closed-form solution of absolute orientation using unit
quaternions, JOSA A 1987): the rotation R that maximises trace(R^T M) has the
quaternion q that maximises q^T N q, where N (4, 4) is linear in M. So q is N's
eigenvector of the largest eigenvalue, whatever the determinant of M: no branch
separates rotations from reflections. Repeated squaring of N, moved to
positive eigenvalues, leaves q q^T.

Delegates compute all of it: constant products and broadcast products of slices,
at most four axes. `rotations.nearest_rotmat` is the same function by a float64
SVD, in NumPy.
"""

import itertools

import numpy as np
import tensorflow as tf

# The eigenvalues of N lie within the sum of M's singular values, which is at
# most sqrt(3) for a matrix of Frobenius norm 1.
_SHIFT = 1.75
# Squared norms below this fade to the zero matrix, so gradients stay finite.
_MIN_SQ = 1e-12
_MIN_QUATERNION_SQ = 1e-30
_SQUARINGS = 14


def nearest_rotation(
    matrices: tf.Tensor, squarings: int = _SQUARINGS
) -> tf.Tensor:
    """Rotations closest to 3x3 matrices in the Frobenius norm.

    The result is a rotation for every finite matrix, also where the nearest
    one is not unique; the zero matrix gives the identity.

    Args:
        matrices: (B, K, 3, 3); float64 stays float64.
        squarings: of N. An eigenvalue that is smaller by a factor of
            1 - 2^-squarings still shows: 10 are enough for the noisy
            rotations of a network, 14 for matrices that are nearly of rank
            one.

    Returns:
        (B, K, 3, 3) rotation matrices.

    Raises:
        ValueError: the argument has another shape.
    """
    matrices = tf.convert_to_tensor(matrices)
    if matrices.dtype != tf.float64:
        matrices = tf.cast(matrices, tf.float32)
    if matrices.shape.rank != 4 or tuple(matrices.shape[2:]) != (3, 3):
        raise ValueError(
            f"Expected matrices of shape (B, K, 3, 3), got {matrices.shape}. "
            "Add an axis of 1 to a single one."
        )
    # A constant shape when at most one size is unknown.
    batch, count = (-1 if n is None else n for n in matrices.shape[:2])
    entries = tf.reshape(matrices, (batch, count, 9))
    norm_sq = tf.reduce_sum(entries * entries, -1, keepdims=True)
    entries = entries * tf.math.rsqrt(norm_sq + _MIN_SQ)
    dtype = entries.dtype.as_numpy_dtype
    horn = tf.matmul(entries, _HORN.astype(dtype))
    power = tf.reshape(horn, (batch, count, 4, 4))
    power = _squared_often(power + _SHIFT * _EYE.astype(dtype), squarings)
    quaternion = _longest_column(power)
    outer = quaternion * tf.reshape(quaternion, (batch, count, 1, 4))
    outer = tf.reshape(outer, (batch, count, 16))
    rotation = tf.matmul(outer, _ROTATION.astype(dtype))
    return tf.reshape(rotation, (batch, count, 3, 3))


def aligning_rotation(
    points: tf.Tensor, targets: tf.Tensor, weights: np.ndarray
) -> tf.Tensor:
    """Rotation of orthogonal Procrustes: turns points onto targets.

    Args:
        points: (B, N, 3) metres.
        targets: (B, N, 3) metres, row by row.
        weights: (N, 1) of the rows; they sum to 1.

    Returns:
        (B, 1, 3, 3) rotations R that make R (p - mean p) closest to
        t - mean t in the weighted sum of squares; the means are weighted, too.
    """
    points = points - weighted_mean(points, weights)
    targets = weights * (targets - weighted_mean(targets, weights))
    # Row i holds the products of the targets' coordinate i.
    rows = [
        tf.reduce_sum(targets[:, :, i : i + 1] * points, axis=1, keepdims=True)
        for i in range(3)
    ]
    batch = -1 if points.shape[0] is None else points.shape[0]
    matrices = tf.reshape(tf.concat(rows, axis=1), (batch, 1, 3, 3))
    return nearest_rotation(matrices)


def weighted_mean(points: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
    """(B, N, D) and weights (N, 1), which sum to 1, to (B, 1, D)."""
    return tf.reduce_sum(weights * points, axis=1, keepdims=True)


def _squared_often(power: tf.Tensor, squarings: int) -> tf.Tensor:
    """(B, K, 4, 4) to the power 2^squarings, up to its scale."""
    eye = _EYE.astype(power.dtype.as_numpy_dtype)
    for _ in range(squarings):
        trace = tf.reduce_sum(power * eye, axis=(2, 3), keepdims=True)
        power = power * (1.0 / trace)
        terms = [
            power[:, :, :, k : k + 1] * power[:, :, k : k + 1, :]
            for k in range(4)
        ]
        power = (terms[0] + terms[1]) + (terms[2] + terms[3])
    return power


def _longest_column(power: tf.Tensor) -> tf.Tensor:
    """Unit column (B, K, 4, 1) of the largest diagonal entry of q q^T."""
    dtype = power.dtype.as_numpy_dtype
    diagonal = tf.reduce_sum(power * _EYE.astype(dtype), 3, keepdims=True)
    largest = tf.reduce_max(diagonal, axis=2, keepdims=True)
    is_largest = tf.cast(diagonal >= largest, power.dtype)
    # Of equal entries the first alone: a sum of two columns may vanish.
    ranks = is_largest * np.array([4, 3, 2, 1], dtype).reshape(1, 1, 4, 1)
    first = tf.reduce_max(ranks, axis=2, keepdims=True)
    chosen = tf.cast(ranks >= first, power.dtype)
    batch, count = (-1 if n is None else n for n in power.shape[:2])
    chosen_row = tf.reshape(chosen, (batch, count, 1, 4))
    column = tf.reduce_sum(power * chosen_row, axis=3, keepdims=True)
    length_sq = tf.reduce_sum(column * column, axis=2, keepdims=True)
    return column * tf.math.rsqrt(length_sq + _MIN_QUATERNION_SQ)


def _rotation_of_outer() -> np.ndarray:
    """(16, 9) from q q^T, q a unit quaternion (w, x, y, z), to its rotation.

    R v is the vector part of q v q*, bilinear in q: the coefficients are read
    off products of basis quaternions.
    """
    basis = np.eye(4)
    coefficients = np.zeros((4, 4, 3, 3))
    for a, b, axis in itertools.product(range(4), range(4), range(3)):
        conjugate = basis[b] * (1, -1, -1, -1)
        turned = _product(_product(basis[a], basis[1 + axis]), conjugate)
        coefficients[a, b, :, axis] = turned[1:]
    return coefficients.reshape(16, 9)


def _product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hamilton's product of two quaternions."""
    scalar = p[0] * q[0] - p[1:] @ q[1:]
    vector = p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:])
    return np.array([scalar, *vector])


_ROTATION = _rotation_of_outer()


def _horn() -> np.ndarray:
    """(9, 16) from M to N: q^T N q is the sum of M times q's rotation."""
    by_entry = _ROTATION.T.reshape(9, 4, 4)
    return ((by_entry + by_entry.transpose(0, 2, 1)) / 2).reshape(9, 16)


_HORN = _horn()
_EYE = np.eye(4)[np.newaxis, np.newaxis]
