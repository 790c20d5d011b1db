import dataclasses
import pickle

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from tests.support import larger_body, paths
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.geometry import translation
from tf_hmr.smplify import fitter, priors

GOLDEN = np.load(paths.GOLDEN / "spin" / "geometry.npz")


@pytest.fixture(scope="module")
def mixture() -> priors.Mixture:
    return priors.load()


def test_robust_error_and_bending_are_spin_s():
    assert_close(
        "loss",
        priors.gmof(GOLDEN["residual"], 100.0),
        GOLDEN["gmof_sigma100"],
    )
    assert_close(
        "loss",
        priors.backward_bending(GOLDEN["body_pose"]),
        GOLDEN["angle_prior"],
    )


def test_translation_is_spin_s_and_ignores_what_was_not_seen():
    keypoints = np.concatenate(
        [GOLDEN["projected"] + 112, GOLDEN["confidence"][..., None]], axis=2
    )
    estimate = translation.estimate(
        GOLDEN["points"], keypoints, 5000.0, (112.0, 112.0)
    )
    assert_close("loss", estimate, GOLDEN["estimated_translation"])
    hidden = keypoints.copy()
    hidden[:, ::2, 2] = 0
    fewer = translation.estimate(GOLDEN["points"], hidden, 5000.0, [112.0] * 2)
    single = translation.estimate(
        GOLDEN["points"][:, 1::2], keypoints[:, 1::2], 5000.0, [112.0] * 2
    )
    assert_close("loss", fewer, single)
    hidden[:, ::2, :2] = np.nan
    with_hidden = translation.estimate(
        GOLDEN["points"], hidden, 5000.0, [112.0] * 2
    )
    assert_close("exact", with_hidden, fewer)


def test_translation_counts_a_joint_of_double_confidence_twice(rng):
    keypoints = np.concatenate(
        [GOLDEN["projected"] + 112, GOLDEN["confidence"][..., None]], axis=2
    )
    keypoints[..., :2] += rng.normal(0, 5, keypoints[..., :2].shape)
    points, double = GOLDEN["points"], keypoints.copy()
    double[:, 0, 2] *= 2
    once = translation.estimate(points, keypoints, 5000.0, [112.0] * 2)
    estimate = translation.estimate(points, double, 5000.0, [112.0] * 2)
    points = np.concatenate([points, points[:, :1]], axis=1)
    twice = np.concatenate([keypoints, keypoints[:, :1]], axis=1)
    expected = translation.estimate(points, twice, 5000.0, [112.0] * 2)
    assert_close("loss", estimate, expected)
    assert np.abs(estimate - once).max() > 1e-3


def test_energy_is_the_formula_of_its_definition(mixture, rng):
    pose = rng.normal(0, 0.3, (3, priors.NUM_POSE))
    means, covars = mixture.means, mixture.covars
    roots = np.sqrt(np.linalg.det(covars * 1e2))  # Their ratios stay.
    weights = mixture.weights / (
        (2 * np.pi) ** (priors.NUM_POSE / 2) * roots / roots.min()
    )
    off = pose[:, None] - means
    energies = 0.5 * np.einsum(
        "bmi,mij,bmj->bm", off, np.linalg.inv(covars), off
    )
    expected = (energies - np.log(weights)).min(axis=1)
    actual = priors.PosePrior(mixture)(tf.constant(pose, tf.float32))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_each_gaussian_rises_alike_on_both_sides_of_its_mean(mixture, rng):
    prior = priors.PosePrior(mixture)

    def energy(nudge):
        energies = prior.component_energies(np.float32(mixture.means + nudge))
        return tf.linalg.diag_part(energies).numpy()

    for _ in range(5):
        nudge = rng.normal(0, 0.01, mixture.means.shape)
        rise = energy(nudge) - energy(0)
        assert (rise > 0).all()
        np.testing.assert_allclose(energy(-nudge) - energy(0), rise, rtol=0.02)


