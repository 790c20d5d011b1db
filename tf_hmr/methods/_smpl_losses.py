"""Losses of a predicted SMPL body, with explicit weights.

The losses of akanazawa/hmr (src/ops.py, src/trainer.py), which HKMR also uses,
and the selection and alignment of labels, which all methods share.
"""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tf_hmr import joints, losses, method

Penalty = Literal["squared", "absolute"]
JointSet = Literal["lsp", "cocoplus"]
JOINT_SETS: dict[JointSet, tuple[str, ...]] = {
    "lsp": joints.LSP14,
    "cocoplus": joints.COCOPLUS19,
}


def term(total_and_count, weight: float) -> method.Term:
    """Joins a loss function's (total, count) with its weight."""
    total, count = total_and_count
    return method.Term(total, count, weight)


def select(points, names: Sequence[str]):
    """(B, K, C) in the order of joints.KEYPOINTS -> (B, len(names), C)."""
    return tf.gather(points, joints.select(names, of=joints.KEYPOINTS), axis=1)


def root_aligned(points, names: Sequence[str], labels, joint_set: JointSet):
    """Aligns predicted and labelled 3D joints at their mid-hip.

    Args:
        points: (B, J, 3) predicted joints, metres.
        names: names of these J joints.
        labels: (B, K, 4) of joints.KEYPOINTS: metres and a flag.
        joint_set: the joints to compare.

    Returns:
        Predicted and labelled joints (B, L, 3) minus their mid-hip, and
        flags (B, L), 0 for all joints of an example with an unlabelled hip.
    """
    names_in_loss = JOINT_SETS[joint_set]
    pred = tf.gather(points, joints.select(names_in_loss, of=names), axis=1)
    true = select(labels, names_in_loss)
    hips = joints.select(("left_hip", "right_hip"), of=names_in_loss)
    valid = true[..., 3] * tf.reduce_min(
        tf.gather(true[..., 3], hips, axis=1), axis=1, keepdims=True
    )

    def align(points):
        root = tf.gather(points, hips, axis=1)
        return points - tf.reduce_mean(root, axis=1, keepdims=True)

    return align(pred), align(true[..., :3]), valid


def keypoints_2d(pred, labels, weight: float) -> method.Term:
    """Mean L1 of the visible keypoints (src/ops.py: keypoint_l1_loss).

    Args:
        pred: (B, J, 2) in [-1, 1] of the crop.
        labels: (B, J, 3) likewise, with visibility.
        weight: weight of the mean.
    """
    return term(
        losses.keypoints_l1(pred, labels[..., :2], labels[..., 2]), weight
    )


def joints_3d(aligned, penalty: Penalty, weight: float) -> method.Term:
    """Mean of 3D joints, halved if squared (src/ops.py: compute_3d_loss).

    Args:
        aligned: returned by root_aligned.
        penalty: penalty of each coordinate's difference.
        weight: weight of the mean.
    """
    if penalty == "squared":
        return term(losses.joints_squared(*aligned), 0.5 * weight)
    return term(losses.joints_l1(*aligned), weight)


def rotmats(pred, batch, penalty: Penalty, weight: float) -> method.Term:
    """Rotation matrices, halved if squared (src/ops.py: compute_3d_loss).

    Args:
        pred: a method.Prediction.
        batch: with rotmats (B, J, 3, 3) and has_pose (B,).
        penalty: penalty of each entry's difference.
        weight: weight of the mean over `parameters` of examples with a pose.
    """
    squared = penalty == "squared"
    loss = losses.rotmats_squared if squared else losses.rotmats_l1
    has_pose = batch["has_pose"]
    total, _ = loss(pred.rotmats, batch["rotmats"], has_pose)
    half = 0.5 if squared else 1.0
    return method.Term(total, parameters(pred) * has_pose, half * weight)


def betas(pred, batch, weight: float) -> method.Term:
    """Half the squared error of the shape (src/ops.py: compute_3d_loss).

    Args:
        pred: a method.Prediction.
        batch: with betas (B, N) and has_betas (B,).
        weight: weight of the mean over `parameters` of examples with a shape.
    """
    has_betas = batch["has_betas"]
    total, _ = losses.betas_squared(pred.betas, batch["betas"], has_betas)
    return method.Term(total, parameters(pred) * has_betas, 0.5 * weight)


def parameters(pred) -> float:
    """Numbers that HMR's code averages one squared error over.

    All rotation matrices and betas: 216 + 10 of SMPL (src/trainer.py).
    """
    return 9.0 * pred.rotmats.shape[1] + pred.betas.shape[1]


def repeated(batch, count: int):
    """Repeats the labels of a batch for `count` estimates of each example."""
    return {
        name: tf.concat([value] * count, axis=0)
        for name, value in batch.items()
        if name != "image"
    }


def summed(estimates: method.Term, count: int) -> method.Term:
    """Sums a term over `count` estimates of each example; labels count once."""
    return estimates._replace(
        total=tf.add_n(tf.split(estimates.total, count)),
        count=tf.split(estimates.count, count)[0],
    )
