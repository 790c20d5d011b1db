"""Maps of keypoints and of body parts, from an encoder's last map.

HUND's multi-task network (Zanfir et al., CVPR 2021, section 2): features F, a
map of each keypoint, K, and maps of the background and of each part, B. The
paper prints their sizes and 34 M parameters, no layers; these are of Xiao et
al., Simple Baselines for Human Pose Estimation, ECCV 2018: transposed
convolutions, each of which doubles the side.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.networks import batch_norm

_DOUBLINGS = 5  # At most: from a 32nd of a crop's side back to all of it.


class Detection(NamedTuple):
    """What a network sees in crops, as maps of side s."""

    features: tf.Tensor
    """F: (B, s, s, C), in the type that the network computes in."""
    heatmaps: tf.Tensor
    """K: (B, s, s, N) from 0 to 1, which each map reaches."""
    keypoints: tf.Tensor
    """(B, N, 2) mean positions under the heatmaps, [-1, 1] of the crop."""
    confidence: tf.Tensor
    """(B, N) share of a heatmap that its largest cell holds."""
    part_logits: tf.Tensor
    """(B, s, s, 1 + P) of the background and of P parts."""
    parts: tf.Tensor
    """B: (B, s, s, 1 + P) probabilities; they sum to 1 in each cell."""


def build(
    last_map: tf.Tensor,
    encoder: str,
    side: int,
    channels: int,
    num_keypoints: int,
    num_parts: int,
) -> keras.Model:
    """Builds the layers from an encoder's last map to F and logits of K, B.

    Args:
        last_map: symbolic output of the encoder, (B, t, t, D).
        encoder: its name, for the message.
        side: s of the maps: t, or t doubled some times.
        channels: of F and of every layer before it (C).
        num_keypoints: maps in K (N).
        num_parts: parts (P); B has the background before them.

    Raises:
        ValueError: no number of doublings gives that side.
    """
    last_side = last_map.shape[1]
    sides = [last_side * 2**n for n in range(_DOUBLINGS + 1)]
    if side not in sides:
        raise ValueError(
            f"map_side={side}: the last map of the encoder {encoder!r} has "
            f"side {last_side} at this image_size, and is doubled. Expected "
            f"one of {sides}."
        )
    conv = keras.layers.Conv2D
    x = inputs = keras.Input(last_map.shape[1:], name="last_map")
    for number in range(1, sides.index(side) + 1):
        x = keras.layers.Conv2DTranspose(
            channels, 4, 2, "same", use_bias=False, name=f"double{number}"
        )(x)
        x = batch_norm.BatchNormalization(
            momentum=0.97, name=f"double{number}_bn"
        )(x)
        x = keras.layers.ReLU(name=f"double{number}_relu")(x)
    for name in ("smooth1", "smooth2"):
        x = conv(channels, 3, 1, "same", activation="relu", name=name)(x)
    heads = [
        conv(num_keypoints, 1, name="keypoint_head")(x),
        conv(1 + num_parts, 1, name="part_head")(x),
    ]
    return keras.Model(inputs, [x, *heads], name="decoder")


def read(
    features: tf.Tensor, keypoint_logits: tf.Tensor, part_logits: tf.Tensor
) -> Detection:
    """Reads positions and probabilities off the maps of `build`, in float32.

    A keypoint is the mean position under its softmax (Sun et al., Integral
    Human Pose Regression, ECCV 2018, eq. 1).
    """
    keypoint_logits = tf.cast(keypoint_logits, tf.float32)
    part_logits = tf.cast(part_logits, tf.float32)
    side, count = keypoint_logits.shape[1], keypoint_logits.shape[3]
    flat = tf.reshape(keypoint_logits, (-1, side * side, count))
    peaks = tf.exp(flat - tf.reduce_max(flat, axis=1, keepdims=True))
    total = tf.reduce_sum(peaks, axis=1, keepdims=True)
    shares = tf.transpose(peaks / total, (0, 2, 1))
    return Detection(
        features=features,
        heatmaps=tf.reshape(peaks, (-1, side, side, count)),
        keypoints=tf.matmul(shares, cell_centres(side)),
        confidence=tf.reduce_max(shares, axis=2),
        part_logits=part_logits,
        parts=tf.nn.softmax(part_logits),
    )


def cell_centres(side: int) -> np.ndarray:
    """(side * side, 2) centres of a map's cells, [-1, 1], row by row."""
    y, x = np.mgrid[:side, :side]
    cells = np.stack([x.ravel(), y.ravel()], axis=1) + 0.5
    return (2 * cells / side - 1).astype(np.float32)
