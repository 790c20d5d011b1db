"""The state that HUND's stages refine: a row of numbers, and the body in it.

Root 6, pose, betas, camera 3, in this order. The root and, without a prior, all
rotations are 6D (Zhou et al., CVPR 2019); with a prior the pose is its latent
vector. The camera's three numbers are the crop's scale and shift, so that a
step in them is a step in the picture at any distance.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import _theta
from tf_hmr.networks import pose_flow

_ROTATION, _CAMERA = 6, 3


class Estimate(NamedTuple):
    """The body of a state."""

    rotmats: tf.Tensor
    """(B, J, 3, 3) relative to the parent."""
    betas: tf.Tensor
    """(B, P)."""
    camera: tf.Tensor
    """(B, 3) scale, over 0, and shift (s, tx, ty) in the crop."""
    latent: tf.Tensor | None
    """(B, N) of the prior; None without one."""


class Layout:
    """Reads and writes states of a body."""

    def __init__(self, body: Body, prior: pose_flow.PoseFlow | None):
        """Takes the sizes of a body; with `prior`, poses are its latents."""
        self._body, self._prior = body, prior
        joints = body.data.num_joints
        pose = _ROTATION * (joints - 1) if prior is None else prior.numbers
        self._joints = joints
        self._pose_end = _ROTATION + pose
        self._betas_end = self._pose_end + body.num_betas
        self.size = self._betas_end + _CAMERA

    def decode(self, states: tf.Tensor) -> Estimate:
        """(B, n) -> Estimate; any numbers are a body before the camera."""
        root = tf.reshape(states[:, :_ROTATION], (-1, 1, _ROTATION))
        root = rotations.rot6d_stacked_to_rotmat(root)
        pose, latent = states[:, _ROTATION : self._pose_end], None
        if self._prior is None:
            pose = tf.reshape(pose, (-1, self._joints - 1, _ROTATION))
            rotmats = rotations.rot6d_stacked_to_rotmat(pose)
        else:
            latent, rotmats = pose, self._prior.rotmats(pose)
        raw = states[:, self._betas_end : self._betas_end + 1]
        scale = camera.positive_scale(raw)
        shift = states[:, self._betas_end + 1 : self.size]
        return Estimate(
            rotmats=tf.concat([root, rotmats], axis=1),
            betas=states[:, self._pose_end : self._betas_end],
            camera=tf.concat([scale, shift], axis=-1),
            latent=latent,
        )

    def encode(self, rotmats=None, betas=None) -> np.ndarray:
        """Encodes a body seen by _theta.START_CAMERA as a state (n,).

        Args:
            rotmats: (J, 3, 3); None is the rest pose, upright. With a prior
                only its root counts: the pose is latent zero, in the middle
                of those that the prior has learnt or is to learn.
            betas: (P,); None is zeros.
        """
        if rotmats is None:
            rotmats = _theta.upright_rotmats(self._body)
        rotmats = tf.constant(np.asarray(rotmats, np.float32))
        numbers = rotations.rotmat_to_rot6d_stacked(rotmats).numpy()
        pose = numbers[1:].ravel()
        if self._prior is not None:
            pose = np.zeros(self._prior.numbers)
        betas = np.zeros(self._body.num_betas) if betas is None else betas
        scale, *shift = _theta.START_CAMERA
        raw = camera.raw_scale(scale)
        return np.concatenate([numbers[0], pose, betas, [raw], shift])
