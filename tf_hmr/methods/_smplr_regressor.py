"""SMPLR's networks from points to a body, as one layer."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_hmr.geometry import bones, nearest_rotation
from tf_hmr.methods import _smplr_convention
from tf_hmr.networks import denoiser, reversed_smpl

# Enough for matrices of a network, which are noisy rotations.
_SQUARINGS = 10


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


def rotations_of(estimate: BodyEstimate) -> tf.Tensor:
    """(B, 24, 3, 3) rotations nearest to the matrices of the network."""
    return nearest_rotation.nearest_rotation(estimate.matrices, _SQUARINGS)


def without_depth(points: tf.Tensor) -> tf.Tensor:
    """(B, P, 3) of the camera's frame, with z = 0."""
    return points * [[[1.0, 1.0, 0.0]]]


class Regressor(keras.layers.Layer):
    """Denoiser, Psi and Omega, each without batch statistics of its own.

    They are trained alone (_smplr_parts), and then stay as they are.
    """

    def __init__(
        self,
        convention: _smplr_convention.Convention,
        num_betas: int,
        hidden: int,
        dropout: float,
        denoise: bool,
        points: int = 41,
    ):
        """Makes the networks.

        Args:
            convention: of the networks' coordinates.
            num_betas: of the body (P).
            hidden: units of the widest layers.
            dropout: in the denoiser.
            denoise: whether there is one.
            points: number of points.
        """
        super().__init__(name="regressor", dtype="float32")
        self._convention = convention
        self.denoiser = None
        if denoise:
            self.denoiser = denoiser.Denoiser(
                points, hidden, dropout, identity=True
            )
        self.shape = reversed_smpl.ShapeRegressor(num_betas, hidden=hidden)
        self.pose = reversed_smpl.PoseRegressor(hidden=hidden)

    def build(self, input_shape=None):
        """Layers make their variables when first called."""
        self.built = True

    def denoised(self, points: tf.Tensor, training: bool = False) -> tf.Tensor:
        """(B, 41, 3) noisy points, metres about the pelvis -> clean ones."""
        points = self._convention.to_network(points)
        return self._convention.to_camera(
            self.denoiser(points, training=training)
        )

    def shape_numbers(
        self, points: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """(B, 41, 3) points -> (B, P + 1) betas, then gender."""
        lengths, _ = bones.lengths_and_directions(points)
        return self.shape(
            lengths - self._convention.template, training=training
        )

    def matrices(self, points: tf.Tensor, training: bool = False) -> tf.Tensor:
        """(B, 41, 3) points -> (B, 24, 3, 3), no rotations."""
        points = self._convention.to_network(points)
        _, directions = bones.lengths_and_directions(points)
        matrices = self.pose(directions, training=training)
        return self._convention.matrices_to_camera(matrices)

    def call(self, points: tf.Tensor, denoise: bool = True) -> BodyEstimate:
        """Reads a body from points.

        Args:
            points: (B, 41, 3) metres about the pelvis.
            denoise: whether they go through the denoiser, if there is one.
        """
        if denoise and self.denoiser is not None:
            points = self.denoised(points)
        numbers, matrices = self.shape_numbers(points), self.matrices(points)
        return BodyEstimate(
            points,
            numbers[:, :-1],
            numbers[:, -1:],
            matrices,
        )
