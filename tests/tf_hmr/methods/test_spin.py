"""SPIN's losses are the paper's code's, its labels the better fit's."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import _theta
from tf_hmr.networks import spin_regressor
from tf_hmr.smplify import in_the_loop
from training import fit
from training.recipes import spin_recipe

NAMES = joints.COCOPLUS19
HIPS = list(joints.select(("left_hip", "right_hip"), of=NAMES))


def spins_total(pred, true, has):
    """nkolot/SPIN: train/trainer.py, with 49 keypoints and 24 joints."""
    rows = len(has["pose"])
    error = np.zeros((rows, 49, 2))
    confidence = true["keypoints"][..., 2:]
    error[:, -19:] = (
        confidence * (pred["keypoints"] - true["keypoints"][..., :2]) ** 2
    )
    labelled = has["joints"] > 0
    error_3d = np.zeros((labelled.sum(), 24, 3))
    centred = [
        points - points[:, HIPS].mean(axis=1, keepdims=True)
        for points in (pred["joints"], true["joints"][..., :3])
    ]
    difference = (centred[0] - centred[1])[labelled]
    error_3d[:, :19] = true["joints"][labelled][..., 3:] * difference**2
    posed = has["pose"] > 0
    shaped = has["betas"] > 0
    return 60 * (
        5 * error.mean()
        + 5 * error_3d.mean()
        + np.mean((pred["rotmats"] - true["rotmats"])[posed] ** 2)
        + 0.001 * np.mean((pred["betas"] - true["betas"])[shaped] ** 2)
        + np.mean(np.exp(-10 * pred["camera"][:, 0]) ** 2)
    )


def in_all_keypoints(values):
    """(B, 19, C) of NAMES among all of joints.KEYPOINTS, the others 0."""
    padded = np.zeros((len(values), len(joints.KEYPOINTS), values.shape[2]))
    padded[:, list(joints.select(NAMES, of=joints.KEYPOINTS))] = values
    return padded


def test_losses_are_the_codes(rng, body):
    rows = 5
    sizes = {
        "keypoints": (19, 2),
        "joints": (19, 3),
        "rotmats": (24, 3, 3),
        "betas": (10,),
        "camera": (3,),
    }
    pred = {k: rng.normal(size=(rows, *size)) for k, size in sizes.items()}
    pred["camera"][:, 0] = rng.uniform(0.05, 0.9, rows)
    true = {k: rng.normal(size=(rows, *size)) for k, size in sizes.items()}
    flags = rng.random((rows, 19, 2)) > 0.4
    has = {
        "pose": np.array([1, 0, 1, 0, 0.0]),
        "betas": np.array([1, 0, 0, 0, 0.0]),
        "joints": np.array([1, 1, 0, 0, 1.0]),
    }
    flags[..., 1] &= has["joints"][:, None] > 0
    flags[has["joints"] > 0, HIPS[0], 1] = True
    flags[has["joints"] > 0, HIPS[1], 1] = True
    true["keypoints"] = np.concatenate(
        [true["keypoints"], flags[..., :1]], axis=2
    )
    true["joints"] = np.concatenate([true["joints"], flags[..., 1:]], axis=2)
    tensors = {k: tf.constant(v, tf.float32) for k, v in pred.items()}
    batch = {
        "keypoints": in_all_keypoints(true["keypoints"]),
        "joints3d": in_all_keypoints(true["joints"]),
        "rotmats": true["rotmats"],
        "betas": true["betas"],
        "has_pose": has["pose"],
        "has_betas": has["betas"],
    }
    batch = {k: tf.constant(v, tf.float32) for k, v in batch.items()}
    small = {"image_size": 32, "encoder": "small", "encoder_width": 4}
    expected = spins_total(pred, true, has)
    for name, options in (
        ("spin", {}),
        ("hkmr", spin_recipe.SUPERVISION | {"prior": "none"}),
    ):
        model = method.create(name, body, hidden=8, **small, **options)
        assert model.joint_names == NAMES
        prediction = method.Prediction(**tensors, vertices=None)
        if name == "spin":
            terms = model.terms(batch, prediction)
        else:
            terms = model.supervised_terms(batch, prediction)
        total = sum(
            t.weight * np.sum(t.total) / np.sum(t.count) for t in terms.values()
        )
        assert_close("relative_float32", [total / expected], [1.0])


def test_keypoints_are_seen_by_the_camera_of_the_release(body, rng):
    """A focal length of 5000 px in a crop of 224 px."""
    values = {"image_size": 32, "encoder": "small", "hidden": 8}
    model = method.create("spin", body, **values)
    images = tf.constant(rng.uniform(0, 255, (1, 32, 32, 3)), tf.float32)
    for training in (False, True):
        prediction = model({"image": images}, training=training)
        translation = camera.weak_to_translation(
            prediction.camera, 5000.0, 224.0
        )
        points = (prediction.joints + translation[:, None])[0].numpy()
        pixels = 5000.0 * points[:, :2] / points[:, 2:]
        assert_close("body_metres", prediction.keypoints[0], pixels / 112)


def test_layers_start_as_pytorchs():
    """A linear layer's own, and Xavier's with a gain of 0.01."""
    layer = spin_regressor.Regressor(1024, 0.5, 3, np.zeros(157))
    layer.build((None, 2048))
    limits = {"fc1": 2205**-0.5, "fc2": 1024**-0.5}
    for name, numbers in (("decpose", 144), ("decshape", 10), ("deccam", 3)):
        limits[name] = 0.01 * (6 / (1024 + numbers)) ** 0.5
    for name, limit in limits.items():
        largest = np.abs(getattr(layer, name).kernel).max()
        assert largest == pytest.approx(limit, rel=0.01), name


def test_dropout_alone_is_between_the_layers(rng):
    """Without it the regressor is linear; with it, both layers drop half."""
    layer = spin_regressor.Regressor(64, 0.5, 1, np.zeros(157))
    layer.build((None, 8))
    layer.decpose.kernel.assign(rng.normal(size=(64, 144)))
    a, b = (tf.constant(rng.normal(size=(3, 8)), tf.float32) for _ in "ab")
    (one,), (second,), (combined,) = layer(a), layer(b), layer(a + 2 * b)
    assert_close("loss", combined, one + 2 * second)
    calls = []
    for name in ("fc2", "decpose"):
        part = getattr(layer, name)
        original_call = part.call
        part.call = lambda x, training=None, original_call=original_call: (
            calls.append(x) or original_call(x)
        )
    layer(tf.ones((200, 8)), training=True)
    for x in calls:
        assert np.mean(x.numpy() == 0) == pytest.approx(0.5, abs=0.03)


class Row:
    """What the rows of the batch below stand for."""

    KEPT_IS_TRUE, FOUND_IS_TRUE, UNSEEN, LABELLED = range(4)
    BOTH_ARE_FAR, EXTREME, BROKEN, EXTREME_FOUND, NOT_KEPT = range(4, 9)
    COUNT = 9


@pytest.fixture(scope="module")
def case(body_data):
    """A batch, a prediction of it and kept fits, and the truth's rotations."""
    rng = np.random.default_rng(4)
    count = Row.COUNT
    pose = tf.constant(rng.normal(0, 0.2, (count, 24, 3)), tf.float32)
    truth = rotations.rotvec_to_rotmat(pose)
    keypoint_body = Body(body_data, joints.KEYPOINTS, jit=False)
    upright = tf.constant(_theta.upright_rotmats(keypoint_body)[:1])
    truth = tf.concat([upright @ truth[:, :1], truth[:, 1:]], axis=1)
    betas = np.zeros((count, 10), np.float32)
    betas[Row.EXTREME, 0] = 4.0
    betas[Row.EXTREME_FOUND, 1] = -4.0
    seen_by = tf.constant([[0.8, 0.1, 0.2]] * count)
    points, _ = keypoint_body.keypoints(truth, tf.constant(betas))
    camera_points = (
        points + camera.weak_to_translation(seen_by, 5000.0, 224.0)[:, None]
    )
    uv = camera.project_perspective(
        camera_points, 5000.0 / 112, (0.0, 0.0)
    ).numpy()
    keypoints = np.concatenate([uv, np.ones((*uv.shape[:2], 1))], axis=2)
    keypoints[Row.UNSEEN] = 0
    large_rotation = rotations.rotvec_to_rotmat(tf.constant([0.0, 0.0, 1.5]))
    off = tf.concat([large_rotation @ truth[:, :1], truth[:, 1:]], axis=1)
    true_kept = np.isin(
        np.arange(count), [Row.KEPT_IS_TRUE, Row.EXTREME, Row.NOT_KEPT]
    )
    true_found = np.isin(
        np.arange(count), [Row.FOUND_IS_TRUE, Row.EXTREME_FOUND]
    )
    prediction_betas = np.zeros((count, 10), np.float32)
    prediction_betas[Row.EXTREME_FOUND] = betas[Row.EXTREME_FOUND]
    prediction_betas[Row.BROKEN] = np.nan
    pick = lambda flags: tf.where(flags[:, None, None, None], truth, off)  # noqa: E731
    labelled = np.float32(np.arange(count) == Row.LABELLED)
    shaped = np.float32(np.arange(count) == Row.KEPT_IS_TRUE) + labelled
    batch = {
        "keypoints": tf.constant(keypoints, tf.float32),
        "rotmats": tf.eye(3, batch_shape=[count, 24]),
        "betas": tf.ones((count, 10)),
        "has_pose": tf.constant(labelled),
        "has_betas": tf.constant(shaped),
    }
    prediction = method.Prediction(
        pick(true_found), prediction_betas, seen_by, None, None, None
    )
    # What stands where nothing is kept, as the mean body does, is no fit.
    has_fit = np.float32(~np.isin(np.arange(count), [Row.BROKEN, Row.NOT_KEPT]))
    stored_fits = method.Fits(pick(true_kept), tf.constant(betas), has_fit)
    return batch, prediction, stored_fits, truth


