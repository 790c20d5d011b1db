"""The adversaries: their sizes are those of the body they are made for."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr.networks import discriminator


@pytest.mark.parametrize(
    ("sizes", "joints", "betas", "scores"),
    [({}, 24, 10, 25), ({"num_joints": 26, "num_betas": 12}, 26, 12, 27)],
)
def test_factorised_scores_each_joint_all_and_the_shape(
    sizes, joints, betas, scores, rng
):
    network = discriminator.Discriminator(16, **sizes)
    network.build()
    rotmats = tf.constant(rng.normal(size=(2, joints, 3, 3)), tf.float32)
    shapes = tf.constant(rng.normal(size=(2, betas)), tf.float32)
    before = network(rotmats, shapes).numpy()
    assert before.shape == (2, scores)
    shifted_rotmats = rotmats.numpy()
    shifted_rotmats[:, -1] += 1
    changed = (
        np.abs(network(shifted_rotmats, shapes).numpy() - before).max(axis=0)
        > 0
    )
    # The last joint's own score, and that of all together.
    assert np.flatnonzero(changed).tolist() == [scores - 3, scores - 2]
    shifted_shapes = shapes.numpy()
    shifted_shapes[:, -1] += 1
    after = network(rotmats, shifted_shapes).numpy()
    assert_close("exact", after[:, :-1], before[:, :-1])
    assert (after[:, -1] != before[:, -1]).any()


def test_joint_gives_one_score(rng):
    network = discriminator.JointDiscriminator(16, num_joints=26, num_betas=12)
    network.build()
    assert network(tf.zeros((2, 26, 3, 3)), tf.zeros((2, 12))).shape == (2, 1)
    assert network.fc1.kernel.shape == (25 * 9 + 12, 16)
