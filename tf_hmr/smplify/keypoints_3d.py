"""3D keypoints of free origin and size, as a term of SMPLify.

Landmark networks estimate metres about the hips for a person of mean size:
which way each limb leans, but neither where the person stands nor how tall
they are.
"""

import tensorflow as tf

from tf_hmr import joints
from tf_hmr.smplify import priors

_TINY = 1e-6  # of a sum of weights, and of squared metres


def cleaned(
    keypoints: tf.Tensor, index: list[int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Selects keypoints; those that are not finite or known get weight 0.

    Args:
        keypoints: (B, 29, 4) in joints.KEYPOINTS order: x, y, z and weight.
        index: of the K to select.

    Returns:
        Metres (B, K, 3) and weights (B, K).

    Raises:
        ValueError: the keypoints have another shape.
    """
    keypoints = tf.cast(keypoints, tf.float32)
    expected = [None, len(joints.KEYPOINTS), 4]
    if not keypoints.shape.is_compatible_with(expected):
        raise ValueError(
            f"The 3D keypoints have shape {keypoints.shape}, expected (B, "
            f"{len(joints.KEYPOINTS)}, 4): x, y, z in metres and weight, in "
            "joints.KEYPOINTS order; those that are not known have weight 0."
        )
    keypoints = tf.gather(keypoints, index, axis=1)
    metres, weights = keypoints[..., :3], keypoints[..., 3]
    finite = tf.math.is_finite(metres)
    is_known = tf.reduce_all(finite, axis=2) & (weights > 0)
    return (
        tf.where(finite, metres, 0.0),
        tf.where(is_known, weights, 0.0),
    )


def energy(
    points: tf.Tensor, metres: tf.Tensor, weights: tf.Tensor, sigma: float
) -> tf.Tensor:
    """Robust squared metres between a body's keypoints and estimated ones.

    The estimate is moved and scaled to the body by least squares, not turned.

    Args:
        points: (B, K, 3) of the bodies.
        metres: (B, K, 3) the estimate, of any origin and size for each body.
        weights: (B, K), 0 where not known.
        sigma: metres from which a keypoint counts as an outlier.

    Returns:
        (B,) sum over the keypoints, weighted.
    """
    weight = weights[..., None]
    total = tf.reduce_sum(weight, axis=1, keepdims=True) + _TINY

    def centred(values):
        return values - tf.reduce_sum(weight * values, 1, keepdims=True) / total

    body, estimate = centred(points), centred(metres)
    # The unit of the estimate must not matter beside the tiny number.
    spread = tf.reduce_sum(weight * estimate**2, (1, 2), keepdims=True)
    estimate *= tf.math.rsqrt(tf.maximum(spread, _TINY**2))
    scale = tf.reduce_sum(weight * body * estimate, (1, 2), keepdims=True)
    robust = priors.gmof(body - scale * estimate, sigma)
    return tf.reduce_sum(weight * robust, axis=(1, 2))
