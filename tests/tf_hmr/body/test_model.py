import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from tests.support.closeness import assert_close
from tests.support.reference_body import pose_body, random_betas, random_rotmats
from tf_hmr import joints
from tf_hmr.body import model
from tf_hmr.body.model import Body

SMPL24_MIRROR = joints.mirror(joints.SMPL24)
FLIP_X = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)


def test_equals_plain_float64_body(body, body_data, rng):
    rotmats = random_rotmats(rng, 6, spread=1.0)
    betas = 2 * random_betas(rng, 6)
    mesh = body(rotmats, betas)
    for i in range(6):
        expected = pose_body(body_data, rotmats[i], betas[i])
        assert_close("body_metres", mesh.vertices[i], expected.vertices)
        assert_close("body_metres", mesh.skeleton[i], expected.skeleton)
        keypoints = body_data.regressor(body.joint_names) @ expected.vertices
        assert_close("body_metres", mesh.joints[i], keypoints)


def test_rest_pose_is_the_template(body, body_data):
    mesh = body(np.tile(np.eye(3), (1, 24, 1, 1)), np.zeros((1, 10)))
    assert_close("same_sum_metres", mesh.vertices[0], body_data.v_template)


def test_all_keypoints_equal_the_regressor_on_the_mesh(body_data, rng):
    # Every keypoint is folded; none may depend on which others are asked for.
    names = tuple(reversed(joints.KEYPOINTS))
    mesh = Body(body_data, names, jit=False)(
        random_rotmats(rng, 3), random_betas(rng, 3)
    )
    expected = body_data.regressor(names) @ mesh.vertices.numpy()
    assert_close("body_metres", mesh.joints, expected)


@pytest.fixture(scope="module")
def spins_body_data(body_data):
    """The open body's numbers under SMPL's tag, with SPIN's keypoints."""
    return dataclasses.replace(body_data, topology="smpl")


def test_limbs_of_spins_keypoints_are_the_skeletons(spins_body_data, rng):
    """nkolot/SPIN: models/smpl.py; other keypoints stay on the surface."""
    names = tuple(reversed(joints.KEYPOINTS))
    limbs = joints.LSP14[:2] + joints.LSP14[4:12]
    assert set(spins_body_data.skeleton_keypoints) == set(limbs)
    mesh = Body(spins_body_data, names, jit=False)(
        random_rotmats(rng, 3), random_betas(rng, 3)
    )
    expected = spins_body_data.regressor(names) @ mesh.vertices.numpy()
    rows = list(joints.select(limbs, of=names))
    tree = list(joints.select(limbs, of=spins_body_data.joint_names))
    skeleton = mesh.skeleton.numpy()[:, tree]
    assert np.abs(expected[:, rows] - skeleton).max() > 0.003
    expected[:, rows] = skeleton
    assert_close("body_metres", mesh.joints, expected)


def test_limbs_of_hmrs_keypoints_stay_on_the_surface(spins_body_data, rng):
    rows = dict(spins_body_data.keypoint_regressor)
    rows["left_knee"] = np.roll(rows["left_knee"], 1)
    hmrs = dataclasses.replace(spins_body_data, keypoint_regressor=rows)
    assert "left_knee" not in hmrs.skeleton_keypoints
    mesh = Body(hmrs, ("left_knee",), jit=False)(
        random_rotmats(rng, 2), random_betas(rng, 2)
    )
    expected = rows["left_knee"] @ mesh.vertices.numpy()
    assert_close("body_metres", mesh.joints[:, 0], expected)


def test_keypoint_path_equals_full_path(body, rng):
    rotmats, betas = random_rotmats(rng, 5), random_betas(rng, 5)
    mesh = body(rotmats, betas)
    keypoints, skeleton = body.keypoints(rotmats, betas)
    assert_close("same_sum_metres", keypoints, mesh.joints)
    assert_close("same_sum_metres", skeleton, mesh.skeleton)


