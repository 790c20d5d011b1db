"""Nearest rotations against the SVD in float64."""

import numpy as np
import pytest
import tensorflow as tf

from edge import lint, operators
from tests.support import tflite_graphs
from tests.support.closeness import assert_close
from tf_hmr.geometry import nearest_rotation as nearest
from tf_hmr.geometry import rotations

COUNT = 10_000


def turns(rng, count=COUNT):
    """Rotations of all directions, (count, 3, 3)."""
    return rotations.nearest_rotmat(rng.normal(size=(count, 3, 3)))


def with_singular_values(rng, values):
    """u diag(values) v^T of rotations u and v."""
    count = len(values)
    scaled = turns(rng, count) * values[:, np.newaxis]
    return scaled @ turns(rng, count).swapaxes(1, 2)


def random(rng):
    """Half of them are mirrored, with s2 well above s3."""
    matrices = rng.normal(size=(2 * COUNT, 3, 3))
    s1, s2, s3 = np.linalg.svd(matrices)[1].T
    mirrored = np.linalg.det(matrices) < 0
    return matrices[~mirrored | (s2 - s3 > 0.05 * s1)][:COUNT]


def nearly_flat(rng):
    values = np.ones((COUNT, 3))
    values[:, 1] = rng.uniform(0.2, 1, COUNT)
    values[:, 2] = 10 ** rng.uniform(-6, -1, COUNT)
    return with_singular_values(rng, values)


def noisy_rotations(rng):
    return turns(rng) + 0.3 * rng.normal(size=(COUNT, 3, 3))


def mirrored(rng):
    """Negative determinant; s2 exceeds s3 by more than 0.05 s1."""
    values = np.ones((COUNT, 3))
    values[:, 1] = rng.uniform(0.1, 1, COUNT)
    values[:, 2] = -rng.uniform(0, 1, COUNT) * (values[:, 1] - 0.05)
    return with_singular_values(rng, values)


def nearly_collinear(rng):
    values = np.ones((COUNT, 3))
    values[:, 1] = 10 ** rng.uniform(-3, -1, COUNT)
    values[:, 2] = values[:, 1] * rng.uniform(0, 0.5, COUNT)
    return with_singular_values(rng, values)


# Largest angle to the SVD's rotation, degrees.
KINDS = {
    random: 1e-3,
    nearly_flat: 1e-3,
    noisy_rotations: 1e-3,
    mirrored: 1e-3,
    nearly_collinear: 0.02,
}


def found_rotations(matrices) -> np.ndarray:
    matrices = tf.constant(np.asarray(matrices)[np.newaxis], tf.float32)
    return nearest.nearest_rotation(matrices)[0].numpy().astype(np.float64)


def degrees(a, b) -> np.ndarray:
    """Angles between rotations, exact for small ones."""
    half_chord = np.linalg.norm(a - b, axis=(1, 2)) / 8**0.5
    return np.degrees(2 * np.arcsin(np.minimum(half_chord, 1)))


def assert_rotations(matrices):
    identity = np.broadcast_to(np.eye(3), matrices.shape)
    assert_close("rotation", matrices @ matrices.swapaxes(1, 2), identity)
    assert (np.linalg.det(matrices) > 0).all()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_is_the_svds_rotation(kind, rng):
    matrices = kind(rng).astype(np.float32)
    actual = found_rotations(matrices)
    assert_rotations(actual)
    expected = rotations.nearest_rotmat(matrices)
    assert degrees(actual, expected).max() <= KINDS[kind]


