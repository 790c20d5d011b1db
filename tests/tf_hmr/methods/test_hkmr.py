"""HKMR: the paper's sizes, its sums over steps, and the frozen prior."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr import method
from tf_hmr.geometry import rotations
from tf_hmr.methods import _smpl_losses, _theta, hkmr
from tf_hmr.networks import pose_vae

SMALL = {
    "image_size": 64,
    "encoder": "small",
    "encoder_width": 8,
    "hidden": 16,
    "embedding": 8,
    "vae_hidden": 16,
    "vae_latent": 4,
    "adversary_hidden": 16,
}


@pytest.fixture(scope="module")
def small(body):
    """With weights that make the outer steps differ."""
    model = method.create("hkmr", body, **SMALL)
    scatter(model.regressor)
    return model


def scatter(layer) -> None:
    rng = np.random.default_rng(4)
    for variable in layer.trainable_variables:
        variable.assign_add(rng.normal(0, 0.05, variable.shape))


def count(variables) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


def test_parameter_counts_of_the_paper(body):
    """26.2 M in Table 1, without the autoencoder; HMR has 26.8 M.

    23,508,032 of the encoder and 2,712,007 of the regressor; resnet50_slim
    and resnet50, ResNet-50 v2, have 23,519,360.
    """
    model = method.create("hkmr", body)
    num_parameters = count(model.player_variables())
    assert num_parameters == 26_220_039 == pytest.approx(26.2e6, abs=0.05e6)
    assert count(model.regressor.trainable_variables) == 2_712_007


def value(term) -> float:
    total, count = tf.reduce_sum(term.total), tf.reduce_sum(term.count)
    return float(term.weight * total / count)


def test_losses_are_summed_over_the_outer_steps(small, rng):
    """Eq. 3: each step's own loss, from its own pose, shape and camera."""
    batch = make_batch(rng)
    prediction = small({"image": batch["image"]}, training=True)
    summed = {k: value(t) for k, t in small.terms(batch, prediction).items()}
    assert set(summed) == {
        *("keypoints_2d", "joints_3d", "rotmats", "betas", "kl")
    }
    features, _ = small.features(batch["image"], training=True)
    states, expected = small.regressor(features), dict.fromkeys(summed, 0.0)
    assert len(states) == 3
    for state in states:
        rotvecs, weak = hkmr.decode(state)
        rotmats = rotations.rotvec_to_rotmat(rotvecs)
        posed, _ = small.body.keypoints(rotmats, state.betas)
        # The paper's own equation of the camera.
        scale = weak[:, None, 0:1]
        keypoints = scale * posed[..., :2] + state.camera[:, None, 1:]
        step = method.Prediction(
            rotmats, state.betas, weak, posed, keypoints, None
        )
        terms = small.supervised_terms(batch, step)
        code = small.pose_vae.encode(tf.reshape(rotvecs[:, 1:], (4, 69)))
        terms["kl"] = small.pose_vae.divergence_term(code, small.config.kl)
        for name, term in terms.items():
            expected[name] += value(term)
    for name in summed:
        assert_close("loss", summed[name], expected[name])
    assert_close("loss", prediction.rotmats, rotmats)
    assert_close("loss", prediction.keypoints, keypoints)


def test_the_encoders_places_count_once(small, rng):
    """They are no outer step's: their loss is not summed over these."""
    layout = {"features": "layout", "layout_keypoints": 5.0}
    model = method.create("hkmr", small.body, **SMALL, **layout, prior="none")
    batch = make_batch(rng)
    prediction = model({"image": batch["image"]}, training=True)
    true = _smpl_losses.select(batch["keypoints"], model.joint_names).numpy()
    error = np.abs(prediction.intermediate["encoder_keypoints"] - true[..., :2])
    expected = 5 * error[true[..., 2] > 0].mean()
    term = model.terms(batch, prediction)["layout_keypoints"]
    assert_close("loss", value(term), expected)


def test_the_last_step_alone_can_be_asked_for(small, rng):
    model = method.create("hkmr", small.body, **SMALL, sum_outer=False)
    model.set_weights(small.get_weights())
    batch = make_batch(rng)
    prediction = model({"image": batch["image"]}, training=True)
    last_terms = {
        k: value(t) for k, t in model.terms(batch, prediction).items()
    }
    all_steps = small({"image": batch["image"]}, training=True)
    assert_close("loss", prediction.rotmats, all_steps.rotmats)
    terms = small.supervised_terms(batch, all_steps)
    for name, term in terms.items():
        assert_close("loss", last_terms[name], value(term))
    all_terms = {k: value(t) for k, t in small.terms(batch, all_steps).items()}
    assert all_terms["rotmats"] > 2 * last_terms["rotmats"]


def test_the_prior_is_frozen(small, rng):
    """Its variables are no player's, and its statistics stay."""
    batch = make_batch(rng)
    vae = small.pose_vae
    before = [v.numpy() for v in vae.variables]
    mine = {id(v) for v in small.player_variables()}
    assert not mine & {id(v) for v in vae.trainable_variables}
    with tf.GradientTape(persistent=True) as tape:
        prediction = small({"image": batch["image"]}, training=True)
        kl = tf.reduce_sum(small.terms(batch, prediction)["kl"].total)
    for old, variable in zip(before, vae.variables, strict=True):
        assert_close("exact", variable, old)
    # It does push what it judges: not the global rotation, shape or camera.
    root = small.regressor.chains["root"].passes["forward"]
    assert tf.norm(tape.gradient(kl, root[1].bias)) > 0
    out = small.regressor.camera_network.out
    assert tape.gradient(kl, out.kernel) is None


