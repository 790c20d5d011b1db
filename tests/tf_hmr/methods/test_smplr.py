"""SMPLR: bodies on the points that were found, labels in the crop, stages."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.support import smplr_people
from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr import joints, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import rotations
from tf_hmr.methods import (
    _smplr_maps,
    _smplr_parts,
    _smplr_points,
    _smplr_regressor,
)

WRISTS = list(joints.select(("left_wrist", "right_wrist"), joints.SMPLR41))


@pytest.fixture(scope="module")
def model(body):
    return method.create("smplr", body, scale="learned", **smplr_people.SMALL)


def found_in(model, batch):
    """What the hourglass finds."""
    volumes = model.encoder(model.encoder.inputs(batch))
    return model.encoder.maps(volumes, batch)


def maps_at(model, points, scale):
    """What the hourglass would have found."""
    relative = points - model.encoder.root(points)
    return _smplr_maps.Maps([], points, scale, 2 * relative / scale)


def test_labels_are_where_the_camera_sees_the_body(model, rng):
    batch, camera = smplr_people.photographed(model, rng)
    truth = model.encoder.truth(batch)
    assert_close("ndc", truth.scale[:, 0, 0], camera[:, 0])
    points, _ = model.points(batch["rotmats"], batch["betas"])
    projected = camera[:, None, :1] * (points[..., :2] + camera[:, None, 1:])
    assert_close("ndc", 2 * truth.places[..., :2], projected)
    depth = camera[:, None, 0] * points[..., 2]
    assert_close("ndc", 2 * truth.places[..., 2], depth)
    assert_close("exact", truth.labelled, np.ones(4))


def test_a_hidden_keypoint_may_be_anywhere(model, rng):
    batch, camera = smplr_people.photographed(model, rng)
    stored = batch["keypoints"].numpy()
    stored[:, 3:7] = (np.nan, np.nan, 0)
    truth = model.encoder.truth(batch | {"keypoints": tf.constant(stored)})
    assert_close("ndc", truth.scale[:, 0, 0], camera[:, 0])


def test_unlabelled_examples_teach_nothing(model, rng):
    """Nor do those whose camera is unknown, or who are tiny in their crop."""
    small = (0.05, 0, 0)
    batch, _ = smplr_people.photographed(
        model, rng, ((1.1, 0, 0),) * 3 + (small,)
    )
    stored = batch["keypoints"].numpy()
    stored[2, 3:, 2] = 0
    batch |= {
        "keypoints": tf.constant(stored),
        "has_pose": tf.constant([1.0, 0.0, 1.0, 1.0]),
    }
    prediction = model(model.inputs(batch), training=True)
    nan_labels = {
        name: tf.where(
            tf.reshape(batch["has_pose"], [-1] + [1] * (v.shape.rank - 1)) > 0,
            v,
            np.nan,
        )
        for name, v in batch.items()
        if name in ("rotmats", "betas")
    }
    terms = model.terms(batch | nan_labels, prediction)
    assert (
        len(terms) == 10
    )  # Two for each stack, places, scale, four of bodies.
    for name, term in terms.items():
        assert (term.count[1:].numpy() == 0).all(), name
        assert (term.total[1:].numpy() == 0).all(), name
        assert term.count[0] > 0 and np.isfinite(term.total[0]), name


def test_the_body_is_laid_on_points_that_were_found(model, rng):
    """Of another global rotation and place, it is exactly where they are."""
    batch, camera = smplr_people.photographed(model, rng)
    truth = model.encoder.truth(batch)
    maps = maps_at(model, truth.places, truth.scale)
    rotmats, betas = batch["rotmats"], batch["betas"]
    other_rotmats, _ = smplr_people.bodies(rng)
    rotated = tf.concat([other_rotmats[:, :1], rotmats[:, 1:]], axis=1)
    posed = model.posed(maps, rotated, betas, procrustes=True)
    true = model.body(rotmats, betas)
    assert_close("body_metres", posed.vertices, true.vertices)
    assert_close("body_metres", posed.joints, true.joints)
    rows = list(joints.select(model.joint_names, of=joints.KEYPOINTS))
    expected = tf.gather(batch["keypoints"], rows, axis=1)[..., :2]
    assert_close("body_metres", posed.keypoints, expected)
    # And the law of the contract: the answer's rotations pose that body.
    reposed = model.body(posed.rotmats, posed.betas)
    assert_close("body_metres", posed.vertices, reposed.vertices)
    plain = model.posed(maps, rotated, betas, procrustes=False)
    assert np.abs(plain.vertices - true.vertices).max() > 0.05


@pytest.fixture(scope="module")
def plain(body):
    """The scale from bones, no limbs and the code's loss."""
    return method.create(
        "smplr",
        body,
        **smplr_people.SMALL,
        heatmap_loss="sigmoid_code",
        denoise=False,
    )