def test_is_always_a_rotation(rng):
    """Of zero, lines, mirrored identities and matrices of any size."""
    line = np.outer([1.0, 2, 3], [0.5, -1, 2])
    degenerate = [np.zeros((3, 3)), -np.eye(3), line, np.diag([1.0, 1, -1])]
    degenerate += [np.diag(sign) for sign in ([1, -1, -1], [-1, -1, 1])]
    # Equal quaternion entries of opposite sign: two columns cancel.
    degenerate += list(
        rotations.rotvec_to_rotmat(
            tf.constant([[1.0, -1, 1], [-1, 1, -1]]) * 2 * np.pi / 3 / 3**0.5
        ).numpy()
    )
    sizes = [1e-30, 1e-10, 1e-6, 1e6, 1e15]
    degenerate += [size * rng.normal(size=(3, 3)) for size in sizes]
    actual = found_rotations(degenerate)
    assert_rotations(actual)
    assert_close("rotation", actual[0], np.eye(3))


def test_scale_does_not_matter(rng):
    matrices = rng.normal(size=(100, 3, 3))
    matrices = matrices[np.linalg.det(matrices) > 0]
    expected = rotations.nearest_rotmat(matrices)
    for scale in (1e-4, 1e4):
        assert degrees(found_rotations(scale * matrices), expected).max() < 1e-3


def test_gradient_is_that_of_finite_differences(rng):
    """In float64, of a function of all entries; finite also at zero."""
    weights = rng.normal(size=(1, 6, 3, 3))
    matrices = turns(rng, 6)[np.newaxis] + 0.3 * rng.normal(size=(1, 6, 3, 3))

    def score(matrices):
        return tf.reduce_sum(weights * nearest.nearest_rotation(matrices))

    matrices = tf.constant(matrices)
    with tf.GradientTape() as tape:
        tape.watch(matrices)
        value = score(matrices)
    gradient = tape.gradient(value, matrices)
    direction = tf.constant(rng.normal(size=(1, 6, 3, 3)))
    step = 1e-5 * direction
    difference = (score(matrices + step) - score(matrices - step)) / 2e-5
    expected = tf.reduce_sum(gradient * direction)
    assert_close("first_order", difference, expected)


def test_gradient_is_finite_where_no_rotation_is_nearest():
    matrices = tf.constant(
        [[np.zeros((3, 3)), -np.eye(3), np.diag([1.0, 0, 0])]], tf.float32
    )
    with tf.GradientTape() as tape:
        tape.watch(matrices)
        value = tf.reduce_sum(nearest.nearest_rotation(matrices)[..., 0])
    gradient = tape.gradient(value, matrices)
    # A square of 1e19 is too large for float32.
    assert np.isfinite(tf.linalg.global_norm([gradient]))
    assert np.abs(gradient).max() < 1e12


def test_converts_clean_within_300_operators(rng):
    content = tflite_graphs.converted(nearest.nearest_rotation, [(1, 24, 3, 3)])
    assert list(lint.faults(content)) == []
    assert len(list(operators.read(content))) <= 300
    matrices = noisy_rotations(rng)[:24].astype(np.float32)
    lite = tflite_graphs.run(content, [matrices[np.newaxis]])[0].astype(
        np.float64
    )
    expected = rotations.nearest_rotmat(matrices)
    assert degrees(lite, expected).max() <= 1e-3


def test_alignment_undoes_a_turn(rng):
    """Of the rows that have a weight: the others are turned otherwise."""
    points = rng.normal(size=(5, 41, 3))
    turn, others_turn = turns(rng, 5), turns(rng, 5)
    targets = points @ turn.swapaxes(1, 2) + rng.normal(size=(5, 1, 3))
    unweighted = slice(30, 41)
    targets[:, unweighted] = (
        points[:, unweighted] @ others_turn.swapaxes(1, 2) + 2
    )
    weights = rng.uniform(1, 2, (41, 1))
    weights[unweighted] = 0
    actual = nearest.aligning_rotation(
        tf.constant(points, tf.float32),
        tf.constant(targets, tf.float32),
        np.float32(weights / weights.sum()),
    )
    assert degrees(actual[:, 0].numpy(), turn).max() < 1e-3


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(B, K, 3, 3\), got \(5, 3, 3\)"):
        nearest.nearest_rotation(tf.zeros((5, 3, 3)))
