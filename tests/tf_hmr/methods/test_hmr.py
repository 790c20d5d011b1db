"""HMR: the sizes its paper and code give, and its reductions by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import label_batches
from tests.support.closeness import assert_close
from tf_hmr import joints, method
from tf_hmr.geometry import camera
from tf_hmr.methods import hmr

SMALL = {
    "image_size": 64,
    "encoder": "small",
    "encoder_width": 8,
    "hidden": 32,
    "dropout": 0.0,
}


@pytest.fixture(scope="module")
def small(body):
    return method.create("hmr", body, **SMALL)


def count_trainable(part) -> int:
    return sum(int(np.prod(v.shape)) for v in part.trainable_variables)


@pytest.mark.parametrize("encoder", ["resnet50_slim", "resnet50"])
def test_parameter_counts_of_the_paper(body, encoder):
    """26,841,386 and 1,807,619: the checkpoint of akanazawa/hmr."""
    model = method.create("hmr", body, encoder=encoder)
    adversary = count_trainable(model.adversary)
    assert adversary == 1_807_619
    assert count_trainable(model) - adversary == 26_841_386


def test_starts_at_the_given_mean(small, rng):
    """With no features the first guess is the mean, exactly."""
    batch = label_batches.make_batch(rng)
    rotmats = batch["rotmats"][0].numpy()
    betas = batch["betas"][0].numpy()
    model = method.create("hmr", small.body, **SMALL, rotation="6d")
    model.regressor.fc3.kernel.assign(tf.zeros_like(model.regressor.fc3.kernel))
    model.initialize_from_mean(rotmats, betas)
    prediction = model({"image": batch["image"]})
    assert_close("gram_schmidt", prediction.rotmats[1], rotmats)
    assert_close("exact", prediction.betas[1], betas)
    assert_close("exact", prediction.camera[1], np.float32([0.9, 0, 0]))


@pytest.mark.parametrize("rotation", ["rotvec", "6d"])
@pytest.mark.parametrize("training", [False, True])
def test_every_iteration_keeps_the_true_root(body, rng, rotation, training):
    model = method.create(
        "hmr", body, **SMALL, rotation=rotation, true_root=True
    )
    weights = rng.normal(0, 0.3, model.regressor.fc3.kernel.shape)
    model.regressor.fc3.kernel.assign(weights)
    batch = label_batches.make_batch(rng)
    true = batch["rotmats"][:, 0]
    inputs = {"image": batch["image"], "global_rotation": true}
    assert set(inputs) == set(model.input_names)
    prediction = model(inputs, training=training)
    assert_close("rotation", prediction.rotmats[:, 0], true)
    if training:
        iterations = tf.reshape(
            prediction.intermediate["rotmats"], (3, len(true), 24, 3, 3)
        )
        for rotmats in iterations:
            assert_close("rotation", rotmats[:, 0], true)
        # The limbs are still estimated, and depend on the root.
        assert not np.allclose(iterations[0][:, 1:], iterations[1][:, 1:])
        return
    swapped = model(inputs | {"global_rotation": true[::-1]})
    assert not np.allclose(swapped.rotmats[:, 1:], prediction.rotmats[:, 1:])


def test_starts_upright_without_a_mean(small, rng):
    """A half turn about x: the head is above (y down) the hips."""
    names = small.joint_names
    points = small({"image": label_batches.make_batch(rng)["image"]}).joints[0]
    head, hip = joints.select(("head_top", "left_hip"), of=names)
    assert points[head, 1] < points[hip, 1] - 0.5
    left, right = joints.select(("left_hip", "right_hip"), of=names)
    # Facing the camera, the left side is on the picture's right.
    assert points[left, 0] > points[right, 0]


def test_terms_are_the_papers_reductions(small, rng):
    """Each term, divided as the loop does, against a loop over examples."""
    batch = label_batches.make_batch(rng)
    prediction = small({"image": batch["image"]}, training=True)
    terms = small.terms(batch, prediction)
    value = {
        name: float(t.weight * tf.reduce_sum(t.total) / tf.reduce_sum(t.count))
        for name, t in terms.items()
    }
    index = joints.select(small.joint_names, of=joints.KEYPOINTS)
    true = batch["keypoints"].numpy()[:, index]
    visible = true[..., 2]
    off = np.abs(prediction.keypoints.numpy() - true[..., :2]).sum(-1)
    expected = 60 * (off * visible).sum() / (2 * visible.sum())
    assert_close("loss", value["keypoints_2d"] / 60, expected / 60)
    rows = [0, 1]
    hips = joints.select(("left_hip", "right_hip"), of=joints.LSP14)
    pred = prediction.joints.numpy()[rows][:, :14]
    index = joints.select(joints.LSP14, of=joints.KEYPOINTS)
    true = batch["joints3d"].numpy()[rows][:, index, :3]
    pred = pred - pred[:, hips].mean(1, keepdims=True)
    true = true - true[:, hips].mean(1, keepdims=True)
    assert_close(
        "loss", value["joints_3d"] / 60, 0.5 * np.square(pred - true).mean()
    )
    flat = np.concatenate(
        [
            prediction.rotmats.numpy()[rows].reshape(2, 216)
            - batch["rotmats"].numpy()[rows].reshape(2, 216),
            prediction.betas.numpy()[rows] - batch["betas"].numpy()[rows],
        ],
        axis=1,
    )
    assert_close(
        "loss",
        (value["rotmats"] + value["betas"]) / 60,
        0.5 * np.square(flat).mean(),
    )


def test_adversary_sees_every_iteration(small, rng):
    """Fakes of all three iterations; sums over 25 outputs, mean over rows."""
    batch = label_batches.make_batch(rng)
    prediction = small({"image": batch["image"]}, training=True)
    assert prediction.intermediate["rotmats"].shape == (12, 24, 3, 3)
    terms = small.adversary_terms(batch, prediction)
    fake = small.adversary(
        prediction.intermediate["rotmats"], prediction.intermediate["betas"]
    )
    assert fake.shape == (12, 25)
    assert_close(
        "loss",
        tf.reduce_sum(terms["fake"].total) / tf.reduce_sum(terms["fake"].count),
        np.square(fake.numpy()).sum(1).mean(),
    )
    real = small.adversary(batch["prior_rotmats"], batch["prior_betas"])
    assert_close(
        "loss",
        tf.reduce_sum(terms["real"].total) / tf.reduce_sum(terms["real"].count),
        np.square(real.numpy() - 1).sum(1).mean(),
    )


def test_adversary_ignores_the_global_rotation(small, rng):
    batch = label_batches.make_batch(rng)
    rotmats = batch["prior_rotmats"].numpy()
    other_global = rotmats.copy()
    other_global[:, 0] = rotmats[::-1, 0]
    assert_close(
        "exact",
        small.adversary(tf.constant(other_global), batch["prior_betas"]),
        small.adversary(tf.constant(rotmats), batch["prior_betas"]),
    )


def test_players_do_not_push_each_other(small, rng):
    """The adversary's loss gives no gradient to the encoder."""
    batch = label_batches.make_batch(rng)
    with tf.GradientTape() as tape:
        prediction = small({"image": batch["image"]}, training=True)
        terms = small.adversary_terms(batch, prediction).values()
        loss = tf.add_n([tf.reduce_sum(t.total) for t in terms])
    variables = small.player_variables()
    assert all(g is None for g in tape.gradient(loss, variables))
    mine = {id(v) for v in variables}
    assert not mine & {id(v) for v in small.adversary.trainable_variables}