def test_batch_equals_one_by_one(body, rng):
    rotmats, betas = random_rotmats(rng, 4), random_betas(rng, 4)
    together = body(rotmats, betas)
    for i in range(4):
        single = body(rotmats[i : i + 1], betas[i : i + 1])
        for name in together._fields:
            assert_close(
                "same_sum_metres",
                getattr(together, name)[i : i + 1],
                getattr(single, name),
            )


def values_and_slopes(call, inputs, pulls):
    """Outputs and their pulled-back gradients, in a graph as in training."""

    @tf.function(autograph=False)
    def step(inputs, pulls):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tuple(call(*inputs))
        return outputs, tape.gradient(outputs, inputs, pulls)

    return step(inputs, pulls)


@pytest.mark.parametrize("path", ["__call__", "keypoints"])
def test_compiled_equals_plain(body, body_data, rng, path):
    """Values, and the gradient that the compiled form arranges itself."""
    inputs = (
        tf.constant(random_rotmats(rng, 2)),
        tf.constant(random_betas(rng, 2)),
    )
    plain, compiled = (
        getattr(form, path) for form in (body, Body(body_data, jit=True))
    )
    pulls = tuple(
        tf.constant(rng.normal(size=output.shape) / output.shape[1], tf.float32)
        for output in plain(*inputs)
    )
    values, slopes = values_and_slopes(compiled, inputs, pulls)
    expected_values, expected_slopes = values_and_slopes(plain, inputs, pulls)
    for actual, expected in zip(values, expected_values, strict=True):
        assert_close("body_metres", actual, expected)
    for actual, expected in zip(slopes, expected_slopes, strict=True):
        assert_close("compiled_gradient", actual, expected)


def outputs_of_calls(body, persistent):
    """How many tensors each compiled function gives, in a graph's gradient."""

    @tf.function(autograph=False)
    def step(rotmats, betas):
        with tf.GradientTape(persistent=persistent) as tape:
            tape.watch((rotmats, betas))
            outputs = body.keypoints(rotmats, betas)
        return tape.gradient(outputs, (rotmats, betas))

    graph = step.get_concrete_function(
        tf.TensorSpec((2, 24, 3, 3)), tf.TensorSpec((2, 10))
    ).graph
    calls = [op for op in graph.get_operations() if "Call" in op.type]
    return [len(call.outputs) for call in calls]


def test_a_persistent_tape_computes_no_more(body_data):
    body = Body(body_data, jit=True)
    assert outputs_of_calls(body, True) == outputs_of_calls(body, False)
    assert len(outputs_of_calls(body, True)) == 2


def test_global_rotation_turns_the_body_about_its_pelvis(body, rng):
    rotmats, betas = random_rotmats(rng, 3), random_betas(rng, 3)
    turn = Rotation.from_rotvec([2.0, -1.0, 0.7]).as_matrix()
    rotated = rotmats.copy()
    rotated[:, 0] = turn @ rotmats[:, 0]
    before, after = body(rotmats, betas), body(rotated, betas)
    pelvis = before.skeleton.numpy()[:, :1]
    assert_close("same_sum_metres", after.skeleton[:, :1], pelvis)
    for name in before._fields:
        expected = (getattr(before, name).numpy() - pelvis) @ turn.T + pelvis
        assert_close("body_metres", getattr(after, name), expected)


def test_mirrored_pose_gives_the_mirrored_body(body, body_data, rng):
    rotmats, betas = random_rotmats(rng, 3), random_betas(rng, 3)
    mirrored = FLIP_X @ rotmats[:, SMPL24_MIRROR] @ FLIP_X
    before, after = body(rotmats, betas), body(mirrored, betas)
    orders = {
        "vertices": body_data.mirror_vertices,
        "joints": joints.mirror(body.joint_names),
        "skeleton": SMPL24_MIRROR,
    }
    for name, order in orders.items():
        expected = getattr(before, name).numpy()[:, order] @ FLIP_X
        assert_close("body_metres", getattr(after, name), expected)