def test_bones_of_the_mean_body_give_the_scale(plain, rng):
    model = plain
    scales = np.float32([0.8, 1.1, 1.4, 1.9])
    batch, _ = smplr_people.photographed(
        model, rng, [(s, 0.1, 0) for s in scales]
    )
    batch["betas"] = tf.zeros_like(batch["betas"])
    points, _ = model.points(batch["rotmats"], batch["betas"])
    relative = scales[:, None, None] * points / 2
    estimated = model.encoder.find_scale({}, None, relative)[:, 0, 0]
    assert_close("ndc", estimated, scales)
    # A person of no size, and one larger than any crop.
    ends = model.encoder.find_scale({}, None, relative * [[[1e-4]]])
    assert_close("exact", ends[:, 0, 0], np.full(4, 0.72, np.float32))
    ends = model.encoder.find_scale({}, None, relative * [[[1e4]]])
    assert_close("exact", ends[:, 0, 0], np.full(4, 2.08, np.float32))


def test_a_true_crop_gives_the_scale(body, rng):
    values = {**smplr_people.SMALL, "stacks": 1, "levels": 1}
    model = method.create("smplr", body, crop="truth", **values)
    assert model.input_names == ("image", "intrinsics", "depth")
    batch = make_batch(rng)
    prediction = model(model.inputs(batch))
    focal, depth = batch["intrinsics"][:, 0], batch["depth"][:, 0]
    assert_close("relative_float32", prediction.camera[:, 0], focal / depth)


def test_the_root_is_near_the_pelvis(body_data, rng):
    """Whatever the shape, turn and place; its weights damp noise."""
    root = _smplr_points.Root(body_data)
    rest, blends = _smplr_points.rest_points(body_data)
    shapes = np.einsum("np,pkc->nkc", rng.normal(size=(200, 10)), blends)
    shapes = np.float32(rest + shapes)
    turn = rotations.rotvec_to_rotmat(tf.constant([[0.4, -1.0, 2.0]]))
    move = (3.0, 1.0, -2.0)
    roots = root(shapes[:, 1:] @ turn.numpy()[0].T + move)
    expected = shapes[:, :1] @ turn.numpy()[0].T + move
    errors = np.linalg.norm(roots - expected, axis=2)
    assert errors.max() < 0.025  # Hips are 0.1 m from it.
    assert np.square(root.weights).sum() < 0.5**2


@pytest.mark.parametrize("spoil", ["coincident", "outside", "flat"])
def test_wrong_points_give_a_finite_body_and_gradient(model, rng, spoil):
    points = rng.uniform(-0.3, 0.3, (2, 41, 3)).astype(np.float32)
    if spoil == "coincident":
        points[:] = points[:, :1]
    elif spoil == "outside":
        points[0] *= 1e3
    else:
        points[..., 2] = 0
    points = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        maps = maps_at(model, points, tf.ones((2, 1, 1)))
        estimate = model.regressor(maps.points)
        rotmats = _smplr_regressor.rotations_of(estimate)
        posed = model.posed(maps, rotmats, estimate.betas, procrustes=True)
        total = tf.add_n([tf.reduce_sum(value) for value in posed[:5]])
    assert np.isfinite(tape.gradient(total, points)).all()
    for value in posed[:6]:
        assert np.isfinite(value).all()
    matrices = posed.rotmats.numpy()
    eye = np.eye(3) * np.ones((2, 24, 1, 1))
    assert_close("rotation", matrices @ np.swapaxes(matrices, 2, 3), eye)


def test_a_black_picture_gives_a_finite_body_and_gradient(model, rng):
    batch, _ = smplr_people.photographed(model, rng)
    batch["image"] = tf.zeros_like(batch["image"])
    for value in model(model.inputs(batch))[:6]:
        assert np.isfinite(value).all()
    with tf.GradientTape() as tape:
        prediction = model(model.inputs(batch), training=True)
        terms = model.terms(batch, prediction).values()
        total = tf.add_n([tf.reduce_sum(term.total) for term in terms])
    for gradient in tape.gradient(total, model.player_variables()):
        assert np.isfinite(gradient).all()


def test_frozen_networks_keep_weights_and_batch_statistics(model, rng):
    """End to end only the hourglass moves, though gradients go through all."""
    batch, _ = smplr_people.photographed(model, rng)
    frozen = [v.numpy() for v in model.regressor.variables]
    mine = {id(v) for v in model.regressor.trainable_variables}
    assert not mine & {id(v) for v in model.player_variables()}
    with tf.GradientTape() as tape:
        prediction = model(model.inputs(batch), training=True)
        term = model.terms(batch, prediction)["smpl"]
        total = tf.reduce_sum(term.total)
    # The body's loss reaches the hourglass through the networks.
    stem = model.encoder.hourglass.conv.kernel
    assert np.abs(tape.gradient(total, stem)).max() > 0
    for variable, before in zip(model.regressor.variables, frozen, strict=True):
        assert_close("exact", variable, before)


