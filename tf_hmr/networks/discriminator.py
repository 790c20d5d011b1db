"""HMR's factorised adversary, which scores how human poses and shapes are.

Kanazawa et al., CVPR 2018, section 3.3 (akanazawa/hmr: src/models.py).
"""

import functools
from typing import Literal

import keras
import tensorflow as tf

from tf_hmr import joints

BODY_JOINTS = len(joints.SMPL24) - 1
"""Joints without the root, which HMR's checkpoints score."""

_BETAS = 10  # HMR's.


class Discriminator(keras.Model):
    """Scores each of the J - 1 joints, all together, and the shape.

    src/models.py Discriminator_separable_rotations. Float32 under any policy:
    its losses are squares of small differences.
    """

    def __init__(
        self,
        hidden: int,
        num_joints: int = len(joints.SMPL24),
        num_betas: int = _BETAS,
    ):
        """Sizes of the layers and of the body.

        Args:
            hidden: units of the two layers that see all joints together.
            num_joints: joints of the body, with the root (J).
            num_betas: betas of the body (P).
        """
        super().__init__(name="adversary", dtype="float32")
        self.scored, self.num_betas = num_joints - 1, num_betas
        dense = functools.partial(keras.layers.Dense, dtype="float32")
        self.conv1 = dense(32, "relu", name="conv1")
        self.conv2 = dense(32, "relu", name="conv2")
        self.all_fc1 = dense(hidden, "relu", name="all_fc1")
        self.all_fc2 = dense(hidden, "relu", name="all_fc2")
        self.all_out = dense(1, name="all_out")
        self.shape_fc1 = dense(10, "relu", name="shape_fc1")
        self.shape_fc2 = dense(5, "relu", name="shape_fc2")
        self.shape_out = dense(1, name="shape_out")

    def build(self, shape=None):
        self.joint_kernels = self.add_weight(
            shape=(self.scored, 32),
            # Glorot's limit for single layers from 32 inputs to one output.
            initializer=keras.initializers.RandomUniform(
                -((6 / 33) ** 0.5), (6 / 33) ** 0.5
            ),
            name="joint_kernels",
        )
        self.joint_biases = self.add_weight(
            shape=(self.scored,), initializer="zeros", name="joint_biases"
        )
        self.conv1.build((None, self.scored, 9))
        self.conv2.build((None, self.scored, 32))
        self.all_fc1.build((None, self.scored * 32))
        self.all_fc2.build((None, self.all_fc1.units))
        self.all_out.build((None, self.all_fc2.units))
        self.shape_fc1.build((None, self.num_betas))
        self.shape_fc2.build((None, self.shape_fc1.units))
        self.shape_out.build((None, self.shape_fc2.units))
        self.built = True

    def call(self, rotmats, betas):
        """(N, J, 3, 3), (N, P) -> (N, J + 1); the global rotation is free."""
        x = tf.reshape(rotmats[:, 1:], (-1, self.scored, 9))
        x = self.conv2(self.conv1(x))
        kernels = tf.cast(self.joint_kernels, x.dtype)
        joint_scores = tf.einsum("njc,jc->nj", x, kernels)
        joint_scores = joint_scores + tf.cast(self.joint_biases, x.dtype)
        pose_score = tf.reshape(x, (-1, self.scored * 32))
        pose_score = self.all_out(self.all_fc2(self.all_fc1(pose_score)))
        shape_score = self.shape_out(self.shape_fc2(self.shape_fc1(betas)))
        return tf.concat([joint_scores, pose_score, shape_score], axis=-1)


class JointDiscriminator(keras.Model):
    """Scores pose and shape as one: the variant section 3.3 argues against.

    Float32 under any policy, as Discriminator.
    """

    def __init__(
        self,
        hidden: int,
        num_joints: int = len(joints.SMPL24),
        num_betas: int = _BETAS,
    ):
        """Makes the layers; arguments as Discriminator's."""
        super().__init__(name="adversary", dtype="float32")
        self.scored, self.num_betas = num_joints - 1, num_betas
        dense = functools.partial(keras.layers.Dense, dtype="float32")
        self.fc1 = dense(hidden, "relu", name="fc1")
        self.fc2 = dense(hidden, "relu", name="fc2")
        self.out = dense(1, name="out")

    def build(self, shape=None):
        self.fc1.build((None, self.scored * 9 + self.num_betas))
        self.fc2.build((None, self.fc1.units))
        self.out.build((None, self.fc2.units))
        self.built = True

    def call(self, rotmats, betas):
        """(N, J, 3, 3), (N, P) -> (N, 1); the global rotation is free."""
        pose = tf.reshape(rotmats[:, 1:], (-1, self.scored * 9))
        x = tf.concat([pose, betas], axis=-1)
        return self.out(self.fc2(self.fc1(x)))


Kind = Literal["factorised", "joint"]
KINDS = {"factorised": Discriminator, "joint": JointDiscriminator}
