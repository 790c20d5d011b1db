"""Soft-argmax against float64, in TensorFlow and as a .tflite."""

import numpy as np
import pytest
import tensorflow as tf

from edge import lint
from tests.support import tflite_graphs
from tests.support.closeness import assert_close
from tf_hmr.networks import soft_argmax

SIZES = (64, 64, 16)  # Columns, rows, bins.
MAPS, POINTS = 45, 41
CUBE_MM = 2500


def exact(logits) -> np.ndarray:
    """(B, P, 3) in sides of the cube, in float64."""
    width, height, bins = SIZES
    logits = np.asarray(logits, np.float64)
    logits = logits.reshape(-1, height, width, bins, MAPS)[..., :POINTS]
    weights = np.exp(logits - logits.max((1, 2, 3), keepdims=True))
    weights /= weights.sum((1, 2, 3), keepdims=True)
    grids = [np.arange(size) / size - 0.5 for size in SIZES]
    means = [
        np.einsum(f"bhwdp,{axis}->bp", weights, grid)
        for axis, grid in zip("whd", grids, strict=True)
    ]
    return np.stack(means, axis=-1)


def flat(rng):
    return np.zeros((1, 64, 64, 16 * MAPS))


def noisy(rng):
    return rng.normal(size=(1, 64, 64, 16 * MAPS))


def peaked(rng):
    """Logarithms of Gaussians of one voxel, on a floor of e^-14."""
    width, height, bins = SIZES
    grid = np.meshgrid(*map(np.arange, (height, width, bins)), indexing="ij")
    centres = rng.uniform(1, np.array([height, width, bins]) - 2, (MAPS, 3))
    differences = np.stack(grid, -1)[..., np.newaxis, :] - centres
    logits = np.maximum(-0.5 * (differences**2).sum(-1), -14)
    return logits.reshape(1, height, width, bins * MAPS)


KINDS = (flat, noisy, peaked)


@pytest.fixture(scope="module")
def lite():
    width, height, bins = SIZES
    return tflite_graphs.converted(
        lambda logits: soft_argmax.soft_argmax(logits, bins, POINTS),
        [(1, height, width, bins * MAPS)],
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_is_exact_to_a_fraction_of_a_millimetre(kind, lite, rng):
    logits = kind(rng).astype(np.float32)
    ours = soft_argmax.soft_argmax(logits, SIZES[2], POINTS)
    for positions in (ours, tflite_graphs.run(lite, [logits])):
        error_mm = CUBE_MM * np.abs(positions - exact(logits))
        assert error_mm.max() <= 0.5 and error_mm.mean() <= 0.05


def test_converts_clean(lite):
    assert list(lint.faults(lite)) == []


def test_a_flat_map_is_half_a_voxel_off_the_middle():
    positions = soft_argmax.soft_argmax(tf.zeros((2, 8, 16, 4 * 3)), 4, 2)
    expected = np.broadcast_to([-1 / 32, -1 / 16, -1 / 8], (2, 2, 3))
    assert_close("ndc", positions, expected)


def test_axes_are_columns_rows_bins():
    """One voxel of each map that outweighs all others."""
    logits = np.zeros((1, 8, 16, 4, 3), np.float32)
    logits[0, 5, 3, 1, 0] = logits[0, 2, 9, 3, 1] = 100
    positions = soft_argmax.soft_argmax(logits.reshape(1, 8, 16, 12), 4, 2)
    expected = [
        [3 / 16 - 0.5, 5 / 8 - 0.5, 1 / 4 - 0.5],
        [9 / 16 - 0.5, 2 / 8 - 0.5, 3 / 4 - 0.5],
    ]
    assert_close("relative_place", positions[0], expected)


@pytest.mark.parametrize("size", [0.0, 1e4, 1e30])
def test_value_and_gradient_are_finite(size, rng):
    logits = tf.constant(size * rng.normal(size=(1, 8, 8, 12)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        positions = soft_argmax.soft_argmax(logits, 4, 3)
    assert np.isfinite(positions).all() and np.abs(positions).max() <= 0.5
    assert np.isfinite(tape.gradient(positions, logits)).all()


@pytest.mark.parametrize("bins, points", [(5, 2), (4, 4)])
def test_channels_that_do_not_fit_are_refused(bins, points):
    with pytest.raises(ValueError, match="12"):
        soft_argmax.soft_argmax(tf.zeros((1, 8, 8, 12)), bins, points)