@pytest.mark.parametrize("name", ["denoiser", "shape", "pose", "pose_smpl"])
def test_a_part_trains_its_own_network_alone(model, rng, name):
    batch, part = make_batch(rng), getattr(model, name)
    with tf.GradientTape() as tape:
        terms = part.terms(batch, part(part.inputs(batch), training=True))
        total = tf.add_n([tf.reduce_sum(t.total) for t in terms.values()])
    variables = part.player_variables()
    assert {id(v) for v in variables} == {
        id(v) for v in part.trained.trainable_variables
    }
    has_gradient = [g is not None for g in tape.gradient(total, variables)]
    assert (
        all(has_gradient)
        and len(terms) == (1, 2)[name in ("shape", "pose_smpl")]
    )


def test_noise_is_the_papers_and_new_in_each_step(model, rng):
    batch = make_batch(rng)
    pose = rotations.rotvec_to_rotmat(
        tf.constant(
            rng.normal(0, 0.3, (1, 24, 3)) * (np.arange(24) > 0)[:, None],
            tf.float32,
        )
    )
    batch["prior_rotmats"] = tf.repeat(pose, 500, axis=0)
    batch["prior_betas"] = tf.zeros((500, 10))
    batch["prior_gender"] = tf.zeros((500,))
    first, second = (
        model.shape.sampler(*model.shape.inputs(batch)) for _ in "ab"
    )
    displacement = np.linalg.norm(first.noisy - first.points, axis=2)
    ranges = _smplr_parts.noise_ranges()
    noise = ranges * rng.uniform(-1, 1, (2000, 41, 3))
    mean_mm = 1000 * np.linalg.norm(noise, axis=2).mean()
    assert mean_mm == pytest.approx(25.2, abs=0.2)
    # The mean that stands for the pelvis moves, too.
    assert 1000 * displacement.mean() == pytest.approx(mean_mm, abs=3)
    ranges = np.linalg.norm(ranges, axis=1)
    assert displacement[:, WRISTS].mean() > 2 * displacement[:, :2].mean()
    assert (displacement.max(axis=0) < ranges + 0.03).all()
    assert np.abs(first.noisy - second.noisy).max() > 0.1
    # Bodies face every way, upright as a rule: y points down.
    ahead = first.rotmats[:, 0].numpy()
    assert (ahead[:, 1, 1] < -0.5).mean() > 0.8
    assert abs(ahead[:, 2, 2].mean()) < 0.15 and ahead[:, 2, 2].std() > 0.5


def test_an_unknown_gender_does_not_count(model, rng):
    batch = make_batch(rng)
    gender = batch["prior_gender"].numpy()
    gender[0] = 0
    batch["prior_gender"] = tf.constant(gender)
    sample, numbers = model.shape(model.shape.inputs(batch))
    term = model.shape.terms(batch, (sample, numbers))["shape"]
    assert_close("exact", term.count, np.where(gender == 0, 10, 11))
    changed = numbers.numpy()
    changed[0, -1] += 5
    changed_term = model.shape.terms(batch, (sample, changed))["shape"]
    assert_close("exact", changed_term.total[0], term.total[0])


def test_the_denoiser_starts_as_the_identity(model, rng):
    points = rng.normal(size=(3, 41, 3)).astype(np.float32)
    estimate = model.regressor(points)
    assert_close("exact", estimate.points, points)


def test_the_learned_scale_starts_at_that_of_people_in_boxes(model, rng):
    batch = make_batch(rng)
    maps = found_in(model, batch)
    assert maps.scale.numpy() == pytest.approx(1.08, abs=0.1)


def test_the_codes_loss_is_chosen_by_the_config(plain, rng):
    batch, _ = smplr_people.photographed(plain, rng)
    encoder = plain.encoder
    terms = encoder.terms(batch, encoder(encoder.inputs(batch)))
    assert set(terms) == {"maps_1", "maps_2", "places"}
    # Softmax has a nat or more for each point, the mean of voxels does not.
    assert float(tf.reduce_sum(terms["maps_1"].count)) > 1e5


def test_without_a_denoiser_points_stay_as_they_are(plain, rng):
    points = rng.normal(size=(3, 41, 3)).astype(np.float32)
    assert plain.denoiser is None and plain.regressor.denoiser is None
    assert_close("exact", plain.regressor(points).points, points)


def test_a_body_without_landmarks_is_refused(body_data):
    foreign_body = dataclasses.replace(body_data, topology="mine")
    with pytest.raises(ValueError, match="topology 'mine'"):
        method.create(
            "smplr", Body(foreign_body, jit=False), **smplr_people.SMALL
        )


def test_parameters_of_the_papers_small_networks(body):
    """3.41, 2.49 and 2.77 million, as in its code."""
    values = {**smplr_people.SMALL, "stacks": 1, "levels": 1}
    values["hidden"] = method.make_config("smplr").hidden
    regressor = method.create("smplr", body, **values).regressor
    counts = [
        sum(int(np.prod(v.shape)) for v in layer.trainable_variables)
        for layer in (regressor.denoiser, regressor.shape, regressor.pose)
    ]
    assert counts == [3_411_579, 2_485_779, 2_768_392]
