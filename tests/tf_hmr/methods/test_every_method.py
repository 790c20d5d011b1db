"""One harness over every module of tf_hmr.methods: a new file is tested."""

import dataclasses
import functools

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr import method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera

# What makes a method small enough for a test; fields it lacks are left out.
SMALL = {
    "image_size": 64,
    "encoder": "small",
    "encoder_width": 8,
    "hidden": 32,
    "dropout": 0.0,
    # SPIN's perspective camera is not the contract's weak one.
    "focal": 0.0,
    # SMPLR's hourglass.
    "stacks": 1,
    "width": 16,
    "bins": 4,
    "levels": 2,
    "stem": (8, 8, 8),
    # HUND's maps and points.
    "map_side": 16,
    "map_channels": 8,
    "widths": (8, 8),
    "part_side": 8,
    "part_points": 64,
    "skin_points": 64,
    "flow_couplings": 2,
    "flow_hidden": 8,
}


def small(name: str, body) -> method.Method:
    fields = {f.name for f in dataclasses.fields(method.make_config(name))}
    return method.create(
        name, body, **{k: v for k, v in SMALL.items() if k in fields}
    )


@pytest.fixture(scope="module", params=method.names())
def model(request, body):
    return small(request.param, body)


@pytest.fixture(scope="module")
def batch():
    return make_batch(np.random.default_rng(20180618))


@pytest.fixture(scope="module")
def prediction(model, batch):
    """Of the new model, not as a graph."""
    return model(model.inputs(batch))


@pytest.fixture(scope="module")
def compiled_body(body_data):
    """The compiled body of keypoints; methods with the same ones share it."""
    return functools.cache(lambda names: Body(body_data, names, jit=True))


def test_prediction_has_the_contracts_shapes(model, prediction):
    count = len(model.joint_names)
    assert prediction.rotmats.shape == (4, 24, 3, 3)
    assert prediction.betas.shape == (4, 10)
    assert prediction.camera.shape == (4, 3)
    assert prediction.joints.shape == (4, count, 3)
    assert prediction.keypoints.shape == (4, count, 2)
    assert prediction.vertices.shape == (4, len(model.body.data.v_template), 3)
    for value in prediction[:6]:
        assert value.dtype == tf.float32


def test_joints_are_the_bodys_and_keypoints_the_cameras(
    model, batch, prediction
):
    posed = model.body(prediction.rotmats, prediction.betas)
    assert_close("body_metres", prediction.vertices, posed.vertices)
    assert_close("body_metres", prediction.joints, posed.joints)
    if "intrinsics" in model.input_names:
        intrinsics = batch["intrinsics"]
        shift = camera.crop_translation(prediction.camera, intrinsics)
        points = prediction.joints + shift[:, None]
        expected = camera.project_in_crop(points, intrinsics)
    else:
        expected = camera.project_weak_perspective(
            prediction.joints, prediction.camera
        )
    assert_close("body_metres", prediction.keypoints, expected)


def test_graph_equals_eager(model, batch, prediction):
    graph = tf.function(lambda x: model(x), autograph=False)
    vertices = graph(model.inputs(batch)).vertices
    assert_close("body_metres", vertices, prediction.vertices)


def test_examples_do_not_see_each_other(model, batch, prediction):
    """At inference a batch is its examples one by one."""
    inputs, together = model.inputs(batch), prediction.vertices
    singles = [
        model({name: rows[n : n + 1] for name, rows in inputs.items()}).vertices
        for n in range(len(together))
    ]
    assert_close("body_metres", tf.concat(singles, axis=0), together)


def test_terms_are_finite_and_weighted(model, batch):
    prediction = model(model.inputs(batch), training=True)
    terms = {
        **model.terms(batch, prediction),
        **model.adversary_terms(batch, prediction),
    }
    assert terms
    for name, term in terms.items():
        assert np.isfinite(term.total.numpy()).all(), name
        assert (np.asarray(term.count) >= 0).all(), name
        assert term.weight > 0, name


def test_folder_round_trip(model, batch, tmp_path):
    for variable in model.trainable_variables:
        variable.assign_add(
            tf.random.stateless_normal(variable.shape, [1, 2], 0, 1e-2)
        )
    method.save(model, tmp_path / "best")
    loaded = method.load(tmp_path, jit=False)
    inputs = model.inputs(batch)
    assert_close("exact", loaded(inputs).vertices, model(inputs).vertices)
    assert loaded.config == model.config


def test_folder_holds_no_body_array(model, tmp_path):
    method.save(model, tmp_path)
    vertices = len(model.body.data.v_template)
    shapes = []

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            shapes.append((name, node.shape))

    with h5py.File(tmp_path / method.WEIGHTS_FILE) as file:
        file.visititems(visit)
    assert len(shapes) >= len(model.trainable_variables)
    for name, shape in shapes:
        assert vertices not in shape and 3 * vertices not in shape, name


def test_foreign_topology_is_refused(model, tmp_path, body_data):
    method.save(model, tmp_path)
    foreign_body = dataclasses.replace(body_data, topology="smpl", name="other")
    with pytest.raises(ValueError, match="open-v1.*smpl"):
        method.load(tmp_path, foreign_body)


def test_missing_folder_names_the_cure(tmp_path):
    with pytest.raises(FileNotFoundError, match="training.fit"):
        method.load(tmp_path / "nowhere")


def test_unknown_method_lists_what_there_is(body):
    with pytest.raises(ValueError, match="hmr"):
        method.create("cliff", body)


def test_keypoint_path_is_the_mesh_path(model, compiled_body, prediction):
    """Training uses the compiled body without vertices; the same joints."""
    pose = prediction.rotmats, prediction.betas
    for keypoints_body in (model.body, compiled_body(model.joint_names)):
        keypoints, _ = keypoints_body.keypoints(*pose)
        assert_close("body_metres", keypoints, prediction.joints)


@pytest.mark.parametrize("name", method.names())
def test_retired_fields_are_dropped_at_what_they_meant(name):
    """And they are no field any more."""
    plain = method.make_config(name)
    for field, retired in type(plain).RETIRED.items():
        assert not hasattr(plain, field)
        for value in retired.accepted:
            assert method.make_config(name, **{field: value}) == plain
        with pytest.raises(ValueError, match=rf"{field}='neither'\. \w+"):
            method.make_config(name, **{field: "neither"})
        for value, successor in retired.successors.items():
            assert method.migrate(name, {field: value})[0] == successor


def test_a_stored_method_that_is_not_known_stays_as_it_is():
    assert method.migrate("cliff", {"fits": 3}) == ("cliff", {"fits": 3})


def test_a_policy_does_not_round_boxes_and_intrinsics(body):
    """Geometry is float32 under any policy: bfloat16 has 8 bits of a pixel."""

    class Echo(method.Method):
        input_names = ("box", "intrinsics")

        def call(self, inputs, training=False):
            return inputs

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        echo = Echo(method.Config(image_size=64), body)
        inputs = {"box": tf.constant([[1001.5, 3.25, 517.0, 517.0]])}
        outputs = echo(inputs)
    finally:
        keras.config.set_dtype_policy("float32")
    assert_close("exact", outputs["box"], inputs["box"])
