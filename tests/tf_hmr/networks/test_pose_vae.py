"""The autoencoder of poses: its losses by hand, and what its stage moves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr.geometry import rotations
from tf_hmr.networks import pose_vae


@pytest.fixture
def vae():
    network = pose_vae.PoseVae(hidden=16, latent=4, rate=0.1, kl=0.5)
    network.build_all()
    return network


def test_divergence_is_the_closed_form(rng):
    """Against the mean of log q - log p over many draws."""
    mean = np.array([[0.7, -1.5, 0.0]])
    scale = np.array([[0.5, 1.0, 2.0]])
    code = pose_vae.Code(tf.constant(mean), tf.constant(scale))
    samples = mean + scale * rng.normal(size=(400_000, 3))
    log_q = -0.5 * ((samples - mean) / scale) ** 2 - np.log(scale)
    expected = (log_q + 0.5 * samples**2).mean(axis=0)
    np.testing.assert_allclose(code.divergence()[0], expected, atol=0.02)
    unit = pose_vae.Code(tf.zeros((2, 3)), tf.ones((2, 3)))
    assert_close("exact", unit.divergence(), np.zeros((2, 3)))


def test_terms_are_means_over_numbers(vae, rng):
    batch = make_batch(rng)
    poses = vae.inputs(batch)
    rotvecs = rotations.rotmat_to_rotvec(batch["prior_rotmats"]).numpy()
    assert_close("exact", poses, rotvecs[:, 1:].reshape(12, 69))
    outputs = vae(poses)
    terms = vae.terms(batch, outputs)
    values = {
        name: float(t.weight * tf.reduce_sum(t.total) / tf.reduce_sum(t.count))
        for name, t in terms.items()
    }
    error = np.square(outputs.poses.numpy() - poses.numpy())
    assert_close("loss", values["reconstruction"], error.mean())
    assert_close(
        "loss", values["kl"], 0.5 * outputs.code.divergence().numpy().mean()
    )


def test_what_is_drawn_follows_the_code(vae):
    """In training codes scatter by their scale; else they are the mean."""
    poses = tf.zeros((4000, 69))
    assert_close("exact", vae(poses).poses[0], vae(poses).poses[1])
    samples = []
    vae.decode = lambda codes, training: samples.append(codes) or codes
    # Without dropout, whose masks make codes of their own.
    for layer in vae.encoder:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    code = vae(poses, training=True).code
    off = (samples[0] - code.mean) / code.scale
    np.testing.assert_allclose(np.mean(off, axis=0), 0, atol=0.06)
    np.testing.assert_allclose(np.std(off, axis=0), 1, atol=0.06)


def test_layers_drop_and_the_encoder_normalises(vae, rng):
    """In training alone: a pose's code is the same whatever stands beside."""
    poses = tf.constant(rng.normal(2.0, 1.0, (64, 69)), tf.float32)
    codes = tf.constant(rng.normal(size=(64, 4)), tf.float32)
    for part, x in ((vae.encode, poses), (vae.decode, codes)):
        once, repeated = (tf.nest.flatten(part(x))[0] for _ in "ab")
        assert_close("exact", once, repeated)
        once, repeated = (tf.nest.flatten(part(x, training=True)) for _ in "ab")
        assert np.abs(once[0] - repeated[0]).max() > 0.01
    moving_means = [
        v for v in vae.non_trainable_variables if "moving_mean" in v.path
    ]
    assert len(moving_means) == 2 and all(
        np.abs(v).max() > 0 for v in moving_means
    )
    single = vae.encode(poses[:1])
    assert_close("loss", single.mean, vae.encode(poses).mean[:1])


def test_codes_of_poses_far_off_are_finite(vae):
    """And so is the way back from there."""
    poses = tf.Variable(1e4 * tf.ones((2, 69)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(vae.encode(poses).divergence())
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, poses)).all()


def test_learns_to_reconstruct(vae, rng):
    """Poses of a plane in 69 dimensions, by Adam; also far ones stand out."""
    plane = rng.normal(0, 0.4, (3, 69))
    poses = tf.constant(rng.normal(size=(256, 3)) @ plane, tf.float32)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(vae.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            outputs = vae(poses, training=True)
            error = tf.reduce_mean(tf.square(outputs.poses - poses))
            kl = tf.reduce_mean(outputs.code.divergence())
            loss = error + 1e-3 * kl
        gradients = tape.gradient(loss, vae.trainable_variables)
        optimizer.apply(gradients, vae.trainable_variables)
        return error

    first = float(step())
    for _ in range(300):
        last = float(step())
    assert last < 0.2 * first
    outliers = tf.constant(rng.normal(0, 2.0, (64, 69)), tf.float32)
    human = np.median(tf.reduce_sum(vae.encode(poses).divergence(), axis=1))
    outlier_divergence = np.median(
        tf.reduce_sum(vae.encode(outliers).divergence(), axis=1)
    )
    assert outlier_divergence > 1.2 * human


def test_takes_poses_of_any_number_of_joints(rng):
    larger = pose_vae.PoseVae(16, 4, rate=0.1, kl=0.5, num_joints=26)
    larger.build_all()
    poses = larger.flat(tf.constant(rng.normal(size=(2, 26, 3)), tf.float32))
    assert poses.shape == (2, 75)
    assert larger(poses).poses.shape == (2, 75)