@pytest.fixture
def targets(body, monkeypatch):
    plain = functools.partial(in_the_loop.smplify.Fitter, jit=False)
    monkeypatch.setattr(in_the_loop.smplify, "Fitter", plain)
    return functools.partial(in_the_loop.FitTargets, body, "")


def test_the_better_fit_teaches_and_replaces(targets, case):
    batch, prediction, stored_fits, truth = case
    new_batch = targets(3)(batch, prediction, stored_fits)
    better = new_batch["fits"].kept.numpy()
    assert better[Row.FOUND_IS_TRUE] == better[Row.EXTREME_FOUND] == 1
    # The shape that teaches nothing is kept as it was found.
    assert (new_batch["betas"][Row.EXTREME_FOUND] == 0).numpy().all()
    assert new_batch["fits"].betas[Row.EXTREME_FOUND, 1] < -3.9
    assert better[Row.BOTH_ARE_FAR] in (0, 1)
    for row in (Row.KEPT_IS_TRUE, Row.UNSEEN, Row.LABELLED, Row.EXTREME):
        assert better[row] == 0
    assert better[Row.BROKEN] == 0
    valid = [Row.KEPT_IS_TRUE, Row.FOUND_IS_TRUE]
    valid += [Row.EXTREME, Row.EXTREME_FOUND]
    expected = np.isin(np.arange(Row.COUNT), valid)
    assert (new_batch["fits_valid"].numpy() > 0).tolist() == expected.tolist()
    assert (new_batch["has_pose"].numpy() > 0).tolist() == [
        bool(flag) or row == Row.LABELLED for row, flag in enumerate(expected)
    ]
    kept_row = Row.KEPT_IS_TRUE
    assert_close("rotation", new_batch["rotmats"][kept_row], truth[kept_row])
    # A shape that is labelled stays.
    assert_close(
        "exact", new_batch["betas"][kept_row], batch["betas"][kept_row]
    )
    # Three steps of 0.01 from the truth.
    label_errors = (
        new_batch["rotmats"][Row.FOUND_IS_TRUE] - truth[Row.FOUND_IS_TRUE]
    )
    assert 1e-4 < np.abs(label_errors).max() < 0.1