@pytest.mark.parametrize(
    ("joint", "axis", "backward"),
    [
        ("left_elbow", 1, 1),
        ("right_elbow", 1, -1),
        ("left_knee", 0, -1),
        ("right_knee", 0, -1),
    ],
)
def test_limbs_that_bend_backward_cost(joint, axis, backward):
    pose = np.zeros((2, 24, 3), np.float32)
    pose[0, joints.SMPL24.index(joint), axis] = backward
    pose[1, joints.SMPL24.index(joint), axis] = -backward
    bent = priors.backward_bending(pose.reshape(2, 72)[:, 3:])
    cost = tf.reduce_sum(bent, axis=1).numpy()
    assert cost[0] == pytest.approx(3 + np.exp(2), rel=1e-5)
    assert cost[1] == pytest.approx(3 + np.exp(-2), rel=1e-5)


def test_bodies_that_leave_the_image_plane_cost(body_data):
    rest = body_data.J_regressor @ body_data.v_template
    rest = np.float32(rest * (1, 1, 0))  # Trunk and legs in one plane.

    def cost(axes, degrees):
        turn = Rotation.from_euler(axes, degrees, degrees=True).as_matrix()
        return priors.lean_energy(np.float32(rest @ turn.T)[None]).numpy()[0]

    for axes, degrees in (("y", 70), ("z", 50), ("yz", (70, 50))):
        assert cost(axes, degrees) == pytest.approx(0, abs=1e-9)
    for angle in (-40, 10, 170):
        expected = 2 * np.sin(np.deg2rad(angle)) ** 2
        assert cost("yx", (70, angle)) == pytest.approx(expected, rel=1e-4)


def test_a_mixture_is_read_back_and_smplify_s_pickle_too(mixture, tmp_path):
    saved = dataclasses.replace(mixture, topology="other-v2")
    saved.save(tmp_path / "own.npz")
    loaded = priors.load(tmp_path / "own.npz")
    assert loaded.topology == "other-v2"
    assert_close("exact", loaded.covars, mixture.covars)
    arrays = {n: getattr(mixture, n) for n in ("means", "covars", "weights")}
    path = tmp_path / "gmm_08.pkl"
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    from_pickle = priors.load(path)
    assert from_pickle.topology == "smpl"
    assert_close("exact", from_pickle.means, mixture.means)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": np.zeros((8, 63))}, "got shapes"),
        ({"weights": np.full(8, np.nan)}, "finite"),
        ({"weights": np.zeros(8)}, "above 0"),
        ({"covars": -np.tile(np.eye(69), (8, 1, 1))}, "positive definite"),
    ],
)
def test_what_is_no_mixture_is_a_named_error(
    change, message, tmp_path, mixture
):
    arrays = {n: getattr(mixture, n) for n in ("means", "covars", "weights")}
    path = tmp_path / "bad.npz"
    np.savez(path, **(arrays | change))
    with pytest.raises(ValueError, match=message) as caught:
        priors.load(path)
    assert "bad.npz" in str(caught.value)


def test_a_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"smplify\.is\.tue\.mpg\.de"):
        priors.load(tmp_path / "gmm_08.pkl")


def test_a_body_of_other_joints_is_refused_by_name(mixture, body_data, rng):
    mixture.check_body(body_data)
    larger = larger_body.with_fingers(body_data, rng)
    with pytest.raises(
        ValueError, match=r"pose prior .*'right_index1'\] beside"
    ):
        fitter.Fitter(larger, mixture)
    names = ("hips", *joints.SMPL24[1:])
    other_body = dataclasses.replace(body_data, joint_names=names)
    with pytest.raises(ValueError, match=r"\['hips'\].*lacks \['pelvis'\]"):
        mixture.check_body(other_body)
    swapped = (*joints.SMPL24[:-2], "right_hand", "left_hand")
    other_body = dataclasses.replace(body_data, joint_names=swapped)
    with pytest.raises(ValueError, match="another order"):
        mixture.check_body(other_body)


def test_energies_take_joints_by_name(rng):
    pose = np.float32(rng.normal(0, 0.5, (2, 24, 3)))
    larger = np.float32(
        rng.normal(0, 0.5, (2, len(larger_body.JOINT_NAMES), 3))
    )
    larger[:, larger_body.FROM_SMPL24] = pose
    names = larger_body.JOINT_NAMES
    assert_close(
        "exact",
        priors.backward_bending(larger[:, 1:].reshape(2, -1), names),
        priors.backward_bending(pose[:, 1:].reshape(2, -1)),
    )
    assert_close(
        "exact", priors.lean_energy(larger, names), priors.lean_energy(pose)
    )
