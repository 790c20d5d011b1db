"""Two bodies, of which the sign of a gender chooses one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.support import two_bodies
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.body import pair_data, pairs
from tf_hmr.body.data import BodyData
from tf_hmr.body.edge import EdgeBody
from tf_hmr.body.model import Body
from tf_hmr.geometry import rotations

GENDERS = np.float32([[-1], [0.3], [2], [-0.01], [0]])
IS_MALE = GENDERS[:, 0] > 0


@pytest.fixture(scope="module")
def data(body_data) -> BodyData:
    return two_bodies.pair(body_data)


@pytest.fixture(scope="module")
def body(data) -> pairs.BodyPair:
    return pairs.make(data, lambda one: Body(one, jit=False))


@pytest.fixture
def rotmats(rng):
    turns = rng.normal(0, 0.3, (len(GENDERS), 24, 3))
    return rotations.rotvec_to_rotmat(tf.constant(turns, tf.float32))


@pytest.fixture
def betas(rng):
    return rng.normal(size=(len(GENDERS), 10)).astype(np.float32)


def test_the_sign_of_the_gender_chooses(body, body_data, rotmats, betas):
    shape = np.concatenate([betas, GENDERS], axis=1)
    mesh, keypoints = body(rotmats, shape), body.keypoints(rotmats, shape)
    halves = (body_data, ~IS_MALE), (two_bodies.male(body_data), IS_MALE)
    for data, rows in halves:
        expected = Body(data, jit=False)(rotmats, betas)
        for values, true in zip(mesh, expected, strict=True):
            assert_close("exact", values[rows], true[rows])
        assert_close("body_metres", keypoints[0][rows], expected.joints[rows])
        assert_close("body_metres", keypoints[1][rows], expected.skeleton[rows])
    assert np.abs(mesh.vertices[1] - mesh.vertices[0]).max() > 0.1


def test_a_shape_without_gender_is_the_first_bodys(
    body, body_data, rotmats, betas
):
    expected = Body(body_data, jit=False)(rotmats, betas)
    assert_close("exact", body(rotmats, betas).vertices, expected.vertices)


def test_betas_learn_from_the_chosen_body_and_the_gender_from_none(
    body, body_data, rotmats, betas
):
    shape = tf.constant(np.concatenate([betas, GENDERS], axis=1))
    with tf.GradientTape() as tape:
        tape.watch(shape)
        loss = tf.reduce_sum(body(rotmats, shape).vertices ** 2)
    gradient = tape.gradient(loss, shape).numpy()
    males, betas = (
        Body(two_bodies.male(body_data), jit=False),
        tf.constant(betas),
    )
    with tf.GradientTape() as tape:
        tape.watch(betas)
        loss = tf.reduce_sum(males(rotmats, betas).vertices ** 2)
    expected = tape.gradient(loss, betas).numpy()
    assert_close("body_gradient", gradient[IS_MALE, :10], expected[IS_MALE])
    assert not gradient[:, 10].any()


def test_an_exported_pair_chooses_as_well(body, data, rotmats, betas):
    edge = pairs.make(data, EdgeBody)
    shape = np.concatenate([betas, GENDERS], axis=1)
    expected = body(rotmats, shape)
    for row in range(len(GENDERS)):
        mesh = edge(rotmats[row : row + 1], shape[row : row + 1])
        assert_close("body_metres", mesh.vertices[0], expected.vertices[row])


def test_two_paths_are_a_pair(body_data, tmp_path):
    paths = [tmp_path / "women.npz", tmp_path / "men.npz"]
    # The open body's mesh is of its shapes alone: two files of it.
    dataclasses.replace(body_data, name="women").save(paths[0])
    dataclasses.replace(body_data, name="men").save(paths[1])
    loaded = pair_data.load(f"{paths[0]},{paths[1]}")
    assert (loaded.name, loaded.male.name) == ("women,men", "men")
    assert_close("exact", loaded.male.v_template, body_data.v_template)
    assert pair_data.load(paths[1]).male is None
    paths[0].rename(tmp_path / "one,alone.npz")
    assert pair_data.load(tmp_path / "one,alone.npz").male is None


@pytest.mark.parametrize("source", ["a,b,c", "a,", ","])
def test_other_numbers_of_paths_are_refused(source):
    with pytest.raises(ValueError, match="FEMALE,MALE"):
        pair_data.load(source)


def test_a_missing_half_is_named():
    with pytest.raises(FileNotFoundError, match=r"no body file gone\.npz"):
        pair_data.load("open,gone.npz")


def test_halves_that_do_not_fit_are_refused(body_data):
    few = dataclasses.replace(
        body_data,
        shapedirs=body_data.shapedirs[..., :4],
        beta_mean_gender=None,
        beta_cov_gender=None,
        mean_betas=None,
    )
    with pytest.raises(ValueError, match="numbers of betas"):
        pair_data.join(body_data, few)
    bare = dataclasses.replace(body_data, keypoint_regressor={})
    with pytest.raises(ValueError, match="other keypoints"):
        pair_data.join(body_data, bare)
    other = dataclasses.replace(body_data, topology="other")
    with pytest.raises(ValueError, match="topology"):
        pair_data.join(body_data, other)


def test_the_body_of_a_shape_is_chosen_for_its_files(data, body_data):
    betas = np.arange(10.0)
    for gender, template in ((-0.5, 1.0), (0.5, 1.1)):
        own, shape = pair_data.choose(data, np.append(betas, gender))
        assert_close(
            "exact", own.v_template, np.float32(template * body_data.v_template)
        )
        assert_close("exact", shape, betas)
    own, shape = pair_data.choose(body_data, betas)
    assert own is body_data and shape is betas


def test_a_method_without_a_gender_takes_one_body(body):
    with pytest.raises(ValueError, match="'hmr' predicts no gender"):
        method.create("hmr", body)
