"""The acceleration term is an integral by the video's clock; what it holds."""

import dataclasses

import numpy as np
import pytest

from tests.support import landmark_people
from tests.support.closeness import assert_close
from tf_hmr import keypoint_fitting, landmark_fitting
from tf_hmr.body.data import BodyData
from tf_hmr.smplify import over_time, priors, schedules


def energy(points, seconds):
    return over_time.acceleration_energy(
        np.float32(points), np.float32(seconds)
    ).numpy()


def parabola(seconds, acceleration=(3.0, -2.0, 1.0)):
    """One joint of constant acceleration (T, 1, 3)."""
    times = np.asarray(seconds)[:, None, None]
    return 0.5 * np.array(acceleration) * times**2 + 0.3 * times + 1.0


def test_constant_acceleration_is_known_at_uneven_times():
    seconds = [0.0, 0.1, 0.15, 0.3, 0.4]
    result = energy(parabola(seconds), seconds)
    # Half of the time to both neighbours, times the squared acceleration.
    expected = 14.0 * np.array([0, 0.075, 0.1, 0.125, 0])
    np.testing.assert_allclose(result, expected, rtol=1e-3)


def test_straight_motion_costs_nothing():
    seconds = [0.0, 0.1, 0.15, 0.3, 0.4]
    assert energy(parabola(seconds, (0, 0, 0)), seconds).max() < 1e-6


def test_twice_the_rate_costs_the_same():
    sums = [
        energy(parabola(np.linspace(0, 1, n)), np.linspace(0, 1, n)).sum()
        for n in (26, 51)
    ]
    # They end a frame before the video does.
    assert sums[0] == pytest.approx(sums[1], rel=0.03)


@pytest.mark.parametrize("step", [0.0, 2 * over_time.MAX_GAP_S])
def test_a_gap_holds_nothing(step, rng):
    points = rng.normal(size=(4, 2, 3))
    result = energy(points, [0.0, 0.1, 0.1 + step, 0.2 + step])
    assert_close("exact", result, np.zeros(4))


def test_padding_holds_and_moves_nothing(rng):
    seconds, points = np.array([0.0, 0.1, 0.2]), rng.normal(size=(3, 2, 3))
    frames = over_time.padded(over_time.Frames(seconds, np.ones(3)), 2)
    repeated = np.concatenate([points, points[-1:], points[-1:]])
    padded = energy(repeated, frames.seconds)
    assert_close("relative_float32", padded[:3], energy(points, seconds))
    assert_close("exact", padded[3:], np.zeros(2))
    assert frames.moves.tolist() == [1, 1, 1, 0, 0]


def test_who_moves_shares_one_shape(rng):
    betas = np.float32(rng.normal(size=(3, 10)))
    frames = over_time.Frames(np.zeros(3, np.float32), np.float32([1, 1, 0]))
    mean = betas[:2].mean(axis=0)
    shared = over_time.shared(betas, frames).numpy()
    assert_close("relative_float32", shared, np.stack([mean] * 3))


def test_held_frames_stay_and_hold_others(rng):
    """A short schedule: what moves, not how well it fits."""
    data = BodyData.load("open")
    schedule = schedules.video(5.0)
    stage = dataclasses.replace(schedule.stages[0], steps=5)
    schedule = dataclasses.replace(schedule, camera_steps=5, stages=(stage,))
    fitter = keypoint_fitting.PeopleFitter(
        data, priors.load(), schedule, jit=False, batch_size=4
    )
    pose = landmark_people.standing(rng)
    landmarks = landmark_people.of_pose(data, pose, np.array([0, 0, 4.0]), 400)
    betas = np.zeros(10)
    start = (pose + 0.05, betas, np.array([0.0, 0.0, 4.2]))
    task = keypoint_fitting.Task(
        landmark_fitting.keypoints(landmarks),
        landmark_people.SIZE,
        400.0,
        start,
        landmark_people.keypoints_3d(landmarks),
    )
    far_task = task._replace(start=(pose - 0.1, betas, np.array([0.1, 0, 4.0])))
    moves = np.array([0.0, 1.0, 1.0])

    def fit(seconds):
        frames = over_time.Frames(np.array(seconds), moves)
        return fitter([task, far_task, far_task], frames=frames)

    close_fits, spaced_fits = fit([0, 0.04, 0.08]), fit([0, 3.0, 6.0])
    for fits in (close_fits, spaced_fits):
        assert_close("rotation", fits[0].person.pose, np.float32(start[0]))
        assert_close("exact", fits[0].person.translation, np.float32(start[2]))
        assert np.abs(fits[1].person.pose - far_task.start[0]).max() > 1e-3
    # Held together, frames go other ways than alone.
    difference = close_fits[1].person.pose - spaced_fits[1].person.pose
    assert np.abs(difference).max() > 1e-3