def test_missing_3d_labels_count_nothing(small, rng):
    """NaN in what is flagged as missing changes no term."""
    batch = label_batches.make_batch(rng)
    prediction = small({"image": batch["image"]}, training=True)
    clean = small.terms(batch, prediction)
    missing = np.array([False, False, True, True])
    for name in ("rotmats", "betas", "joints3d"):
        value = batch[name].numpy()
        nan_labels = value[missing]
        nan_labels[...] = np.nan
        if name == "joints3d":
            nan_labels[..., 3] = 0
        value[missing] = nan_labels
        batch[name] = tf.constant(value)
    for name, term in small.terms(batch, prediction).items():
        assert_close("exact", term.total, clean[name].total)
        assert_close("exact", term.count, clean[name].count)


def test_options_of_the_quick_experiment(body, rng):
    """Layout features, 6D, absolute losses: every weight gets a gradient."""
    model = method.create(
        "hmr",
        body,
        **SMALL,
        features="layout",
        rotation="6d",
        loss_3d="absolute",
        joints_in_loss="cocoplus",
        layout_keypoints=5.0,
    )
    # Blocks start as their shortcuts; let the residual paths speak.
    for variable in model.trainable_variables:
        if variable.name == "gamma":
            variable.assign(tf.ones_like(variable))
    batch = label_batches.make_batch(rng)
    with tf.GradientTape() as tape:
        terms = model.terms(
            batch, model({"image": batch["image"]}, training=True)
        )
        loss = tf.add_n([tf.reduce_sum(t.total) for t in terms.values()])
    for variable, gradient in zip(
        model.player_variables(),
        tape.gradient(loss, model.player_variables()),
        strict=True,
    ):
        assert gradient is not None, variable.path
        norm = tf.norm(gradient)
        assert np.isfinite(norm) and norm > 0, variable.path


