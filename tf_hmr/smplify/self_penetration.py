"""Energy of a body whose parts penetrate each other.

Bogo et al. 2016, section 3.2: the parts' capsules are filled with spheres,
whose centres and radii follow the betas. The energy of two spheres, of parts
that do not touch at rest, grows as they approach.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.body import capsules
from tf_hmr.body import model as bodies
from tf_hmr.body.data import BodyData

# A sphere's Gaussian is this many times narrower than its radius.
_NARROWER = 3
_MIN_M = 1e-3


class _Spheres(NamedTuple):
    """N spheres on the resting body: centres and radii in one array."""

    rows: np.ndarray  # (N, 4)
    parts: list[str]
    bones: list[str]


class SelfPenetration:
    """Self-penetration energy of one body."""

    def __init__(self, body: bodies.Body):
        """Fills the body's parts with spheres; not inside a tf.function.

        Raises:
            ValueError: a part of the body has no skin of its own.
        """
        self._body = body
        data = body.data
        mean, blends = _spheres(data), _blends(data)
        names = data.joint_names
        bones = np.eye(len(names))[list(joints.select(mean.bones, of=names))]
        # Constants must be eager even when a graph is being traced.
        with tf.init_scope():
            self._template = tf.constant(mean.rows, tf.float32)
            self._blends = tf.constant(blends, tf.float32)
            self._bones = tf.constant(bones, tf.float32)
            self._pairs = tf.constant(_pairs(mean.parts), tf.float32)

    def __call__(self, rotmats: tf.Tensor, betas: tf.Tensor) -> tf.Tensor:
        """Sums exp(-d^2 / (s_i^2 + s_j^2)) over pairs of spheres.

        d is the distance of their centres, s a third of a radius. No gradient
        flows to the betas: a body would grow thin to avoid itself.

        Args:
            rotmats: (B, J, 3, 3) relative to the parent.
            betas: (B, P).

        Returns:
            (B,), below 1e-3 for a body whose limbs do not touch.
        """
        centres, radii = self.spheres(rotmats, betas)
        # In the pelvis's frame, so that float32 is precise enough for the
        # difference of squares.
        square = tf.reduce_sum(centres * centres, axis=2)
        product = tf.matmul(centres, centres, transpose_b=True)
        distance = square[:, :, None] + square[:, None] - 2 * product
        narrow = tf.square(radii / _NARROWER)
        width = narrow[:, :, None] + narrow[:, None]
        return tf.reduce_sum(
            self._pairs * tf.exp(-distance / width), axis=[1, 2]
        )

    def spheres(
        self, rotmats: tf.Tensor, betas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Centres (B, N, 3) and radii (B, N), metres; arguments as call's."""
        rotmats, betas = bodies.cast_arguments(self._body.data, rotmats, betas)
        betas = tf.stop_gradient(betas)
        rotations, origins = self._body.bones(rotmats, betas)
        count = len(self._template)
        rest = tf.reshape(tf.matmul(betas, self._blends), [-1, count, 4])
        rest += self._template
        sphere_rotations = tf.einsum("nk,bkij->bnij", self._bones, rotations)
        sphere_origins = tf.einsum("nk,bkio->bnio", self._bones, origins)
        centres = (
            tf.matmul(sphere_rotations, rest[..., :3, None]) + sphere_origins
        )
        return centres[..., 0], tf.maximum(rest[..., 3], _MIN_M)


def _spheres(data: BodyData, vertices: np.ndarray | None = None) -> _Spheres:
    rows, parts, bones = [], [], []
    # The count is the same for all shapes: so many that neighbours of the mean
    # shape are within a radius of each other.
    for mean, capsule in zip(
        capsules.measure(data),
        capsules.measure(data, vertices),
        strict=True,
    ):
        length = np.linalg.norm(mean.end - mean.start)
        count = 1 + int(np.ceil(length / mean.radius))
        centres = np.linspace(capsule.start, capsule.end, count)
        radii = np.full((count, 1), capsule.radius)
        rows.append(np.concatenate([centres, radii], axis=1))
        parts += [capsule.name] * count
        bones += [capsule.joint] * count
    return _Spheres(np.concatenate(rows), parts, bones)


def _blends(data: BodyData) -> np.ndarray:
    """(P, 4 N) change per beta, by central differences.

    Centres are linear in the betas except the head's; radii, medians and
    extents are nearly linear.
    """
    blends = []
    for direction in np.moveaxis(data.shapedirs, 2, 0):
        larger, smaller = (
            _spheres(data, data.v_template + sign * direction).rows
            for sign in (1, -1)
        )
        blends.append((larger - smaller).reshape(-1) / 2)
    return np.array(blends)


def _pairs(parts: list[str]) -> np.ndarray:
    """(N, N) 1 for each pair that may collide, once, else 0."""
    names = sorted(set(parts))
    may_collide = {
        (a, b): not capsules.may_touch(a, b)
        for a in names
        for b in names
        if a != b
    }
    return np.triu(
        [[may_collide.get((a, b), False) for b in parts] for a in parts]
    )
