"""Losses of volumes against dense targets in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.networks import volume_losses, volume_targets, volumetric_hourglass

SIZES = (10, 8, 4)  # Columns, rows, bins.
POINTS = len(joints.SMPLR41)
MAPS = POINTS + 4
LOSSES = {
    "softmax": volume_losses.softmax_cross_entropy,
    "limbs": volume_losses.limb_cross_entropy,
    "sigmoid": volume_losses.sigmoid_code,
}


@pytest.fixture
def volume(rng):
    """Logits (2, rows, columns, bins, maps)."""
    width, height, bins = SIZES
    return rng.normal(size=(2, height, width, bins, MAPS)).astype(np.float32)


@pytest.fixture
def points(rng):
    """One of them far outside the cube, two coincident."""
    points = rng.uniform(-0.4, 0.4, (2, POINTS, 3))
    points[1, 5] = (1.4, 0, 0)
    points[0, joints.SMPLR41.index("left_hand")] = points[
        0, joints.SMPLR41.index("left_wrist")
    ]
    return points.astype(np.float32)


def grid() -> np.ndarray:
    """(rows, columns, bins, 3) x, y, z of each voxel."""
    rows, columns, bins = np.meshgrid(
        np.arange(SIZES[1]),
        np.arange(SIZES[0]),
        np.arange(SIZES[2]),
        indexing="ij",
    )
    return np.stack([columns, rows, bins], axis=-1).astype(np.float64)


def indices(points) -> np.ndarray:
    return (points.astype(np.float64) + 0.5) * SIZES


def gaussian_maps(points) -> np.ndarray:
    """(B, rows, columns, bins, P) densities."""
    centres = indices(points)[:, None, None, None]
    offsets = grid()[..., np.newaxis, :] - centres
    squares = (offsets**2).sum(-1)
    return np.exp(-squares / 2) / (2 * np.pi) ** 1.5


def segment_distances(points) -> list[np.ndarray]:
    """(B, segments, rows, columns, bins) of each limb, squared."""
    limbs = []
    for limb in volumetric_hourglass.LIMBS.values():
        distances = []
        for name in limb:
            ends = (joints.SMPL24_PARENTS[name], name)
            rows = list(joints.select(ends, joints.SMPLR41))
            first, last = indices(points)[:, rows].swapaxes(0, 1)
            first = first[:, None, None, None]
            step = last[:, None, None, None] - first
            along = ((grid() - first) * step).sum(-1)
            share = np.clip(along / ((step**2).sum(-1) + 1e-5), 0, 1)
            nearest = first + share[..., np.newaxis] * step
            distances.append(((grid() - nearest) ** 2).sum(-1))
        limbs.append(np.stack(distances, axis=1))
    return limbs


def limb_maps(points) -> np.ndarray:
    maps = []
    for distances in segment_distances(points):
        density = np.exp(-distances / 2).max(1)
        total = density.sum((1, 2, 3), keepdims=True)
        maps.append(density / np.maximum(total, 1))
    return np.stack(maps, axis=-1)


def flat_limb_maps(points) -> np.ndarray:
    maps = []
    for distances in segment_distances(points):
        weights = np.exp(1 / (1 + distances))
        weights /= weights.sum((2, 3, 4), keepdims=True)
        maps.append(weights.max(1))
    return np.stack(maps, axis=-1)


def dense_loss(name, volume, points) -> np.ndarray:
    """(B, maps of the loss) in float64."""
    volume = volume.astype(np.float64)
    axes = (1, 2, 3)
    if name == "sigmoid":
        targets = [gaussian_maps(points), flat_limb_maps(points)]
        targets = np.concatenate(targets, axis=-1)
        terms = np.logaddexp(0, volume) - targets * volume
        return terms.sum(axes)
    if name == "limbs":
        volume, targets = volume[..., POINTS:], limb_maps(points)
    else:
        volume, targets = volume[..., :POINTS], gaussian_maps(points)
    normalizer = np.log(np.exp(volume).sum(axes, keepdims=True))
    return (targets * (normalizer - volume)).sum(axes)


def flat(volume) -> tf.Tensor:
    """Channels as the networks give them."""
    width, height, bins = SIZES
    return tf.reshape(volume, (-1, height, width, bins * MAPS))


@pytest.mark.parametrize("name", LOSSES)
def test_is_the_dense_loss(name, volume, points):
    total, count = LOSSES[name](
        flat(volume), points, np.ones((2, POINTS)), SIZES[2]
    )
    expected = dense_loss(name, volume, points)
    assert_close("loss", total, expected.sum(1))
    numbers = expected.shape[1]
    if name == "sigmoid":
        numbers *= np.prod(SIZES)
    assert_close("exact", count, [numbers, numbers])


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_finite_differences(name, volume, points, rng):
    weights = np.array([1.0, -2.0], np.float32)

    def score(volume):
        total, _ = LOSSES[name](
            flat(volume), points, np.ones((2, POINTS)), SIZES[2]
        )
        return tf.reduce_sum(weights * total)

    volume = tf.constant(volume)
    with tf.GradientTape() as tape:
        tape.watch(volume)
        value = score(volume)
    gradient = tape.gradient(value, volume).numpy().astype(np.float64)
    for _ in range(3):
        direction = rng.normal(size=volume.shape)
        values = [
            (weights * dense_loss(name, shifted, points).sum(1)).sum()
            for sign in (1, -1)
            for shifted in [volume.numpy() + sign * 1e-4 * direction]
        ]
        difference = (values[0] - values[1]) / 2e-4
        assert_close("first_order", (gradient * direction).sum(), difference)


@pytest.mark.parametrize("name", LOSSES)
def test_a_missing_label_teaches_nothing(name, volume, points):
    """NaN under flag 0; a limb goes when one of its points does."""
    missing = joints.SMPLR41.index("left_elbow")
    flags = np.ones((2, POINTS))
    flags[0, missing] = 0
    flags[1] = 0
    nan_points = points.copy()
    nan_points[flags == 0] = np.nan
    logits = flat(volume)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, count = LOSSES[name](logits, nan_points, flags, SIZES[2])
    gradient = tape.gradient(total, logits).numpy()
    gradient = gradient.reshape(volume.shape)
    expected = dense_loss(name, volume, points)[0]
    first_limb = {"softmax": None, "limbs": 0, "sigmoid": POINTS}[name]
    # The left arm is the second limb.
    dropped = [] if first_limb is None else [first_limb + 1]
    dropped += [] if name == "limbs" else [missing]
    expected = np.delete(expected, dropped)
    assert_close("loss", total, [expected.sum(), 0])
    voxels = np.prod(SIZES) if name == "sigmoid" else 1
    assert_close("exact", count, [voxels * len(expected), 0])
    assert np.isfinite(gradient).all() and not gradient[1].any()
    if name != "limbs":
        assert not gradient[0, ..., missing].any()
    if name != "softmax":
        assert not gradient[0, ..., POINTS + 1].any()


def test_the_least_value_is_a_gaussians_entropy():
    """Reached by its logarithm, of a point well inside."""
    sizes, position = (32, 32, 32), tf.constant([[[0.1, -0.05, 0.02]]])
    column, row, depth = volume_targets.gaussians(position, sizes)
    density = (
        row[:, :, None, None] * column[:, None, :, None] * depth[:, None, None]
    )
    logits = tf.math.log(tf.maximum(density, 1e-30))
    logits = tf.reshape(logits, (1, 32, 32, 32))
    total, count = volume_losses.softmax_cross_entropy(
        logits, position, [[1]], 32
    )
    assert_close("loss", total / count, [volume_losses.LEAST])


def test_what_is_outside_is_counted_and_teaches_next_to_nothing(volume):
    logits = flat(volume)
    positions = tf.constant(np.full((2, POINTS, 3), 7.0), tf.float32)
    for loss in (LOSSES["softmax"], LOSSES["limbs"]):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total, count = loss(
                logits, positions, np.ones((2, POINTS)), SIZES[2]
            )
        assert (count.numpy() > 0).all()
        assert not np.any(total) and not np.any(tape.gradient(total, logits))


def test_places_without_measure_are_finite(volume):
    """Largest float32 numbers, and points that are all one."""
    for value in (3e38, 0.0):
        positions = np.full((2, POINTS, 3), value, np.float32)
        for loss in LOSSES.values():
            total, _ = loss(
                flat(volume), positions, np.ones((2, POINTS)), SIZES[2]
            )
            assert np.isfinite(total).all()


def test_maps_of_limbs_follow_the_limbs(points):
    """Their largest voxels lie on the segments; the code's maps are flat."""
    densities = volume_targets.limb_densities(tf.constant(points), SIZES)
    flat_maps = volume_targets.code_limbs(tf.constant(points), SIZES)
    assert_close("loss", densities, limb_maps(points))
    assert_close("loss", flat_maps, flat_limb_maps(points))
    for limb, distances in enumerate(segment_distances(points)):
        for example in range(2):
            peak = densities[example, ..., limb].numpy().argmax()
            nearest = distances[example].min(0)
            assert nearest.reshape(-1)[peak] == nearest.min()
    ratio = tf.reduce_max(flat_maps) / tf.reduce_min(flat_maps)
    assert ratio < 3 < tf.reduce_max(densities) * np.prod(SIZES)


def test_limbs_need_their_maps_and_points(volume, points):
    logits = flat(volume)
    with pytest.raises(ValueError, match="41 points.*got 40 points"):
        volume_losses.limb_cross_entropy(
            logits, points[:, 1:], np.ones((2, 40)), SIZES[2]
        )
    with pytest.raises(ValueError, match="of 4 bins.*got 9"):
        volume_losses.softmax_cross_entropy(
            logits[..., :9], points, np.ones((2, POINTS)), SIZES[2]
        )
