"""SMPLR's networks from points to a body, as one layer."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.geometry import bones, nearest_rotation
from tf_hmr.networks import denoiser, reversed_smpl

# Enough for matrices of a network, which are noisy rotations.
SQUARINGS = 10


class BodyEstimate(NamedTuple):
    """What the networks read from points."""

    points: tf.Tensor
    """(B, 41, 3) denoised, metres about the pelvis."""
    betas: tf.Tensor
    """(B, P)."""
    gender: tf.Tensor
    """(B, 1), negative for women, positive for men."""
    matrices: tf.Tensor
    """(B, 24, 3, 3) of the network, no rotations."""
    rotmats: tf.Tensor
    """(B, 24, 3, 3) the nearest rotations."""


class Regressor(keras.layers.Layer):
    """Denoiser, Psi and Omega, each without batch statistics of its own.

    They are trained alone (_smplr_parts), and then stay as they are.
    """

    def __init__(
        self,
        template: np.ndarray,
        num_betas: int,
        hidden: int,
        dropout: float,
        denoise: bool,
    ):
        """Makes the networks.

        Args:
            template: (41,) bone lengths of the body's mean shape, metres.
            num_betas: of the body (P).
            hidden: units of the widest layers.
            dropout: in the denoiser.
            denoise: whether there is one.
        """
        super().__init__(name="regressor", dtype="float32")
        self.template = np.float32(template)
        self.denoiser = None
        if denoise:
            self.denoiser = denoiser.Denoiser(
                hidden=hidden, rate=dropout, identity=True
            )
        self.shape = reversed_smpl.ShapeRegressor(num_betas, hidden=hidden)
        self.pose = reversed_smpl.PoseRegressor(hidden=hidden)

    def build(self, input_shape=None):
        """Layers make their variables when first called."""
        self.built = True

    def shape_features(self, points: tf.Tensor) -> tf.Tensor:
        """(B, 41, 3) -> (B, 41) bone lengths less the template's."""
        return bones.lengths_and_directions(points)[0] - self.template

    def pose_features(self, points: tf.Tensor) -> tf.Tensor:
        """(B, 41, 3) -> (B, 41, 3) directions of the bones."""
        return bones.lengths_and_directions(points)[1]

    def call(self, points: tf.Tensor, denoise: bool = True) -> BodyEstimate:
        """Reads a body from points.

        Args:
            points: (B, 41, 3) metres about the pelvis.
            denoise: whether they go through the denoiser, if there is one.
        """
        if denoise and self.denoiser is not None:
            points = self.denoiser(points, training=False)
        lengths, directions = bones.lengths_and_directions(points)
        numbers = self.shape(lengths - self.template, training=False)
        matrices = self.pose(directions, training=False)
        return BodyEstimate(
            points,
            numbers[:, :-1],
            numbers[:, -1:],
            matrices,
            nearest_rotation.nearest_rotation(matrices, SQUARINGS),
        )
