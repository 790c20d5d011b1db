"""Losses per example: a summed error and how many numbers it summed.

Every function returns `(total (B,), count (B,))`, both float32, and never
reduces over the batch: the training loop divides the sum of totals by the sum
of counts over all replicas, so the papers' normalisations are exact on any
number of devices. A count of 0 means "not labelled".

Labels whose flag is 0 may hold anything, NaN too: their errors are replaced
and not multiplied by the flag, because 0 * NaN is NaN.
"""

from collections.abc import Callable

import tensorflow as tf

TotalAndCount = tuple[tf.Tensor, tf.Tensor]


def keypoints_l1(
    pred: tf.Tensor, true: tf.Tensor, visible: tf.Tensor
) -> TotalAndCount:
    """L1 over visible 2D keypoints.

    HMR's normalisation (akanazawa/hmr: src/ops.py): the sum over the batch is
    divided by 2 x the number of visible keypoints.

    Args:
        pred: (B, K, 2) in [-1, 1] of the crop.
        true: (B, K, 2).
        visible: (B, K) flags, or confidences that weight the error.

    Returns:
        total (B,), count (B,) = 2 x visible keypoints.
    """
    return _sum_where(tf.abs, pred, true, visible)


def joints_squared(
    pred: tf.Tensor, true: tf.Tensor, valid: tf.Tensor
) -> TotalAndCount:
    """Squared error of 3D joints; align both sides first.

    Args:
        pred: (B, J, 3) metres.
        true: (B, J, 3) metres.
        valid: (B, J) flags.

    Returns:
        total (B,) square metres, count (B,) = 3 x valid joints.
    """
    return _sum_where(tf.square, pred, true, valid)


def joints_l1(
    pred: tf.Tensor, true: tf.Tensor, valid: tf.Tensor
) -> TotalAndCount:
    """L1 error of 3D joints; arguments and counts as `joints_squared`."""
    return _sum_where(tf.abs, pred, true, valid)


def rotmats_squared(
    pred: tf.Tensor, true: tf.Tensor, valid: tf.Tensor
) -> TotalAndCount:
    """Squared error of rotation matrices, the global one included.

    Args:
        pred: (B, J, 3, 3).
        true: (B, J, 3, 3).
        valid: (B,) flags.

    Returns:
        total (B,), count (B,) = 9 J per labelled example.
    """
    return _sum_where(tf.square, pred, true, valid)


def rotmats_l1(
    pred: tf.Tensor, true: tf.Tensor, valid: tf.Tensor
) -> TotalAndCount:
    """L1 error of rotation matrices; arguments as `rotmats_squared`."""
    return _sum_where(tf.abs, pred, true, valid)


def betas_squared(
    pred: tf.Tensor, true: tf.Tensor, valid: tf.Tensor
) -> TotalAndCount:
    """Squared error of the shape coefficients.

    Args:
        pred: (B, P).
        true: (B, P).
        valid: (B,) flags.

    Returns:
        total (B,), count (B,) = P per labelled example.
    """
    return _sum_where(tf.square, pred, true, valid)


def discriminator_real(scores: tf.Tensor) -> TotalAndCount:
    """Least-squares discriminator loss on real poses (target 1).

    As akanazawa/hmr: src/trainer.py: the mean over the batch of
    the SUM over the D outputs, so an example counts 1, not D.

    Args:
        scores: (B, D) outputs for real poses and shapes.

    Returns:
        total (B,), count (B,) = 1.
    """
    return _least_squares(scores, 1.0)


def discriminator_fake(scores: tf.Tensor) -> TotalAndCount:
    """Least-squares loss on predictions (target 0); as `discriminator_real`."""
    return _least_squares(scores, 0.0)


def generator(scores: tf.Tensor) -> TotalAndCount:
    """Least-squares loss of the regressor (target 1; HMR, eq. 2)."""
    return _least_squares(scores, 1.0)


def _sum_where(
    penalty: Callable[[tf.Tensor], tf.Tensor],
    pred: tf.Tensor,
    true: tf.Tensor,
    flag: tf.Tensor,
) -> TotalAndCount:
    """Sums flag * penalty(pred - true) over all but the first axis."""
    pred, true = tf.cast(pred, tf.float32), tf.cast(true, tf.float32)
    flag = tf.cast(flag, tf.float32)
    if not pred.shape.is_compatible_with(true.shape) or not (
        pred.shape[: flag.shape.rank].is_compatible_with(flag.shape)
    ):
        raise ValueError(
            "Expected labels shaped as the prediction and flags shaped as "
            f"its first axes, got prediction {pred.shape}, labels "
            f"{true.shape}, flags {flag.shape}. Broadcasting here would "
            "compare every example with every other one."
        )
    for _ in range(pred.shape.rank - flag.shape.rank):
        flag = flag[..., tf.newaxis]
    labelled = tf.broadcast_to(flag > 0.0, tf.shape(pred))
    # One tf.where is enough: a difference has derivative 1, so it sends no NaN
    # back, and everything after it sees 0.
    error = tf.where(labelled, pred - true, 0.0)
    rest = list(range(1, pred.shape.rank))
    total = tf.reduce_sum(flag * penalty(error), axis=rest)
    return total, tf.reduce_sum(tf.cast(labelled, tf.float32), axis=rest)


def _least_squares(scores: tf.Tensor, target: float) -> TotalAndCount:
    scores = tf.cast(scores, tf.float32)
    if scores.shape.rank != 2:
        raise ValueError(
            f"Expected scores of shape (B, outputs), got {scores.shape}. "
            "Merge refinement stages into the first axis."
        )
    total = tf.reduce_sum(tf.square(scores - target), axis=1)
    return total, tf.ones_like(total)
