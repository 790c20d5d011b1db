"""A body with more joints and betas than SMPL: sizes come from the body."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.support import larger_body
from tests.support.closeness import assert_close
from tests.support.reference_body import pose_body, random_betas, random_rotmats
from tf_hmr import joints
from tf_hmr.body import capsules
from tf_hmr.body.data import BodyData
from tf_hmr.body.edge import EdgeBody
from tf_hmr.body.model import Body

J, P = 26, 12


@pytest.fixture(scope="module")
def larger(body_data):
    return larger_body.with_fingers(body_data, np.random.default_rng(5))


@pytest.fixture(scope="module")
def larger_on_device(larger):
    return Body(larger, jit=False)


def random_inputs(rng, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and betas that use every joint and every beta."""
    return random_rotmats(rng, count, num_joints=J), random_betas(rng, count, P)


def test_sizes_are_those_of_its_names_and_arrays(larger, body_data):
    assert (larger.num_joints, larger.num_betas) == (J, P)
    assert (body_data.num_joints, body_data.num_betas) == (24, 10)
    assert body_data.joint_names == joints.SMPL24


def test_equals_plain_float64_body(larger, larger_on_device, rng):
    rotmats, betas = random_inputs(rng, 3)
    mesh = larger_on_device(rotmats, betas)
    keypoints, skeleton = larger_on_device.keypoints(rotmats, betas)
    regressor = larger.regressor(larger_on_device.joint_names)
    for row in range(3):
        expected = pose_body(larger, rotmats[row], betas[row])
        assert_close("body_metres", mesh.vertices[row], expected.vertices)
        for actual_skeleton in (mesh.skeleton, skeleton):
            assert_close("body_metres", actual_skeleton[row], expected.skeleton)
        for actual_joints in (mesh.joints, keypoints):
            points = regressor @ expected.vertices
            assert_close("body_metres", actual_joints[row], points)


def test_compiled_and_its_gradient_equal_the_plain_one(larger, rng):
    inputs = tuple(map(tf.constant, random_inputs(rng, 2)))
    slopes = []
    for jit in (True, False):
        body = Body(larger, jit=jit)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            keypoints, skeleton = body.keypoints(*inputs)
            total = tf.reduce_sum(keypoints**2) + tf.reduce_sum(skeleton**2)
        slopes.append(tape.gradient(total, inputs))
    for compiled, plain in zip(*slopes, strict=True):
        assert_close("compiled_gradient", compiled, plain)


def test_bones_carry_points(larger, larger_on_device, rng):
    rotmats, betas = random_inputs(rng, 2)
    turns, origins = larger_on_device.bones(rotmats, betas)
    for row in range(2):
        shaped = larger.v_template + larger.shapedirs @ betas[row]
        rest = (larger.J_regressor @ shaped)[:, :, None]
        posed_joints = (turns[row] @ rest + origins[row])[..., 0]
        expected = pose_body(larger, rotmats[row], betas[row]).skeleton
        assert_close("body_metres", posed_joints, expected)


def test_exported_form_equals_it(larger, larger_on_device, rng):
    edge = EdgeBody(larger)
    for _ in range(3):
        inputs = random_inputs(rng, 1)
        expected, mesh = larger_on_device(*inputs), edge(*inputs)
        for name in expected._fields:
            assert_close(
                "body_metres", getattr(mesh, name), getattr(expected, name)
            )
        keypoints, skeleton = edge.keypoints(*inputs)
        assert_close("body_metres", keypoints, expected.joints)
        assert_close("body_metres", skeleton, expected.skeleton)


def test_with_what_it_has_more_at_rest_it_is_the_plain_body(
    larger_on_device, body, rng
):
    rotmats, betas = random_rotmats(rng, 3), random_betas(rng, 3)
    expected = body(rotmats, betas)
    mesh = larger_on_device(
        larger_body.with_fingers_at_rest(rotmats),
        np.pad(betas, ((0, 0), (0, P - 10))),
    )
    assert_close("body_metres", mesh.vertices, expected.vertices)
    assert_close("body_metres", mesh.joints, expected.joints)
    index = larger_body.FROM_SMPL24
    skeleton = mesh.skeleton.numpy()[:, index]
    assert_close("body_metres", skeleton, expected.skeleton)


