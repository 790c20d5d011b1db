"""SMPL once more, the plain way: float64 numpy, 4x4 matrices, no shortcuts.

Written after Loper et al. 2015 (SMPL: A Skinned Multi-Person Linear Model),
equations 2 to 10; it shares no code with tf_hmr.body.model.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr.body.data import BodyData


class Posed(NamedTuple):
    vertices: np.ndarray  # (V, 3)
    skeleton: np.ndarray  # (J, 3)


def pose_body(data: BodyData, rotmats: np.ndarray, betas: np.ndarray) -> Posed:
    """One body (J, 3, 3), (P,)."""
    rotmats = np.asarray(rotmats, np.float64)
    shaped = data.v_template.astype(np.float64)
    for beta, direction in zip(betas, data.shapedirs.T, strict=True):
        shaped = shaped + beta * direction.T.astype(np.float64)
    rest = np.stack(
        [row.astype(np.float64) @ shaped for row in data.J_regressor]
    )

    bent = shaped.copy()
    feature = (rotmats[1:] - np.eye(3)).ravel()
    for weight, direction in zip(feature, data.posedirs, strict=True):
        bent += weight * direction.astype(np.float64)

    world = []
    for joint, parent in enumerate(data.parents):
        local = np.eye(4)
        local[:3, :3] = rotmats[joint]
        local[:3, 3] = rest[joint] - (rest[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    skeleton = np.stack([matrix[:3, 3] for matrix in world])

    to_bone = []
    for matrix, origin in zip(world, rest, strict=True):
        to_origin = np.eye(4)
        to_origin[:3, 3] = -origin
        to_bone.append(matrix @ to_origin)
    homogeneous = np.concatenate([bent, np.ones((len(bent), 1))], axis=1)
    vertices = np.zeros_like(bent)
    for matrix, weights in zip(to_bone, data.weights.T, strict=True):
        vertices += weights[:, None] * (homogeneous @ matrix.T)[:, :3]
    return Posed(vertices, skeleton)


def random_rotmats(
    rng: np.random.Generator,
    count: int,
    spread: float = 0.5,
    num_joints: int = 24,
) -> np.ndarray:
    """(count, J, 3, 3) float32; angles of about `spread` radians per axis."""
    rotvecs = rng.normal(0, spread, (count * num_joints, 3))
    rotmats = Rotation.from_rotvec(rotvecs).as_matrix()
    return rotmats.reshape(count, num_joints, 3, 3).astype(np.float32)


def random_betas(
    rng: np.random.Generator, count: int, num_betas: int = 10
) -> np.ndarray:
    """(count, num_betas) float32, standard normal as SMPL's shape space."""
    return rng.normal(size=(count, num_betas)).astype(np.float32)