def test_labels_stay_and_extreme_shapes_teach_none(targets, case):
    batch, prediction, stored_fits, _ = case
    new_batch = targets(0)(batch, prediction, stored_fits)
    assert (new_batch["betas"][Row.EXTREME] == 0).numpy().all()
    assert new_batch["has_betas"][Row.EXTREME] == 1
    untaught = (Row.UNSEEN, Row.LABELLED, Row.BOTH_ARE_FAR)
    for row in (*untaught, Row.BROKEN, Row.NOT_KEPT):
        assert_close("exact", new_batch["rotmats"][row], batch["rotmats"][row])
        assert_close("exact", new_batch["betas"][row], batch["betas"][row])
    # Without steps nothing new is found.
    assert (new_batch["fits"].kept == 0).numpy().all()
    assert new_batch["fits_valid"][Row.FOUND_IS_TRUE] == 0
    fits_wanted = new_batch["fits_wanted"].numpy()
    assert (
        fits_wanted.sum() == 7
        and not fits_wanted[[Row.UNSEEN, Row.LABELLED]].any()
    )


def test_a_missing_prior_is_told_before_the_first_step(
    tiny_records, tmp_path, capsys
):
    """In a line; out of a graph it would come with the graph's own."""
    words = ["spin_quick", f"--workdir={tmp_path}", f"--records={tiny_records}"]
    small = ["--method.image-size=64", "--method.encoder-width=8"]
    prior = "--method.fit-prior=nowhere/gmm_08.pkl"
    assert fit.main([*words, *small, prior]) == 1
    error_lines = capsys.readouterr().err.splitlines()
    assert error_lines[-1].startswith(
        "training.fit: nowhere/gmm_08.pkl: no such file"
    )
    assert "smplify.is.tue.mpg.de" in error_lines[-1]
    assert not [line for line in error_lines if "File " in line]
