"""Rotations and skinning against tensorflow-graphics: `make test-oracle`.

Quaternions are (x, y, z, w) there and (w, x, y, z) here.
"""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_graphics.geometry.transformation import (
    axis_angle,
    linear_blend_skinning,
    quaternion,
    rotation_matrix_3d,
)

from tests.support.closeness import assert_close
from tests.support.reference_body import random_betas, random_rotmats
from tf_hmr.geometry import rotations

pytestmark = pytest.mark.oracle

ANGLES = (0.0, 1e-4, 0.01, 0.5, 1.5, 2.5, 3.1, np.pi - 1e-3)


@pytest.fixture
def turns(rng) -> tuple[np.ndarray, np.ndarray]:
    """Axes (8 * 50, 3) of length one and angles (8 * 50, 1) in radians."""
    axes = rng.normal(size=(len(ANGLES) * 50, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.repeat(ANGLES, 50)[:, None]
    return axes.astype(np.float32), angles.astype(np.float32)


def to_wxyz(quat_xyzw) -> np.ndarray:
    return np.roll(np.asarray(quat_xyzw), 1, axis=-1)


def to_xyzw(quat_wxyz) -> np.ndarray:
    return np.roll(np.asarray(quat_wxyz), -1, axis=-1)


def same_sign(quat, like) -> np.ndarray:
    """q and -q are one rotation."""
    sign = np.sign(np.sum(np.asarray(quat) * like, axis=-1, keepdims=True))
    return quat * sign


def test_rotvec_to_rotmat(turns):
    axes, angles = turns
    expected = rotation_matrix_3d.from_axis_angle(axes, angles)
    actual = rotations.rotvec_to_rotmat(axes * angles)
    assert_close("oracle_rotation", actual, expected)
    assert rotation_matrix_3d.is_valid(actual).numpy().all()


def test_rotvec_to_quat(turns):
    axes, angles = turns
    expected = to_wxyz(quaternion.from_axis_angle(axes, angles))
    actual = rotations.rotvec_to_quat_wxyz(axes * angles)
    assert_close("oracle_rotation", same_sign(actual, expected), expected)


def test_quat_to_rotmat(turns):
    quat = rotations.rotvec_to_quat_wxyz(turns[0] * turns[1])
    expected = rotation_matrix_3d.from_quaternion(to_xyzw(quat))
    assert_close(
        "oracle_rotation", rotations.quat_wxyz_to_rotmat(quat), expected
    )


def test_rotmat_to_quat(turns):
    rotmats = rotation_matrix_3d.from_axis_angle(*turns)
    expected = to_wxyz(quaternion.from_rotation_matrix(rotmats))
    actual = rotations.rotmat_to_quat_wxyz(rotmats)
    assert_close("oracle_rotation", same_sign(actual, expected), expected)


def test_rotmat_to_rotvec(turns):
    # The axis is lost in float32 near 0 and near pi on both sides.
    clear = (turns[1][:, 0] > 0.1) & (turns[1][:, 0] < 3)
    rotmats = rotation_matrix_3d.from_axis_angle(
        turns[0][clear], turns[1][clear]
    )
    axes, angles = axis_angle.from_rotation_matrix(rotmats)
    actual = rotations.rotmat_to_rotvec(rotmats)
    assert_close("oracle_angle", actual, axes * angles)


def test_geodesic_distance(turns):
    a = rotations.rotvec_to_rotmat(turns[0] * turns[1])
    b = rotations.rotvec_to_rotmat(turns[0][::-1] * turns[1][::-1])
    relative = quaternion.from_rotation_matrix(
        tf.matmul(a, b, transpose_a=True)
    )
    _, angles = axis_angle.from_quaternion(quaternion.normalize(relative))
    expected = np.abs(angles.numpy()[:, 0])
    clear = (expected > 0.1) & (expected < 3)
    actual = rotations.geodesic_distance(a, b).numpy()
    assert clear.sum() > 100
    assert_close("oracle_angle", actual[clear], expected[clear])


def test_skinning(body, body_data, rng):
    """Our vertices against blend() of the same shaped and bent body."""
    count = 3
    rotmats, betas = random_rotmats(rng, count), random_betas(rng, count)
    mesh = body(rotmats, betas)
    skeleton = mesh.skeleton.numpy()
    rest = body(np.tile(np.eye(3), (count, 24, 1, 1)), betas)
    feature = (rotmats[:, 1:] - np.eye(3)).reshape(count, -1)
    bent = rest.vertices.numpy() + np.einsum(
        "bf,fvc->bvc", feature, body_data.posedirs
    )
    world = [rotmats[:, 0]]
    for joint, parent in list(enumerate(body_data.parents))[1:]:
        world.append(world[parent] @ rotmats[:, joint])
    world = np.stack(world, axis=1).astype(np.float32)
    # A bone's motion takes its joint from its rest place to its posed place.
    rotated_joints = np.einsum("bjrc,bjc->bjr", world, rest.skeleton)
    shifts = (skeleton - rotated_joints).astype(np.float32)
    for i in range(count):
        expected = linear_blend_skinning.blend(
            bent[i].astype(np.float32),
            body_data.weights,
            world[i],
            shifts[i],
        )
        assert_close("oracle_metres", mesh.vertices[i], expected)