@pytest.mark.parametrize("path", ["mesh", "keypoints"])
def test_gradients_equal_finite_differences(body, body_data, rng, path):
    rotmats, betas = random_rotmats(rng, 1), random_betas(rng, 1)
    regressor = body_data.regressor(body.joint_names)
    pull = {
        "vertices": rng.normal(size=(6890, 3)) / 6890,
        "joints": rng.normal(size=(len(body.joint_names), 3)),
        "skeleton": rng.normal(size=(24, 3)),
    }

    def reference(rotmats: np.ndarray, betas: np.ndarray) -> float:
        posed = pose_body(body_data, rotmats, betas)
        values = (posed.vertices * pull["vertices"]).sum() * (path == "mesh")
        values += (posed.skeleton * pull["skeleton"]).sum()
        return values + (regressor @ posed.vertices * pull["joints"]).sum()

    inputs = (tf.constant(rotmats), tf.constant(betas))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        if path == "mesh":
            mesh = body(*inputs)._asdict()
        else:
            mesh = dict(
                zip(
                    ("joints", "skeleton"), body.keypoints(*inputs), strict=True
                )
            )
        total = sum(
            tf.reduce_sum(value * pull[name].astype(np.float32))
            for name, value in mesh.items()
        )
    gradients = tape.gradient(total, inputs)
    step = 1e-4
    for _ in range(5):
        turn, grow = rng.normal(size=(24, 3, 3)), rng.normal(size=10)
        ahead = reference(rotmats[0] + step * turn, betas[0] + step * grow)
        behind = reference(rotmats[0] - step * turn, betas[0] - step * grow)
        slope = (gradients[0][0].numpy() * turn).sum()
        slope += (gradients[1][0].numpy() * grow).sum()
        assert_close("body_gradient", slope, (ahead - behind) / (2 * step))


def test_fewer_betas_leave_the_rest_at_zero(body, body_data, rng):
    few = dataclasses.replace(
        body_data,
        shapedirs=body_data.shapedirs[..., :3],
        beta_mean_gender=None,
        beta_cov_gender=None,
    )
    rotmats, betas = random_rotmats(rng, 2), random_betas(rng, 2)
    betas[:, 3:] = 0
    actual = Body(few, jit=False)(rotmats, betas[:, :3])
    expected = body(rotmats, betas)
    assert_close("body_metres", actual.vertices, expected.vertices)


def test_wrong_shapes_are_named_with_the_cure(body):
    rotmats, betas = np.tile(np.eye(3), (2, 24, 1, 1)), np.zeros((2, 10))
    with pytest.raises(ValueError, match="rotvec_to_rotmat"):
        body(np.zeros((2, 24, 3)), betas)
    with pytest.raises(ValueError, match=r"rotmats have shape \(2, 23, 3, 3\)"):
        body.keypoints(rotmats[:, 1:], betas)
    with pytest.raises(ValueError, match=r"expected \(B, 10\).*num_betas"):
        body(rotmats, betas[:, :9])


def test_converts_to_tflite_builtins(body, body_data, rng, tmp_path):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    rotmats, betas = random_rotmats(rng, 1), random_betas(rng, 1)
    module = tf.Module()
    module.pose = tf.function(
        lambda rotmats, betas: body(rotmats, betas)._asdict(),
        input_signature=[
            tf.TensorSpec([1, 24, 3, 3], name="rotmats"),
            tf.TensorSpec([1, body_data.num_betas], name="betas"),
        ],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.pose)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    model = litert.Interpreter(model_content=converter.convert())
    actual = model.get_signature_runner()(rotmats=rotmats, betas=betas)
    expected = body(rotmats, betas)._asdict()
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert_close("body_metres", value, expected[name])


def test_one_graph_serves_all_batch_sizes(rng):
    """Photos show one person, or two, or seven."""
    batch_sizes = []

    def heavy(rotmats, betas):
        batch_sizes.append(rotmats.shape[0])
        return rotmats, betas

    function = model._plain(heavy, lambda *outputs: outputs)
    for count in (1, 2, 3, 4):
        betas = rng.normal(size=(count, 10)).astype(np.float32)
        _, answer = function(random_rotmats(rng, count), betas)
        assert_close("exact", answer, betas)
    assert batch_sizes == [1, None]
