"""The lifter: what must hold whatever its weights are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints, method
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import lifter

ROW = joints.BLAZEPOSE33.index


@pytest.fixture(scope="module")
def model(body):
    """Untrained, but for a last layer that answers to its input."""
    network = method.create("lifter", body, hidden=32)
    kernel = network.regressor.last.kernel
    kernel.assign(np.random.default_rng(3).normal(0, 0.2, kernel.shape))
    return network


@pytest.fixture
def landmarks(rng) -> np.ndarray:
    """(3, 33, 7), all used."""
    values = rng.normal(0, 0.4, (3, len(joints.BLAZEPOSE33), 7))
    values[..., 5:] = rng.uniform(0.6, 1, values[..., 5:].shape)
    return np.float32(values)


def lifted(model, landmarks, training=False):
    return model({"landmarks": tf.constant(landmarks)}, training=training)


def mirrored(landmarks):
    swapped = landmarks[:, list(joints.mirror(joints.BLAZEPOSE33))]
    return swapped * np.float32([-1, 1, -1, 1, 1, 1, 1])


def test_mirrored_landmarks_give_the_mirrored_body(model, landmarks):
    plain = lifted(model, landmarks)
    reflected = lifted(model, mirrored(landmarks))
    assert_close(
        "body_metres",
        reflected.rotmats,
        rotations.mirror_rotmats(plain.rotmats),
    )
    assert_close("body_metres", reflected.betas, plain.betas)
    # Not by symmetry alone: the two bodies differ.
    assert np.abs(reflected.rotmats - plain.rotmats).max() > 0.1


def test_a_policy_does_not_round_its_layers(body, model, landmarks):
    """Landmarks are metres and pixels, of which bfloat16 has 8 bits."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        rounded = method.create("lifter", body, hidden=32)
    finally:
        keras.config.set_dtype_policy("float32")
    rounded.set_weights(model.get_weights())
    assert_close(
        "exact",
        lifted(rounded, landmarks).rotmats,
        lifted(model, landmarks).rotmats,
    )


def test_the_crop_matters_to_the_camera_alone(model, landmarks):
    """Landmarks of a crop that is half as large and shifted."""
    recropped = landmarks.copy()
    recropped[..., :2] = 2 * recropped[..., :2] + np.float32([0.3, -0.2])
    plain, prediction = lifted(model, landmarks), lifted(model, recropped)
    assert_close("body_metres", prediction.vertices, plain.vertices)
    assert_close(
        "ndc",
        prediction.keypoints / 2,
        plain.keypoints + np.float32([0.15, -0.1]),
    )


def test_landmarks_outside_the_photo_do_not_count(model, landmarks):
    landmarks[:, ROW("left_ankle"), 6] = lifter.INSIDE - 0.1
    shifted = landmarks.copy()
    shifted[:, ROW("left_ankle"), :5] += 3
    shifted[:, ROW("left_ankle"), 5] = 0.1
    plain, prediction = lifted(model, landmarks), lifted(model, shifted)
    assert_close("exact", prediction.vertices, plain.vertices)
    assert_close("exact", prediction.camera, plain.camera)
    shifted[:, ROW("left_ankle"), 6] = 1
    assert np.abs(lifted(model, shifted).vertices - plain.vertices).max() > 1e-3


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_landmarks_give_a_finite_body(model, landmarks, count):
    landmarks[:, count:] = 0
    answer = lifted(model, landmarks)
    for name in ("vertices", "camera", "keypoints"):
        assert np.isfinite(getattr(answer, name)).all(), name
    assert (answer.camera.numpy()[:, 0] > 0).all()


def test_landmarks_on_one_point_give_a_finite_body(model, landmarks):
    landmarks[..., :5] = 0.25
    answer = lifted(model, landmarks)
    assert np.isfinite(answer.vertices).all()
    assert (
        np.isfinite(answer.camera).all()
        and (answer.camera.numpy()[:, 0] > 0).all()
    )


def test_the_camera_of_exact_projections_is_found(rng):
    points = tf.constant(rng.normal(0, 0.5, (4, 9, 3)), tf.float32)
    true = np.float32(rng.uniform([0.3, -1, -1], [1.5, 1, 1], (4, 3)))
    image = camera.project_weak_perspective(points, true)
    weight = tf.constant(rng.uniform(0.1, 1, (4, 9, 1)), tf.float32)
    assert_close(
        "body_metres", lifter.fitted_camera(points, image, weight), true
    )


def test_a_camera_never_turns_a_body_inside_out(rng):
    """Joints on the wrong side would ask for a negative scale."""
    points = tf.constant(rng.normal(0, 0.5, (4, 9, 3)), tf.float32)
    weight = tf.ones((4, 9, 1))
    scale = lifter.fitted_camera(points, -points[..., :2], weight)[:, 0]
    assert (scale.numpy() > 0.4).all()


def test_an_untrained_lifter_answers_its_mean(body, landmarks, rng):
    untrained = method.create("lifter", body, hidden=32)
    turns = np.float32(rng.normal(0, 0.3, (24, 3)))
    turns = rotations.rotvec_to_rotmat(turns).numpy()
    # Its own mirror image, as the lifter's answer to nothing must be.
    turns = rotations.nearest_rotmat(
        turns + rotations.mirror_rotmats(turns).numpy()
    )
    untrained.initialize_from_mean(turns, np.arange(10.0))
    answer = lifted(untrained, landmarks)
    assert_close("rotation", answer.rotmats, np.tile(turns, (3, 1, 1, 1)))
    assert_close("exact", answer.betas, np.tile(np.arange(10.0), (3, 1)))
    rotmats, betas = untrained.mean_body()
    assert_close("rotation", rotmats, turns)
    assert_close("exact", betas, np.arange(10.0))


def test_training_hides_groups_and_adds_noise(body, landmarks):
    def answers(**values):
        network = method.create(
            "lifter", body, hidden=32, dropout=0.0, **values
        )
        kernel = network.regressor.last.kernel
        kernel.assign(np.random.default_rng(3).normal(0, 0.2, kernel.shape))
        return [
            lifted(network, landmarks, training=flag).rotmats.numpy()
            for flag in (False, True, True)
        ]

    plain, first, second = answers(noise=0.0, missing=0.0)
    assert_close("rotation", first, plain)
    assert_close("rotation", second, plain)
    for values in ({"noise": 0.1}, {"missing": 0.5}):
        fields = {"noise": 0.0, "missing": 0.0} | values
        plain, first, second = answers(**fields)
        assert np.abs(first - plain).max() > 1e-3
        assert np.abs(first - second).max() > 1e-3


def test_groups_that_training_hides_are_landmarks_of_both_sides():
    groups = {frozenset(group) for group in lifter._MISSING}
    for group in groups:
        assert group <= set(joints.BLAZEPOSE33)
        assert frozenset(map(joints.mirror_name, group)) in groups
