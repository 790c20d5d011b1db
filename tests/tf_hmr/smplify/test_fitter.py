import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.formats import openpose_files
from tf_hmr.geometry import camera, rotations
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import priors, schedules

FOCAL_PX, CENTRE = 5000.0, (112.0, 112.0)
SHORT = schedules.Schedule(
    stages=(schedules.Stage(steps=12, lean=20),),
    camera_steps=8,
)


@pytest.fixture(scope="module")
def mixture() -> priors.Mixture:
    return priors.load()


@pytest.fixture(scope="module")
def fitter(body_data, mixture) -> smplify.Fitter:
    return smplify.Fitter(body_data, mixture, SHORT, jit=False)


@pytest.fixture(scope="module")
def spin(body_data, mixture) -> smplify.Fitter:
    """SPIN's schedule, compiled as it is used."""
    return smplify.Fitter(body_data, mixture)


def people(body, mixture, rng, count=3):
    """True bodies and their exact keypoints (count, 29, 3)."""
    rows = rng.integers(0, len(mixture.means), count)
    pose = np.concatenate(
        [np.tile([np.pi, 0, 0], (count, 1)), mixture.means[rows]], axis=1
    )
    pose = np.float32(pose + rng.normal(0, 0.05, pose.shape))
    betas = np.float32(rng.normal(0, 0.5, (count, 10)))
    translations = np.float32(rng.normal((0, 0, 45), (0.1, 0.1, 1), (count, 3)))
    true = smplify.Parameters(pose, betas, translations)
    return true, projected_keypoints(body, true)


def projected_keypoints(fitter, at):
    rotvecs = tf.reshape(at.pose, [-1, 24, 3])
    points = fitter._body.keypoints(
        rotations.rotvec_to_rotmat(rotvecs), at.betas
    )[0]
    pixels = camera.project_perspective(
        points + at.translation[:, None], FOCAL_PX, CENTRE
    )
    ones = np.ones_like(pixels[..., :1])
    return np.concatenate([pixels, ones], axis=2)


@pytest.fixture(scope="module")
def subjects(fitter, mixture):
    return people(fitter, mixture, np.random.default_rng(5))


def nearby(true, rng, by=0.1):
    pose = np.float32(true.pose + rng.normal(0, by, true.pose.shape))
    return true._replace(pose=pose, betas=np.zeros_like(true.betas))


@pytest.mark.parametrize(
    "term", ["keypoints", "pose_prior", "angle_prior", "shape_prior", "lean"]
)
def test_gradient_of_each_term_is_that_of_finite_differences(
    term, fitter, subjects, rng
):
    true, keypoints = subjects
    start = nearby(true, rng)
    start = start._replace(betas=true.betas)
    x, view = fitter._prepare(start, keypoints, FOCAL_PX, CENTRE)
    weights = {name: float(name == term) for name in fitter._table}
    if term != "keypoints":
        view = view._replace(weights=tf.zeros_like(view.weights))

    def energy(x):
        return fitter._energy(x, view, weights)

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = energy(x)
    gradient = tape.gradient(total, x).numpy()
    scale = np.abs(gradient).max(axis=1)
    assert (scale > 0).all()
    step = 1e-2
    # What the term turns most on, for any of the bodies, and others.
    most = np.unique(np.argmax(np.abs(gradient), axis=1))
    for column in {*most.tolist(), 0, 4, 55, 73, 83}:
        side = np.zeros(x.shape, np.float32)
        side[:, column] = step
        slope = (energy(x + side) - energy(x - side)).numpy() / (2 * step)
        assert np.all(np.abs(slope - gradient[:, column]) < 0.02 * scale)


def test_a_fit_meets_exact_keypoints_and_finds_the_pose(
    fitter, spin, subjects, rng
):
    true, keypoints = subjects
    start = nearby(true, rng)
    before = fitter.joint_losses(start, keypoints, FOCAL_PX, CENTRE)
    fit = spin(start, keypoints, FOCAL_PX, CENTRE)
    # Squared pixels, of x and y: 2 px off would be 8.
    assert np.all(fit.score.numpy() < 8)
    assert np.all(fit.score < 0.1 * tf.reduce_mean(before, axis=1))
    off = np.abs(fit.pose.numpy() - true.pose).mean()
    assert off < 0.8 * np.abs(start.pose - true.pose).mean()
    parameters = smplify.Parameters(*fit[:3])
    losses_again = fitter.joint_losses(parameters, keypoints, FOCAL_PX, CENTRE)
    # XLA and the plain graph: float32 pixels at 45 m, squared.
    np.testing.assert_allclose(
        losses_again, fit.joint_losses, rtol=1e-2, atol=1e-3
    )


