"""What the rows of SMPLR's Table 1 need: its other networks and its outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr import joints, method
from tf_hmr.geometry import camera
from tf_hmr.methods import _smplr_maps
from tf_hmr.networks import (
    alexnet,
    soft_argmax,
    volume_losses,
    volume_targets,
    volumetric_hourglass,
)

SMALL = {
    "image_size": 72,
    "stacks": 1,
    "width": 8,
    "bins": 4,
    "levels": 1,
    "stem": (8, 8, 8),
    "hidden": 16,
    "crop": "truth",
}


def size(layer) -> int:
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def flat_size(stacks: int) -> int:
    network = volumetric_hourglass.VolumetricHourglass(stacks, bins=1)
    logits = network(keras.Input((256, 256, 3)))
    assert logits[-1].shape == (None, 64, 64, 45)
    return size(network)


def test_flat_hourglass_has_45_maps_and_the_rest_of_the_volumetric_one():
    """A bin is 256 numbers of the output of each of 45 maps."""
    assert flat_size(1) == 347_712 + 2_775_552 + 65_792 + 256 * 45


@pytest.mark.slow
def test_flat_hourglass_of_five_stacks():
    one, two = flat_size(1), flat_size(2)
    assert one + 4 * (two - one) == 14_920_256


def test_alexnet_has_its_size():
    """62,378,344 with 1,000 classes; here 23 joints."""
    network = alexnet.AlexNet(3 * 23)
    network(keras.Input((256, 256, 3)))
    assert size(network) == 62_378_344 - 1000 * 4097 + 69 * 4097
    with pytest.raises(ValueError, match="at least 67"):
        alexnet.AlexNet(3, width=8)(tf.zeros((1, 64, 64, 3)))


def test_flat_maps_say_nothing_of_depth(rng):
    """Neither do their targets, whatever the depth of the points."""
    points = tf.constant(rng.uniform(-0.3, 0.3, (2, 41, 3)), tf.float32)
    deeper = points + [[[0.0, 0.0, 0.2]]]
    sizes = (8, 8, 1)
    columns, rows, bins = volume_targets.gaussians(points, sizes)
    deeper_targets = volume_targets.gaussians(deeper, sizes)
    for one, two in zip((columns, rows, bins), deeper_targets, strict=True):
        assert_close("exact", one, two)
    assert_close("exact", bins, np.ones((2, 1, 41)))
    assert_close(
        "exact",
        volume_targets.limb_densities(points, sizes),
        volume_targets.limb_densities(deeper, sizes),
    )
    logits = tf.constant(rng.normal(size=(2, 8, 8, 45)), tf.float32)
    positions = soft_argmax.soft_argmax(logits, 1, 41)
    assert_close("exact", positions[..., 2], np.zeros((2, 41)))
    flags = np.ones((2, 41), np.float32)
    plane = volume_losses.softmax_cross_entropy(logits, points, flags, 1)
    # In two dimensions: the cross entropy with the product of two factors.
    target = rows[:, :, None] * columns[:, None]
    volume = tf.reshape(logits[..., :41], (2, 64, 41))
    weights = tf.reshape(target, (2, 64, 41))
    expected = tf.reduce_sum(weights, 1) * tf.reduce_logsumexp(volume, 1)
    expected -= tf.reduce_sum(weights * volume, 1)
    assert_close("loss", plane[0], tf.reduce_sum(expected, 1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bins": 1, "denoise": False}, "denoise=True"),
        ({"lift": True, "denoise": False}, "denoise=True"),
        ({"bins": 1, "crop": "estimated"}, "scale='learned'"),
    ],
)
def test_what_has_no_depth_needs_a_denoiser_and_a_scale(body, values, message):
    with pytest.raises(ValueError, match=message):
        method.create("smplr", body, **{**SMALL, **values})


@pytest.fixture(scope="module")
def model(body):
    return method.create("smplr", body, **SMALL)


def truly_found(model, rng, monkeypatch, depth=True):
    """A batch of labelled people whose points are found as they are."""
    batch = make_batch(rng, size=72, labelled=(1, 1, 1, 1))
    points, _ = model.points(batch["rotmats"], batch["betas"])
    scale = tf.ones((4, 1, 1))
    positions = points / 2 + [[[0.05, -0.1, 0.0]]]
    maps = _smplr_maps.Maps([], positions, scale, points)
    monkeypatch.setattr(model.encoder, "maps", lambda *_: maps)
    return batch, points


def labels_of(model, name, batch):
    return {label: batch[label] for label in model.output_labels(name)}


def test_every_output_has_its_joints(model, rng):
    batch = make_batch(rng, size=72)
    for name in model.outputs:
        prediction = model.output(
            name, model.inputs(batch), labels_of(model, name, batch)
        )
        names = model.output_joint_names(name)
        assert prediction.joints.shape == (4, len(names), 3)
        assert len(set(names)) == len(names)
        assert (prediction.vertices is None) == (name in ("cnn", "denoised"))


def test_points_are_those_that_were_found(model, rng, monkeypatch):
    batch, points = truly_found(model, rng, monkeypatch)
    # Untrained, the denoiser is the identity.
    for name in ("cnn", "denoised"):
        prediction = model.output(name, model.inputs(batch), {})
        assert model.output_joint_names(name)[1:] == joints.SMPLR41
        assert_close("exact", prediction.joints[:, 1:], points)
        assert_close("exact", prediction.joints[:, :1], np.zeros((4, 1, 3)))


def test_labels_stand_in_for_one_network(model, rng, monkeypatch):
    batch, points = truly_found(model, rng, monkeypatch)
    estimate = model.regressor(points, denoise=False)
    inputs = model.inputs(batch)
    shape = model.output("shape", inputs, {"rotmats": batch["rotmats"]})
    assert_close("exact", shape.rotmats, batch["rotmats"])
    assert_close("same_run", shape.betas, estimate.betas)
    pose = model.output("pose", inputs, {"betas": batch["betas"]})
    assert_close("exact", pose.betas, batch["betas"])
    prediction = model.output("all", inputs, {})
    assert_close("same_run", prediction.betas, estimate.betas)
    assert_close("same_run", prediction.rotmats, pose.rotmats)
    posed = model.body(prediction.rotmats, prediction.betas)
    assert_close("body_metres", prediction.vertices, posed.vertices)


def test_a_body_on_points_is_about_theirs_and_knows_its_own_pelvis(
    model, rng, monkeypatch
):
    batch, points = truly_found(model, rng, monkeypatch)
    inputs = model.inputs(batch)
    prediction = model.output("proc", inputs, {})
    names = model.output_joint_names("proc")
    assert names[0] == "pelvis" and names[-1] == method.OWN_PELVIS
    weights = model.point_weights
    middle = tf.reduce_sum(weights * prediction.joints[:, 1:-1], axis=1)
    assert_close("body_metres", middle, tf.reduce_sum(weights * points, axis=1))
    # Bones from its own pelvis are the body's.
    betas = model.regressor(points).betas
    rest = model.body(tf.eye(3, batch_shape=(4, 24)), betas).skeleton
    hip = joints.SMPL24.index("left_hip")
    length = tf.norm(rest[:, hip] - rest[:, 0], axis=1)
    posed_length = tf.norm(
        prediction.joints[:, hip] - prediction.joints[:, -1], axis=1
    )
    assert_close("body_metres", posed_length, length)
    # The camera sees the moved body where that of the answer is seen.
    model_answer = model.posed(
        model.encoder.maps(),
        model.output("all", inputs, {}).rotmats,
        betas,
        procrustes=True,
    )
    assert_close(
        "body_metres",
        camera.project_weak_perspective(prediction.vertices, prediction.camera),
        camera.project_weak_perspective(
            model_answer.vertices, model_answer.camera
        ),
    )


def test_without_landmarks_joints_alone_are_found_and_read(body, rng):
    model = method.create("smplr", body, **SMALL, landmarks=False)
    batch = make_batch(rng, size=72)
    maps = model.encoder.maps(model.encoder(model.encoder.inputs(batch)), batch)
    assert maps.points.shape == (4, 23, 3)
    answer = model(model.inputs(batch))
    posed = model.body(answer.rotmats, answer.betas)
    assert_close("body_metres", answer.vertices, posed.vertices)
    truth = model.encoder.truth(batch)
    expected, _ = model.points(batch["rotmats"], batch["betas"])
    assert_close("exact", truth.points, expected)
    terms = model.encoder.terms_of(truth, maps)
    assert float(terms["maps_1"].count[0]) == 23


def test_lifted_points_have_the_depth_of_the_denoiser(body, rng, monkeypatch):
    """A denoiser that gives all points a depth of 1 m."""
    model = method.create("smplr", body, **SMALL, lift=True)
    batch, points = truly_found(model, rng, monkeypatch)
    model.regressor.denoiser.out.bias.assign([0.0, 0.0, 1.0] * 41)
    lifted = model.output("denoised", model.inputs(batch), {}).joints[:, 1:]
    assert_close("exact", lifted[..., :2], points[..., :2])
    assert_close("exact", lifted[..., 2], np.ones((4, 41)))
    # The body is laid on lifted points.
    aligned = model.output("proc", model.inputs(batch), {}).joints[:, 1:-1]
    depth = tf.reduce_sum(model.point_weights * aligned, axis=1)[:, 2]
    assert_close("body_metres", depth, np.ones(4))


def test_parts_learn_from_pictures_and_the_hourglass_stays(body, rng):
    model = method.create("smplr", body, **SMALL, learn_from="pictures")
    batch = make_batch(rng, size=72)
    flags = model.encoder.truth(batch).labelled.numpy()
    assert 0 < flags.sum() < 4
    before = [v.numpy() for v in model.encoder.variables]
    for name in ("denoiser", "shape", "pose", "pose_smpl"):
        part = getattr(model, name)
        assert part.image_size == 72
        with tf.GradientTape(persistent=True) as tape:
            terms = part.terms(batch, part(part.inputs(batch), training=True))
            total = tf.add_n([tf.reduce_sum(t.total) for t in terms.values()])
        gradients = tape.gradient(total, part.player_variables())
        assert all(g is not None for g in gradients)
        stem = model.encoder.hourglass.conv.kernel
        assert tape.gradient(total, stem) is None
        for term in terms.values():
            assert_close("exact", term.count > 0, flags > 0)
    for variable, old in zip(model.encoder.variables, before, strict=True):
        assert_close("exact", variable, old)