def test_the_stage_before_trains_the_prior_alone(small):
    assert isinstance(small.pose_vae, method.Learner)
    mine = {id(v) for v in small.pose_vae.player_variables()}
    assert mine == {id(v) for v in small.pose_vae.trainable_variables}


def test_the_discriminator_in_the_priors_place(small, rng):
    model = method.create("hkmr", small.body, **SMALL, prior="discriminator")
    batch = make_batch(rng)
    prediction = model({"image": batch["image"]}, training=True)
    assert model.pose_vae is None
    terms = model.terms(batch, prediction)
    assert "generator" in terms and "kl" not in terms
    # Of all outer steps, each counted once.
    assert prediction.intermediate["rotmats"].shape == (12, 24, 3, 3)
    scores = model.adversary(
        prediction.intermediate["rotmats"], prediction.intermediate["betas"]
    ).numpy()
    expected = 3 * np.square(scores - 1).sum(axis=1).mean()
    assert_close("loss", value(terms["generator"]), expected)
    fake = model.adversary_terms(batch, prediction)["fake"]
    assert_close("loss", value(fake), np.square(scores).sum(axis=1).mean())


def test_parameters_to_the_letter_of_the_paper(small, rng):
    """One norm of rotation vectors and betas, 82 numbers; NaN elsewhere."""
    model = method.create("hkmr", small.body, **SMALL, smpl_loss="parameters")
    model.set_weights(small.get_weights())
    batch = make_batch(rng)
    prediction = model({"image": batch["image"]}, training=True)
    labelled = batch["has_pose"].numpy() > 0
    rotvecs = prediction.intermediate["rotvecs"].numpy().reshape(3, 4, 72)
    betas = prediction.intermediate["betas"].numpy().reshape(3, 4, 10)
    true = rotations.rotmat_to_rotvec(batch["rotmats"]).numpy()
    error = np.concatenate(
        [rotvecs - true.reshape(4, 72), betas - batch["betas"]], axis=2
    )[:, labelled]
    expected = 60 * 0.5 * np.square(error).mean(axis=(1, 2)).sum()
    nan_rotmats = np.where(
        labelled[:, None, None, None], batch["rotmats"].numpy(), np.nan
    )
    batch["rotmats"] = tf.constant(nan_rotmats, tf.float32)
    terms = model.terms(batch, prediction)
    assert "rotmats" not in terms
    total = value(terms["parameters"]) + value(terms["betas"])
    assert_close("relative_float32", [total / expected], [1.0])


def test_the_camera_is_the_papers_and_never_degenerate():
    """s xy + rho; its scale is bent only where it nears 0."""
    raw = tf.constant([[0.9, 0.2, -0.1], [0.01, 0.3, 0.1], [-2.0, 0.3, 0.1]])
    cameras = hkmr.contract_camera(raw).numpy()
    assert (cameras[:, 0] > 1e-4).all() and np.isfinite(cameras).all()
    assert_close("loss", cameras[:, :1] * cameras[:, 1:], raw.numpy()[:, 1:])
    assert cameras[0, 0] == pytest.approx(0.9, abs=0.004)


def test_starts_at_the_camera_of_hmr_and_the_mean_given(small, rng):
    model = method.create("hkmr", small.body, **SMALL)
    batch = make_batch(rng)
    rotmats, betas = batch["rotmats"][0].numpy(), batch["betas"][0].numpy()
    model.initialize_from_mean(rotmats, betas)
    for variable in model.regressor.trainable_variables:
        if variable.name == "kernel":
            variable.assign(tf.zeros_like(variable))
    prediction = model({"image": batch["image"]})
    assert_close("gram_schmidt", prediction.rotmats[1], rotmats)
    assert_close("exact", prediction.betas[1], betas)
    start = np.float32(_theta.START_CAMERA)
    assert_close("loss", prediction.camera[1], start)


def test_every_outer_step_keeps_the_true_root(body, rng):
    model = method.create("hkmr", body, **SMALL, true_root=True)
    scatter(model.regressor)
    batch = make_batch(rng)
    true = batch["rotmats"][:, 0]
    inputs = {"image": batch["image"], "global_rotation": true}
    assert set(inputs) == set(model.input_names)
    prediction = model(inputs, training=True)
    steps = tf.split(prediction.intermediate["rotmats"], 3)
    for rotmats in steps:
        assert_close("rotation", rotmats[:, 0], true)
    assert not np.allclose(steps[0][:, 1:], steps[1][:, 1:])
    first = model(inputs).rotmats
    swapped = model(inputs | {"global_rotation": true[::-1]}).rotmats
    # All chains see the root's.
    for joint in (1, 12, 16, 20):
        assert not np.allclose(first[:, joint], swapped[:, joint]), joint


def test_passes_must_pair():
    with pytest.raises(ValueError, match="inner_passes=3.*forward_only"):
        hkmr.Model(hkmr.Config(inner_passes=3), None)
    assert pose_vae.NUMBERS == 69