def test_bodies_do_not_see_each_other(fitter, subjects, rng):
    true, keypoints = subjects
    start = nearby(true, rng)
    together = fitter(start, keypoints, FOCAL_PX, CENTRE)
    for row in (0, 2):
        one = smplify.Parameters(*(part[row : row + 1] for part in start))
        single_fit = fitter(one, keypoints[row : row + 1], FOCAL_PX, CENTRE)
        assert_close("same_run", single_fit.pose[0], together.pose[row])


def test_joints_without_confidence_do_not_matter(fitter, subjects, rng):
    true, keypoints = subjects
    start, hidden = nearby(true, rng), keypoints.copy()
    rows = joints.select(("left_hip", "right_wrist"), joints.KEYPOINTS)
    hidden[:, rows, 2] = 0
    fit = fitter(start, hidden, FOCAL_PX, CENTRE)
    hidden[:, rows, :2] = np.nan
    fit_again = fitter(start, hidden, FOCAL_PX, CENTRE)
    assert_close("exact", fit_again.pose, fit.pose)
    assert np.isfinite(fit.pose).all()


def detections_of(fitter, at, keypoints):
    """OpenPose's joints of true bodies (B, 25, 3), of confidence 0.5."""
    detections = np.zeros((len(keypoints), 25, 3), np.float32)
    rotvecs = tf.reshape(at.pose, [-1, 24, 3])
    _, skeleton = fitter._body.keypoints(
        rotations.rotvec_to_rotmat(rotvecs), at.betas
    )
    points = (skeleton + at.translation[:, None])[:, 0]
    hips = camera.project_perspective(points[:, None], FOCAL_PX, CENTRE)
    for row, name in enumerate(openpose_files.BODY25):
        if name in joints.KEYPOINTS:
            detections[:, row] = keypoints[:, joints.KEYPOINTS.index(name)]
    detections[:, openpose_files.BODY25.index("between_hips"), :2] = hips[:, 0]
    # The neck, which is no joint of the body here, is far off.
    detections[:, 1] = 1000
    detections[..., 2] = 0.5
    return detections


def test_detections_are_a_second_set_of_keypoints(fitter, subjects):
    """nkolot/SPIN: smplify/losses.py; hips and neck are not counted."""
    true, keypoints = subjects
    detections = detections_of(fitter, true, keypoints)
    args = true, keypoints, FOCAL_PX, CENTRE
    plain_losses = fitter.joint_losses(*args).numpy()
    losses = fitter.joint_losses(*args, detections).numpy()
    count = plain_losses.shape[1]
    assert losses.shape == (len(keypoints), count + 25)
    assert_close("exact", losses[:, :count], plain_losses)
    assert losses.max() < 1e-2
    shifted = detections + np.float32([3, 4, 0])
    losses = fitter.joint_losses(*args, shifted).numpy()[:, count:]
    robust = sum(1e4 * d**2 / (1e4 + d**2) for d in (3, 4))
    uncounted = ("between_shoulders", "left_hip", "right_hip")
    for row, name in enumerate(openpose_files.BODY25):
        expected = 0 if name in uncounted else 0.5**2 * robust
        np.testing.assert_allclose(losses[:, row], expected, rtol=0.02)
    with pytest.raises(ValueError, match=r"openpose_files\.BODY25 order"):
        fitter.joint_losses(*args, detections[:, :24])


def test_a_body_is_fitted_to_detections_alone(fitter, subjects, rng):
    true, keypoints = subjects
    start = nearby(true, rng)
    detections = detections_of(fitter, true, keypoints)
    hidden = np.zeros_like(keypoints)
    before = fitter.joint_losses(start, hidden, FOCAL_PX, CENTRE, detections)
    fit = fitter(start, hidden, FOCAL_PX, CENTRE, detections)
    assert np.all(
        tf.reduce_sum(fit.joint_losses, 1) < 0.5 * tf.reduce_sum(before, 1)
    )


