"""3D keypoints of free origin and size."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.support import landmark_people
from tests.support.closeness import assert_close
from tf_hmr import joints, landmark_fitting
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import keypoints_3d, priors, schedules

K = 9


@pytest.fixture
def term(rng):
    """Points of bodies, and estimates of them with weights."""
    points = rng.normal(0, 0.5, (3, K, 3))
    metres = points + rng.normal(0, 0.1, points.shape)
    weights = rng.uniform(0, 1, (3, K)) * (rng.random((3, K)) < 0.8)
    return [
        tf.constant(values, tf.float32) for values in (points, metres, weights)
    ]


def test_moving_and_scaling_the_estimate_changes_nothing(term, rng):
    points, metres, weights = term
    expected = keypoints_3d.energy(points, metres, weights, 0.3)
    scaled = 3.7 * metres + tf.constant(rng.normal(0, 2, (3, 1, 3)), tf.float32)
    assert_close(
        "loss", keypoints_3d.energy(points, scaled, weights, 0.3), expected
    )
    assert (expected.numpy() > 1e-3).all()


def test_the_bodys_own_points_have_no_energy(term):
    points, _, weights = term
    estimate = 0.2 * points - 5.0
    energy = keypoints_3d.energy(points, estimate, weights, 0.3)
    assert_close("loss", energy, np.zeros(3))


def test_a_turned_estimate_has_energy(term):
    """Origin and size are free, the orientation is not."""
    points, _, weights = term
    reversed_points = tf.reverse(points, axis=[2])
    energy = keypoints_3d.energy(points, reversed_points, weights, 0.3)
    assert (energy.numpy() > 0.01).all()


def test_gradient_is_that_of_finite_differences(term, rng):
    points, metres, weights = term
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = keypoints_3d.energy(points, metres, weights, 0.3)
    gradient = tape.gradient(total, points)
    way = tf.constant(rng.normal(0, 1, points.shape), tf.float32)
    step = 1e-3

    def at(side):
        return keypoints_3d.energy(
            points + side * step * way, metres, weights, 0.3
        )

    slope = (at(1) - at(-1)) / (2 * step)
    expected = tf.reduce_sum(gradient * way, axis=(1, 2))
    assert_close("first_order", slope, expected)


def test_unknown_keypoints_do_not_count(rng):
    values = rng.normal(0, 1, (2, len(joints.KEYPOINTS), 4))
    values[..., 3] = 1
    index = [4, 2, 7]
    values[0, 2, :] = np.nan
    values[1, 7, 0], values[1, 4, 3] = np.inf, -1
    metres, weights = keypoints_3d.cleaned(values, index)
    assert np.isfinite(metres).all()
    assert_close("exact", weights, [[1, 0, 1], [0, 1, 0]])
    energy = keypoints_3d.energy(metres + 1.0, metres, 0 * weights, 0.3)
    assert_close("exact", energy, np.zeros(2))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match="expected .B, 29, 4."):
        keypoints_3d.cleaned(np.zeros((1, 33, 4)), [0])


def test_one_start_takes_under_half_of_the_steps():
    def steps(schedule):
        stages = (stage.steps for stage in schedule.stages)
        return schedule.camera_steps + sum(stages)

    assert 2 * steps(schedules.LANDMARKS) < steps(schedules.KEYPOINTS)


def test_a_forearm_leans_the_way_that_3d_keypoints_say(body_data, rng):
    """Keypoints in the image do not say whether it points away."""
    pose = landmark_people.standing(rng, 0.05)
    elbow = joints.SMPL24.index("left_elbow")
    pose[elbow] = [0, -1.2, 0]
    focal, translation = 500.0, np.array([0.0, 0.2, 5.0])
    landmarks = landmark_people.of_pose(body_data, pose, translation, focal)
    keypoints = landmark_fitting.keypoints(landmarks)
    start = smplify.Parameters(
        np.where(np.arange(24)[:, None] == elbow, 0, pose).reshape(1, 72),
        np.zeros((1, 10)),
        translation[None],
    )
    schedule = dataclasses.replace(
        schedules.LANDMARKS,
        stages=tuple(
            dataclasses.replace(stage, steps=25)
            for stage in schedules.LANDMARKS.stages
        ),
        camera_steps=5,
    )
    fitter = smplify.Fitter(body_data, priors.load(), schedule, jit=False)
    wrist = joints.BLAZEPOSE33.index("left_wrist")
    shoulder = joints.BLAZEPOSE33.index("left_shoulder")
    true_depth = landmarks[wrist, 4] - landmarks[shoulder, 4]

    def depth(metres):
        fit = fitter(
            start,
            keypoints[None],
            focal,
            (
                (landmark_people.SIZE[0] - 1) / 2,
                (landmark_people.SIZE[1] - 1) / 2,
            ),
            keypoints_3d=metres,
        )
        fitted = landmark_people.of_pose(
            body_data, fit.pose.numpy().reshape(24, 3), translation, focal
        )
        return fitted[wrist, 4] - fitted[shoulder, 4]

    metres = landmark_people.keypoints_3d(landmarks)[None]
    assert abs(true_depth) > 0.15
    assert abs(depth(metres) - true_depth) < 0.05
    negated = metres.copy()
    negated[..., 2] *= -1
    assert abs(depth(negated) - true_depth) > 0.1
