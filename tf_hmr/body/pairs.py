"""A female and a male body, of which the sign of a gender chooses one.

SMPL's female and male bodies share their mesh, and differ in all else; betas
of one are another person on the other. Madadi et al. (SMPLR) predict a gender
beside the betas. The numbers of a pair's shape are the betas and the gender:
above 0 they are those of the male body.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_hmr.body.data import BodyData
from tf_hmr.body.edge import EdgeBody
from tf_hmr.body.model import Body, BodyMesh

_DOUBT = 1e-4
"""Genders nearer to 0 mix both bodies; float16 has such numbers."""


class BodyPair:
    """Two bodies that are called like one.

    Attributes:
        data: of pair_data.join.
        female, male: the bodies.
        joint_names: the keypoints of its output.
        num_betas: number of its betas and the gender.
        jit: as of Body.
    """

    def __init__(
        self, data: BodyData, female: Body | EdgeBody, male: Body | EdgeBody
    ):
        """Takes the bodies of the halves of a pair."""
        self.data, self.female, self.male = data, female, male
        self.joint_names = female.joint_names
        self.num_betas = data.num_betas + 1
        self.jit = getattr(female, "jit", False)

    def __call__(self, rotmats: tf.Tensor, betas: tf.Tensor) -> BodyMesh:
        """Poses the bodies.

        Args:
            rotmats: (B, J, 3, 3) as of Body.
            betas: (B, P + 1) shape and gender; (B, P) is the female body's,
                as of a mean shape, which has no gender.

        Returns:
            BodyMesh, float32.

        Raises:
            ValueError: as of Body.
        """
        shape, is_male = self._split(betas)
        pair = self.female(rotmats, shape), self.male(rotmats, shape)
        return BodyMesh(*_select(is_male, *pair))

    def keypoints(
        self, rotmats: tf.Tensor, betas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes `joints` and `skeleton` of a call, without its vertices."""
        shape, is_male = self._split(betas)
        bodies = self.female, self.male
        return _select(is_male, *(b.keypoints(rotmats, shape) for b in bodies))

    def _split(self, betas) -> tuple[tf.Tensor, tf.Tensor]:
        """Betas (B, P), and (B, 1, 1) 1 where they are the male body's."""
        betas, count = tf.cast(betas, tf.float32), self.data.num_betas
        if betas.shape[-1] == count:
            return betas, tf.zeros_like(betas[:, :1, tf.newaxis])
        # In operators of GPU delegates, which do not compare.
        gender = tf.stop_gradient(betas[:, count:])
        is_male = tf.nn.relu(gender) / tf.maximum(tf.abs(gender), _DOUBT)
        batch = -1 if betas.shape[0] is None else betas.shape[0]
        return betas[:, :count], tf.reshape(is_male, (batch, 1, 1))


def _select(is_male, female, male) -> tuple[tf.Tensor, ...]:
    """Those (B, N, 3) of one body."""
    return tuple(
        (1.0 - is_male) * women + is_male * men
        for women, men in zip(female, male, strict=True)
    )


def make(
    data: BodyData, build: Callable[[BodyData], Body | EdgeBody]
) -> Body | EdgeBody | BodyPair:
    """Builds the body of its numbers, or a pair of bodies.

    Args:
        data: of pair_data.load.
        build: makes one body.
    """
    if data.male is None:
        return build(data)
    female = dataclasses.replace(data, male=None)
    return BodyPair(data, build(female), build(data.male))