@pytest.mark.parametrize("name", ["SPIN", "ORIGINAL", "KEYPOINTS"])
def test_the_camera_is_fitted_to_labelled_torso_joints_alone(
    name, body_data, mixture, subjects
):
    true, keypoints = subjects
    hidden = keypoints.copy()
    hidden[:, joints.KEYPOINTS.index("left_hip")] = 0
    schedule = getattr(schedules, name)
    fitter = smplify.Fitter(body_data, mixture, schedule, jit=False)
    torso = list(joints.select(schedule.torso, fitter.joint_names))
    hip = schedule.torso.index("left_hip")
    view = fitter._prepare(true, hidden, FOCAL_PX, CENTRE)[1]
    weights = tf.gather(view.torso_weights, torso, axis=1).numpy()
    assert (weights[:, hip] == 0).all()
    assert (np.delete(weights, hip, axis=1) == 1).all()
    assert np.sum(view.torso_weights) == weights.sum()


def test_an_unlabelled_torso_does_not_move_the_body(
    body_data, mixture, subjects
):
    """Its points are (0, 0), the centre of a training crop."""
    true, keypoints = subjects
    hidden = keypoints.copy()
    rows = list(joints.select(schedules.SPIN.torso, joints.KEYPOINTS))
    hidden[:, rows] = 0
    schedule = dataclasses.replace(
        schedules.SPIN,
        stages=(schedules.Stage(steps=1),),
        camera_steps=10,
        camera_rate=0.1,
    )
    fitter = smplify.Fitter(body_data, mixture, schedule, jit=False)
    fit = fitter(true, hidden, FOCAL_PX, CENTRE)
    # One step of the body's stage turns it by a hundredth of a radian.
    assert np.abs(fit.pose[:, :3] - true.pose[:, :3]).max() < 0.011
    assert_close("exact", fit.translation, true.translation)


def test_ignored_joints_have_no_loss_and_a_stage_moves_only_what_it_frees(
    body_data, mixture, subjects
):
    true, keypoints = subjects
    stage = schedules.Stage(steps=3, free=("betas",))
    schedule = dataclasses.replace(SHORT, stages=(stage,), camera_steps=0)
    fitter = smplify.Fitter(body_data, mixture, schedule, jit=False)
    shifted = keypoints + np.float32([5, 5, 0])
    fit = fitter(true, shifted, FOCAL_PX, CENTRE)
    assert_close("exact", fit.pose, true.pose)
    assert_close("exact", fit.translation, true.translation)
    assert np.abs(fit.betas - true.betas).min() > 0
    ignored = joints.select(schedule.ignored, fitter.joint_names)
    losses = fit.joint_losses.numpy()
    assert not losses[:, ignored].any()
    assert np.delete(losses, ignored, axis=1).all()


def test_adam_is_that_of_its_paper():
    """Against the update written out, on a bowl, with a new stage."""
    table = {
        "rate": np.full(5, 0.1, np.float32),
        "count": np.float32([1, 2, 3, 1, 2]),
        "free": np.ones((5, 2), np.float32),
    }
    start = np.float32([[1.0, -2.0]])
    actual = smplify._adam(
        tf.constant(start),
        lambda x, _: tf.reduce_sum(x**2, axis=1),
        table,
        tf.constant([3.0]),
    )
    x = start.astype(np.float64)
    for count in table["count"]:
        if count == 1:
            mean = square = 0.0
        mean = 0.9 * mean + 0.1 * 2 * x
        square = 0.999 * square + 0.001 * (2 * x) ** 2
        step = mean / (1 - 0.9**count)
        step /= np.sqrt(square / (1 - 0.999**count)) + 1e-8
        x = x - 0.1 * step * (1, 3)
    assert_close("loss", actual, x)


def test_errors_name_what_is_wrong(body_data, mixture, fitter, subjects):
    true, keypoints = subjects
    with pytest.raises(ValueError, match=r"expected \(B, 29, 3\)"):
        fitter(true, keypoints[:, :19], FOCAL_PX, CENTRE)
    with pytest.raises(ValueError, match="pose has shape"):
        fitter(true._replace(pose=true.betas), keypoints, FOCAL_PX, CENTRE)
    other_mixture = dataclasses.replace(mixture, topology="smpl")
    with pytest.raises(ValueError, match="pose prior"):
        smplify.Fitter(body_data, other_mixture)
    stage = schedules.Stage(free=("hat",))
    with pytest.raises(ValueError, match="hat"):
        smplify.Fitter(body_data, mixture, schedules.Schedule((stage,)))