def test_a_finger_moves_the_hand_alone(larger, larger_on_device):
    rotmats = np.tile(np.eye(3, dtype=np.float32), (2, J, 1, 1))
    finger = larger.joint_names.index("left_index1")
    rotmats[1, finger] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    still, bent = larger_on_device(rotmats, np.zeros((2, P))).vertices.numpy()
    displaced = np.linalg.norm(bent - still, axis=1) > 1e-3
    assert displaced.sum() > 100
    names = larger.parts("part14")[1]
    labels = set(larger.parts("part14")[0][displaced].tolist())
    assert labels <= {names.index("left_hand"), names.index("left_forearm")}


@pytest.mark.parametrize("name", ["part6", "part14", "part15"])
def test_a_joint_without_a_part_belongs_to_its_parents(larger, body_data, name):
    labels, names = larger.parts(name)
    expected, expected_names = body_data.parts(name)
    assert names == expected_names
    assert_close("exact", labels, expected)


def test_a_body_that_calls_its_joints_otherwise_has_no_parts(body_data):
    names = ("hips", *joints.SMPL24[1:])
    renamed_body = dataclasses.replace(body_data, joint_names=names)
    with pytest.raises(ValueError, match=r"\['hips'\].*no part of 'part14'"):
        renamed_body.parts("part14")


def test_capsules_are_found_by_name(larger, body_data):
    for capsule, expected in zip(
        capsules.measure(larger), capsules.measure(body_data), strict=True
    ):
        assert (capsule.name, capsule.joint) == (expected.name, expected.joint)
        assert_close("same_sum_metres", capsule.start, expected.start)
        assert_close("same_sum_metres", capsule.end, expected.end)
        assert_close("same_sum_metres", capsule.radius, expected.radius)


def test_other_shapes_are_refused_with_its_own_sizes(larger_on_device):
    with pytest.raises(ValueError, match=r"\(B, 26, 3, 3\)"):
        larger_on_device(np.zeros((1, 24, 3, 3)), np.zeros((1, P)))
    with pytest.raises(ValueError, match=r"\(B, 12\)"):
        larger_on_device(np.zeros((1, J, 3, 3)), np.zeros((1, 10)))


def test_its_file_names_the_joints(larger, body_data, tmp_path):
    larger.save(tmp_path / "larger.npz")
    copy = BodyData.load(tmp_path / "larger.npz", num_betas=P)
    assert copy.joint_names == larger.joint_names
    assert copy.parents == larger.parents
    for name in ("weights", "J_regressor", "posedirs", "shapedirs"):
        assert_close("exact", getattr(copy, name), getattr(larger, name))
    assert BodyData.load(tmp_path / "larger.npz").num_betas == 10
    # Files of SMPL's joints are as they were before there were names.
    body_data.save(tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as stored:
        assert "joint_names" not in stored


def test_a_file_with_other_joints_must_name_them(larger, tmp_path):
    path = tmp_path / "larger.npz"
    larger.save(path)
    arrays = dict(np.load(path))
    names = arrays.pop("joint_names")
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="24 joints.*SMPL-X.*joint_names"):
        BodyData.load(path)
    for wrong, message in (
        (names[:-1], r"kintree_table .*\(2, 26\), expected \(2, 25\)"),
        (np.repeat(names[:1], J), r"\['pelvis'\] come twice"),
        (np.append(names[1:], ""), "a name of its own for each joint"),
    ):
        np.savez(path, **arrays, joint_names=wrong)
        with pytest.raises(ValueError, match=message):
            BodyData.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parents": joints.parents()}, "24 parents and 26 joint_names"),
        ({"parents": (-1, 2, 1, *range(2, 25))}, "one before it"),
        ({"parents": (0,) * J}, "-1 for the root"),
        ({"joint_names": joints.SMPL24}, "26 parents and 24 joint_names"),
    ],
)
def test_a_tree_that_does_not_fit_its_names_is_refused(larger, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        dataclasses.replace(larger, **change)


@pytest.mark.parametrize("name", ["J_regressor", "weights", "posedirs"])
def test_arrays_must_have_as_many_joints_as_names(larger, body_data, name):
    plain = getattr(body_data, name)
    with pytest.raises(ValueError, match=rf"{name} .* expected .*26 joints"):
        dataclasses.replace(larger, **{name: plain})
