"""Lengths and directions of the bones between SMPLR's points."""

import numpy as np
import pytest
import tensorflow as tf

from edge import lint
from tests.support import tflite_graphs
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.geometry import bones

ROWS = ("pelvis",) + joints.SMPLR41


def test_the_tree_is_that_of_the_listed_lengths():
    """Fathers as rows of 42; a father comes before its child or beside it."""
    assert joints.smplr41_parents()[:23] == joints.parents()[1:]
    assert joints.smplr41_parents()[23:] == (
        *(9, 9, 0, 0, 0, 2, 1, 29, 30, 10, 11, 22, 16, 36, 17, 38, 23, 15),
    )


def test_the_tree_is_its_mirror_image():
    parents = dict(zip(joints.SMPLR41, joints.smplr41_parents(), strict=True))
    for name, parent in parents.items():
        mirrored = ROWS[parents[joints.mirror_name(name)]]
        assert joints.mirror_name(ROWS[parent]) == mirrored


def test_bones_add_up_to_the_points(rng):
    """From the pelvis along each chain."""
    points = rng.normal(size=(3, 41, 3)).astype(np.float32)
    lengths, directions = bones.lengths_and_directions(points)
    vectors = lengths.numpy()[..., np.newaxis] * directions
    sums = np.zeros((3, 42, 3))
    for row, parent in enumerate(joints.smplr41_parents(), start=1):
        sums[:, row] = sums[:, parent] + vectors[:, row - 1]
    assert_close("body_metres", sums[:, 1:], points)
    norms = np.linalg.norm(directions, axis=-1)
    assert_close("relative_float32", norms, np.ones((3, 41)))


def test_coincident_points_are_finite_also_in_the_gradient(rng):
    points = rng.normal(size=(3, 41, 3)).astype(np.float32)
    points[1] = 0
    points[2, joints.SMPLR41.index("left_knee")] = points[
        2, joints.SMPLR41.index("left_hip")
    ]
    points = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        lengths, directions = bones.lengths_and_directions(points)
        value = tf.reduce_sum(lengths) + tf.reduce_sum(directions**2)
    gradient = tape.gradient(value, points)
    for tensor in (lengths, directions, gradient):
        assert np.isfinite(tensor).all()
    assert not np.any(directions[1]) and lengths[1].numpy().max() < 2e-6


def test_converts_clean():
    def recombined(points):
        lengths, directions = bones.lengths_and_directions(points)
        return directions * lengths[:, :, tf.newaxis]

    content = tflite_graphs.converted(recombined, [(1, 41, 3)])
    assert list(lint.faults(content)) == []


def test_points_with_the_pelvis_are_refused():
    with pytest.raises(ValueError, match=r"\(B, 41, 3\).*got \(2, 42, 3\)"):
        bones.bone_vectors(tf.zeros((2, 42, 3)))
