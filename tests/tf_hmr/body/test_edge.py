"""The exported form of the body: the same function as Body, in clean steps."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from edge import lint
from edge.tasks import body_benchmark
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.body.edge import EdgeBody


@pytest.fixture(scope="module")
def edge_body(body_data):
    return EdgeBody(body_data)


@pytest.fixture(scope="module")
def traced(edge_body):
    return tf.function(
        edge_body,
        input_signature=[
            tf.TensorSpec((1, 24, 3, 3)),
            tf.TensorSpec((1, edge_body.num_betas)),
        ],
        autograph=False,
    )


def poses(rng) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rotation vectors (24, 3) and betas (10,) that go far."""
    axes = Rotation.random(24, rng=rng).apply([0.0, 0.0, 1.0])
    none, shape = np.zeros((24, 3)), rng.normal(size=10)
    named_poses = {
        "rest": (none, np.zeros(10)),
        "any": (Rotation.random(24, rng=rng).as_rotvec(), shape),
        "pi": (np.pi * axes, shape),
        "extreme betas": (0.3 * axes, 5 * np.sign(shape)),
    }
    # One bone alone: an ancestor that is passed over shows.
    for name in ("pelvis", "left_hip", "spine3", "left_wrist", "head"):
        turn = none.copy()
        turn[joints.SMPL24.index(name)] = (0.5, -1.0, 0.7)
        named_poses[name] = (turn, shape)
    return named_poses


def test_gives_what_body_gives(body, traced, rng):
    for rotvecs, betas in poses(rng).values():
        rotmats = Rotation.from_rotvec(rotvecs).as_matrix()[None]
        inputs = np.float32(rotmats), np.float32(betas[None])
        expected, actual = body(*inputs), traced(*inputs)
        for name in expected._fields:
            assert_close(
                "body_metres", getattr(actual, name), getattr(expected, name)
            )


def test_takes_other_keypoints(body_data, rng):
    from tf_hmr.body.model import Body

    names = ("nose", "left_wrist", "pelvis")
    inputs = (
        np.float32(Rotation.random(24, rng=rng).as_matrix()[None]),
        np.float32(rng.normal(size=(1, 10))),
    )
    expected = Body(body_data, names, jit=False)(*inputs)
    mesh = EdgeBody(body_data, names)(*inputs)
    assert_close("body_metres", mesh.joints, expected.joints)


def test_limbs_of_spins_keypoints_are_the_skeletons(body_data, rng):
    spins = dataclasses.replace(body_data, topology="smpl")
    rotmats = np.float32(Rotation.random(24, rng=rng).as_matrix()[None])
    mesh = EdgeBody(spins, ("nose", "left_wrist", "right_knee"))(
        rotmats, np.float32(rng.normal(size=(1, 10)))
    )
    tree = list(joints.select(("left_wrist", "right_knee"), joints.SMPL24))
    skeleton = mesh.skeleton.numpy()[:, tree]
    assert_close("body_metres", mesh.joints[:, 1:], skeleton)
    nose = spins.regressor(("nose",)) @ mesh.vertices.numpy()
    assert_close("body_metres", mesh.joints[:, :1], nose)


def test_the_textbook_has_spins_limbs_too(body_data, rng):
    spins = dataclasses.replace(body_data, topology="smpl")
    names = ("nose", "left_wrist", "right_knee")
    inputs = (
        np.float32(Rotation.random(24, rng=rng).as_matrix()[None]),
        np.float32(rng.normal(size=(1, 10))),
    )
    expected = EdgeBody(spins, names)(*inputs).joints
    textbook = body_benchmark.textbook(spins, names)
    assert_close("body_metres", textbook(*inputs)[1], expected)


def test_keypoints_need_no_vertices(body, edge_body, rng):
    signature = [tf.TensorSpec((1, 24, 3, 3)), tf.TensorSpec((1, 10))]
    function = tf.function(
        edge_body.keypoints, input_signature=signature, autograph=False
    )
    for rotvecs, betas in poses(rng).values():
        rotmats = Rotation.from_rotvec(rotvecs).as_matrix()[None]
        inputs = np.float32(rotmats), np.float32(betas[None])
        mesh = edge_body(*inputs)
        for edge_points, body_points, name in zip(
            function(*inputs),
            body.keypoints(*inputs),
            ("joints", "skeleton"),
            strict=True,
        ):
            assert_close("same_sum_metres", edge_points, getattr(mesh, name))
            assert_close("body_metres", edge_points, body_points)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], function
    )
    content = converter.convert()
    assert list(lint.faults(content)) == []
    # The blends of 6890 vertices alone are 18 MB.
    assert len(content) < 2e6
    with pytest.raises(ValueError, match="not one example"):
        edge_body.keypoints(tf.zeros((2, 24, 3, 3)), tf.zeros((2, 10)))


@pytest.mark.parametrize(
    ("rotmats", "betas", "message"),
    [
        ((2, 24, 3, 3), (2, 10), "not one example"),
        ((1, 24, 3), (1, 10), "geometry.rotvec_to_rotmat"),
        ((1, 24, 3, 3), (1, 9), "num_betas"),
    ],
)
def test_other_shapes_are_refused(edge_body, rotmats, betas, message):
    with pytest.raises(ValueError, match=message):
        edge_body(tf.zeros(rotmats), tf.zeros(betas))


def test_agrees_with_the_textbook_and_does_what_delegates_take(body_data):
    contents = body_benchmark.converted(body_data, joints.COCOPLUS19)
    # Refuses outputs that differ.
    body_benchmark.measure(contents, rounds=1)
    assert list(lint.faults(contents["ours"])) == []
    faults = " ".join(lint.faults(contents["textbook"]))
    assert "drops an axis" in faults
    assert "delegates take it on the right" in faults


@pytest.mark.slow  # Runs alone: beside other work it would tell of that.
def test_beats_the_textbook(body_data):
    contents = body_benchmark.converted(body_data, joints.COCOPLUS19)
    times = body_benchmark.measure(contents, rounds=40)
    # Twice as fast on an idle machine.
    assert np.median(times["textbook"] / times["ours"]) > 1.2


def test_body_functions_that_disagree_are_not_compared():
    def content(metres):
        @tf.function(
            input_signature=[
                tf.TensorSpec((1, 24, 3, 3)),
                tf.TensorSpec((1, 10)),
            ]
        )
        def function(rotmats, betas):
            return rotmats + metres, betas + metres

        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], function
        )
        return converter.convert()

    contents = {"one": content(0.0), "other": content(1e-3)}
    with pytest.raises(ValueError, match="disagree by"):
        body_benchmark.measure(contents, rounds=1)
