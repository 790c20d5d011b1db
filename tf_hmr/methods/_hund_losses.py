"""HUND's losses of each stage, and the losses over all stages.

Zanfir et al., CVPR 2021, eq. 3 to 8. A unit loss has one number per stage and
example. Stages enter a term by weights without a gradient, so the terms stay
apart in the log, and their counts do not depend on a prediction.
"""

from typing import Literal, NamedTuple

import tensorflow as tf

from tf_hmr import method
from tf_hmr.methods import _smpl_losses

MetaLoss = Literal["last", "sum", "min", "max", "oi"]

# Of a squared distance under a root, whose slope is infinite at 0.
_TINY = 1e-10


class UnitLoss(NamedTuple):
    """One kind of error at every stage that is supervised."""

    totals: tf.Tensor
    """(S, B) summed error of each example at each stage."""
    count: tf.Tensor
    """(B,) number of summed numbers; 0 where the label is missing."""
    weight: float


def meta_weights(kind: MetaLoss, losses: tf.Tensor) -> tf.Tensor:
    """How much each stage counts in the loss of an example (eq. 7 and 8).

    Args:
        kind: 'oi' is the observable improvement with the best loss so far held
            constant. To the letter its sum is min L_i - L_0, which is least
            where the first state is worst, and training diverges.
        losses: (M + 1, B) of the states from s_0 on, which counts only where
            there is no other.

    Returns:
        (M + 1, B) weights; no gradient flows through them.
    """
    losses = tf.stop_gradient(losses)
    if losses.shape[0] == 1:
        return tf.ones_like(losses)
    after = losses[1:]
    stages = after.shape[0]
    if kind == "sum":
        weights = tf.ones_like(after)
    elif kind == "last":
        last = tf.reshape(tf.one_hot(stages - 1, stages), (-1, 1))
        weights = last * tf.ones_like(after)
    elif kind == "min":
        weights = tf.transpose(tf.one_hot(tf.argmin(after, axis=0), stages))
    elif kind == "max":
        weights = tf.transpose(tf.one_hot(tf.argmax(after, axis=0), stages))
    else:
        best, rows = losses[0], []
        for loss in tf.unstack(after):
            rows.append(tf.cast(loss < best, loss.dtype))
            best = tf.minimum(best, loss)
        weights = tf.stack(rows)
    return tf.concat([tf.zeros_like(losses[:1]), weights], axis=0)


def over_stages(
    kind: MetaLoss, units: dict[str, UnitLoss]
) -> dict[str, method.Term]:
    """Reduces unit losses to the terms of a loss over the stages.

    Args:
        kind: of the meta-loss; it weighs the stages of an example by the sum
            of all its unit losses.
        units: by name, of all states; or of the last one, for kind='last'.
    """
    example_losses = [
        unit.weight * unit.totals / tf.maximum(unit.count, 1.0)
        for unit in units.values()
    ]
    weights = meta_weights(kind, tf.add_n(example_losses))
    return {
        name: method.Term(
            tf.reduce_sum(weights * unit.totals, axis=0),
            unit.count,
            unit.weight,
        )
        for name, unit in units.items()
    }


def keypoint_distance(keypoints, detected) -> tf.Tensor:
    """Mean distance to detected keypoints, L_k of eq. 4.

    Args:
        keypoints: (B, N, 2) of the body, [-1, 1] of the crop.
        detected: (B, N, 2) likewise.

    Returns:
        (B,) in halves of the crop's side.
    """
    return tf.reduce_mean(_distances(keypoints - detected), axis=-1)


def mean_square(numbers) -> tf.Tensor:
    """A Gaussian's negative log-likelihood (eq. 6) per number: (B, N) to (B,).

    Up to a constant and a factor, which the weight takes up.
    """
    return tf.reduce_mean(tf.square(numbers), axis=-1)


def joints_3d(joints, names, labels) -> tuple[tf.Tensor, tf.Tensor]:
    """Distances of 3D joints about the mid-hip, in metres: L_3d of L_f.

    Args:
        joints: (B, J, 3).
        names: of these J joints.
        labels: (B, K, 4) of joints.KEYPOINTS: metres and a flag.

    Returns:
        Sums (B,) and numbers (B,) of labelled joints.
    """
    predicted, true, valid = _smpl_losses.root_aligned(
        joints, names, labels, "cocoplus"
    )
    distances = _distances(predicted - true) * valid
    return tf.reduce_sum(distances, -1), tf.reduce_sum(valid, -1)


def vertices(predicted, true, flag) -> tuple[tf.Tensor, tf.Tensor]:
    """Distances of points of the skin, in metres: L_m of L_f.

    Args:
        predicted: (B, N, 3) about the root.
        true: (B, N, 3) likewise, of the labelled body.
        flag: (B,) 1 where there is one.

    Returns:
        Sums (B,) and numbers (B,) of points.
    """
    distances = tf.reduce_sum(_distances(predicted - true), axis=-1) * flag
    return distances, predicted.shape[1] * flag


def part_cross_entropy(logits, shares, flag) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy of part maps with the labelled shares of their cells.

    Args:
        logits: (B, s, s, C).
        shares: (B, s, s, C) that sum to 1 in a cell.
        flag: (B,) 1 where there are labels.

    Returns:
        Sums (B,) over the cells, and their numbers (B,).
    """
    errors = tf.nn.softmax_cross_entropy_with_logits(shares, logits)
    cells = float(logits.shape[1] * logits.shape[2])
    return tf.reduce_sum(errors, axis=(1, 2)) * flag, cells * flag


def _distances(offsets) -> tf.Tensor:
    """(..., N) lengths of (..., N, D)."""
    return tf.sqrt(tf.reduce_sum(tf.square(offsets), axis=-1) + _TINY)
