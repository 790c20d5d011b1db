"""The flow of poses: an exact inverse and volume, and what it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr.geometry import rotations
from tf_hmr.networks import pose_flow

JOINTS = 5
NUMBERS = 3 * (JOINTS - 1)


def bent_poses(rng, count: int) -> np.ndarray:
    """(N, J, 3): a curve in two dimensions of the poses, which no Gaussian is,
    and little elsewhere."""
    poses = rng.normal(0, 0.05, (count, JOINTS, 3))
    angle = rng.uniform(0, np.pi, count)
    poses[:, 1, 0] += 0.8 * np.cos(angle)
    poses[:, 2, 0] += 0.8 * np.sin(angle)
    return poses


@pytest.fixture(scope="module")
def flow():
    """A flow whose couplings are not the identity."""
    keras.utils.set_random_seed(1)
    flow = pose_flow.PoseFlow(JOINTS, couplings=4, hidden=16)
    flow.build_all()
    rng = np.random.default_rng(2)
    flow.initialize_from_poses(bent_poses(rng, 400))
    for coupling in flow.couplings:
        kernel = coupling.layers[-1].kernel
        kernel.assign(rng.normal(0, 0.2, kernel.shape))
    return flow


def test_latent_and_back(flow, rng):
    poses = bent_poses(rng, 50)[:, 1:].reshape(50, NUMBERS)
    poses = tf.constant(poses, tf.float32)
    latents, _ = flow.latent(poses)
    assert np.abs(latents - poses).max() > 1
    assert np.abs(flow.poses(latents) - poses).max() < 1e-4
    rotmats = flow.rotmats(latents).numpy()
    assert rotmats.shape == (50, JOINTS - 1, 3, 3)
    expected = rotations.rotvec_to_rotmat(tf.reshape(poses, (50, -1, 3)))
    np.testing.assert_allclose(rotmats, expected, atol=1e-4)
    full = np.concatenate([rotmats[:, :1], rotmats], axis=1)
    recovered = flow.latent_of_rotmats(tf.constant(full))
    np.testing.assert_allclose(recovered, latents, atol=1e-3)


def test_volume_is_the_jacobians(flow, rng):
    pose = tf.constant(rng.normal(0, 0.3, (1, NUMBERS)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pose)
        latents, log_det = flow.latent(pose)
    jacobian = tape.jacobian(latents, pose)[0, :, 0]
    expected = np.linalg.slogdet(np.float64(jacobian))[1]
    np.testing.assert_allclose(log_det[0], expected, atol=1e-3)


def test_density_is_the_normals_of_the_latents(flow, rng):
    poses = tf.constant(rng.normal(0, 0.3, (6, NUMBERS)), tf.float32)
    latents, log_det = (np.float64(x) for x in flow.latent(poses))
    normal = -0.5 * (latents**2 + np.log(2 * np.pi)).sum(axis=1)
    actual = flow.negative_log_likelihood(poses)
    np.testing.assert_allclose(actual, -normal - log_det, rtol=1e-5)


def test_whitened_poses_have_unit_covariance(rng):
    flow = pose_flow.PoseFlow(JOINTS, couplings=2, hidden=4, noise_deg=0.1)
    flow.build_all()
    poses = bent_poses(rng, 4000)
    flow.initialize_from_poses(poses)
    flat = poses[:, 1:].reshape(-1, NUMBERS)
    # Untrained couplings are the identity, and mixing is a rotation.
    latents, _ = flow.latent(tf.constant(flat, tf.float32))
    np.testing.assert_allclose(latents.numpy().mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(
        np.cov(latents.numpy().T), np.eye(NUMBERS), atol=0.01
    )


def test_noise_is_that_of_training_alone(flow):
    poses = tf.zeros((500, NUMBERS))
    once, repeated = flow(poses)[0], flow(poses)[0]
    assert_close("exact", once, repeated)
    first, second = (flow(poses, training=True)[0] for _ in "ab")
    assert np.abs(first - second).max() > 0.01
    noisy = flow.poses(first).numpy()
    np.testing.assert_allclose(noisy.std(), np.deg2rad(1.5), rtol=0.05)


def test_terms_are_nats_per_number(rng):
    batch = make_batch(rng)
    flow = pose_flow.PoseFlow(batch["prior_rotmats"].shape[1], 2, 8)
    flow.build_all()
    poses = flow.inputs(batch)
    rotvecs = rotations.rotmat_to_rotvec(batch["prior_rotmats"])[:, 1:]
    assert_close("rotation", poses, tf.reshape(rotvecs, (len(rotvecs), -1)))
    term = flow.terms(batch, flow(poses))["nats"]
    assert_close("loss", term.total, flow.negative_log_likelihood(poses))
    assert (term.count.numpy() == flow.numbers).all() and term.weight == 1.0
    trained = {v.path for v in flow.player_variables()}
    fixed = {v.path for v in flow.non_trainable_variables}
    assert len(trained) == 2 * 3 * 2 and not trained & fixed


def test_learns_more_than_a_gaussian(rng):
    keras.utils.set_random_seed(1)
    flow = pose_flow.PoseFlow(JOINTS, couplings=4, hidden=32)
    flow.build_all()
    poses = bent_poses(rng, 4000)
    flow.initialize_from_poses(poses)
    flat = tf.constant(poses[:, 1:].reshape(-1, NUMBERS), tf.float32)
    unseen = tf.constant(
        bent_poses(rng, 1000)[:, 1:].reshape(-1, NUMBERS), tf.float32
    )
    gaussian = tf.reduce_mean(flow.negative_log_likelihood(unseen))
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(flow.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            term = flow.terms(None, flow(flat[:1000], training=True))["nats"]
            loss = tf.reduce_mean(term.total)
        variables = flow.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(150):
        step()
    learnt = tf.reduce_mean(flow.negative_log_likelihood(unseen))
    assert learnt < gaussian - 0.5


def test_few_poses_are_warned_of(caplog, rng):
    flow = pose_flow.PoseFlow(JOINTS, couplings=1, hidden=4)
    flow.initialize_from_poses(bent_poses(rng, 30))
    assert "30 unpaired poses" in caplog.text and "40000" in caplog.text
