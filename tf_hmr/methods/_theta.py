"""Theta, the row of numbers that HMR and SPIN regress.

Camera 3, rotations 3 or 6 for each joint, betas, in this order
(akanazawa/hmr: src/models.py).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr.body.model import Body
from tf_hmr.geometry import rotations

CAMERA = 3
# Scale 0.9 at the centre: akanazawa/hmr: src/trainer.py load_mean_param.
START_CAMERA = (0.9, 0.0, 0.0)

RotationName = Literal["rotvec", "6d", "6d_interleaved"]


class Rotation(NamedTuple):
    """Representation of a joint's rotation in theta."""

    numbers: int
    encode: Callable[[tf.Tensor], tf.Tensor]
    decode: Callable[[tf.Tensor], tf.Tensor]


ROTATIONS: dict[RotationName, Rotation] = {
    "rotvec": Rotation(
        3, rotations.rotmat_to_rotvec, rotations.rotvec_to_rotmat
    ),
    "6d": Rotation(
        6, rotations.rotmat_to_rot6d_stacked, rotations.rot6d_stacked_to_rotmat
    ),
    "6d_interleaved": Rotation(
        6,
        rotations.rotmat_to_rot6d_interleaved,
        rotations.rot6d_interleaved_to_rotmat,
    ),
}


def upright_rotmats(body: Body) -> np.ndarray:
    """Rotations (J, 3, 3) of the rest pose, upright and facing the camera.

    A half turn about x, as the body is y-up and the camera's y points down.
    """
    rotmats = np.tile(np.eye(3, dtype=np.float32), (body.data.num_joints, 1, 1))
    rotmats[0] = np.diag([1.0, -1.0, -1.0])
    return rotmats


def encode(body: Body, rotation: RotationName, rotmats, betas) -> np.ndarray:
    """Encodes a body seen by START_CAMERA as theta (N,).

    Args:
        body: gives the numbers of joints and betas.
        rotation: form of the rotations.
        rotmats: (J, 3, 3); None is `upright_rotmats`.
        betas: (num_betas,); None is zeros.
    """
    rotmats = upright_rotmats(body) if rotmats is None else rotmats
    rotmats = tf.constant(np.asarray(rotmats, np.float32))
    pose = ROTATIONS[rotation].encode(rotmats).numpy().ravel()
    betas = np.zeros(body.num_betas) if betas is None else np.asarray(betas)
    return np.concatenate([START_CAMERA, pose, betas])


def input_names(true_root: bool) -> tuple[str, ...]:
    """Inputs of a method that estimates the global rotation, or reads it."""
    return ("image", "global_rotation") if true_root else ("image",)


def with_root(theta, root):
    """Replaces the global rotation in rows of theta.

    Args:
        theta: (B, N).
        root: (B, n) numbers of the rotation's form; None replaces nothing.

    Returns:
        (B, N).
    """
    if root is None:
        return theta
    end = CAMERA + root.shape[-1]
    return tf.concat([theta[:, :CAMERA], root, theta[:, end:]], axis=-1)


def decode(body: Body, rotation: RotationName, theta):
    """Splits rows of theta.

    Args:
        body: gives the numbers of joints and betas.
        rotation: form of the rotations.
        theta: (B, N).

    Returns:
        Camera (B, 3), rotmats (B, J, 3, 3), betas (B, num_betas).
    """
    form, joints = ROTATIONS[rotation], body.data.num_joints
    end = CAMERA + form.numbers * joints
    pose = tf.reshape(theta[:, CAMERA:end], (-1, joints, form.numbers))
    betas = theta[:, end : end + body.num_betas]
    return theta[:, 0:CAMERA], form.decode(pose), betas