def test_adversary_is_float32_under_any_policy(body, rng):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = method.create("hmr", body, **SMALL)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    batch = label_batches.make_batch(rng)
    prediction = model({"image": batch["image"]}, training=True)
    assert model.encoder.layers[1].compute_dtype == "bfloat16"
    assert prediction.rotmats.dtype == prediction.camera.dtype == tf.float32
    scores = model.adversary(batch["prior_rotmats"], batch["prior_betas"])
    assert scores.dtype == tf.float32
    assert model.adversary.conv1.compute_dtype == "float32"


def test_supervising_each_iteration_sums_their_losses(body, rng):
    keras.utils.set_random_seed(3)
    model = method.create("hmr", body, **SMALL, supervise="each")
    batch = label_batches.make_batch(rng)
    prediction = model({"image": batch["image"]}, training=True)
    all_iterations = model.terms(batch, prediction)
    cameras, rotmats, betas = (
        tf.split(prediction.intermediate[name], model.config.iterations)
        for name in ("camera", "rotmats", "betas")
    )
    for name in ("keypoints_2d", "joints_3d", "rotmats", "betas"):
        total = 0.0
        for weak, pose, shape in zip(cameras, rotmats, betas, strict=True):
            points, _ = body.keypoints(pose, shape)
            one = prediction._replace(
                rotmats=pose,
                betas=shape,
                joints=points,
                keypoints=camera.project_weak_perspective(points, weak),
            )
            term = model.supervised_terms(batch, one)[name]
            total = total + term.total
        assert_close("loss", all_iterations[name].total, total)
        assert_close("loss", all_iterations[name].count, term.count)


def test_the_joint_adversary_scores_once_and_ignores_the_direction(body, rng):
    model = method.create("hmr", body, **SMALL, adversary_kind="joint")
    batch = label_batches.make_batch(rng)
    rotmats = tf.identity(batch["prior_rotmats"])
    scores = model.adversary(rotmats, batch["prior_betas"])
    assert scores.shape == (len(rotmats), 1)
    other_global = tf.concat([rotmats[:, 1:2], rotmats[:, 1:]], axis=1)
    assert_close(
        "loss", model.adversary(other_global, batch["prior_betas"]), scores
    )
    bent = tf.concat([rotmats[:, 0:1], rotmats[:, :-1]], axis=1)
    assert not np.allclose(model.adversary(bent, batch["prior_betas"]), scores)
    prediction = model({"image": batch["image"]}, training=True)
    assert set(model.adversary_terms(batch, prediction)) == {"real", "fake"}
    assert "generator" in model.terms(batch, prediction)


def test_places_need_the_layout(body):
    with pytest.raises(ValueError, match="features='layout'"):
        method.create("hmr", body, **SMALL, layout_keypoints=1.0)


def test_unknown_option_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no \['colour'\].*image_size"):
        method.make_config("hmr", colour=1)
    assert hmr.Config().joints_in_loss == "lsp"
    assert hmr.Config().encoder == "resnet50_slim"
