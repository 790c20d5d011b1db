"""The original HMR's checkpoint goes in, the original's outputs come out."""

import dataclasses
import json
import logging

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.support import hmr_tf1
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.convert import __main__
from tf_hmr.convert import hmr_tf1 as convert_hmr_tf1
from tf_hmr.convert import report as converted
from tf_hmr.geometry import camera
from tf_hmr.methods import hmr


@pytest.fixture(scope="module")
def checkpoint(body_data, tmp_path_factory):
    """Prefix of a whole checkpoint, with the state of training."""
    arrays = hmr_tf1.weights(body_data)
    prefix = tmp_path_factory.mktemp("tf1") / "model.ckpt-667589"
    trained = [name for name in arrays if "/" in name] + ["mean_param"]
    hmr_tf1.write(prefix, arrays | hmr_tf1.training_state(trained))
    return prefix


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    """The model folder that the command makes of it."""
    out = tmp_path_factory.mktemp("converted") / "hmr"
    words = ["hmr-tf1", str(checkpoint), "--body", "open", "--out", str(out)]
    assert __main__.main(words) == 0
    return out


@pytest.fixture(scope="module")
def model(folder):
    return method.load(folder, jit=False)


def test_outputs_are_the_originals(model):
    golden = hmr_tf1.golden()
    images = tf.constant((hmr_tf1.images() + 1) * 127.5)
    features, _ = model.features(images)
    assert_close("tf1_features", features, golden["feat"])
    thetas = model.regressor(features)
    for stage, theta in enumerate(thetas):
        weak, rotmats, betas = model.decode(theta)
        body = model.body(rotmats, betas)
        keypoints = camera.project_weak_perspective(body.joints, weak)
        outputs = {
            "theta": theta,
            "joints": body.joints,
            "keypoints": keypoints,
            "verts": body.vertices[:, ::13],
        }
        for name, value in outputs.items():
            assert_close("tf1_outputs", value, golden[name][stage])
    scores = model.adversary(rotmats, betas)
    assert_close("tf1_discriminator", scores, golden["disc"])
    prediction = model({"image": images})
    assert_close("tf1_outputs", prediction.joints, golden["joints"][-1])
    assert_close(
        "tf1_outputs", prediction.vertices[:, ::13], golden["verts"][-1]
    )


def test_folder_is_the_papers_model_without_a_body(folder, body_data):
    content = json.loads((folder / method.CONFIG_FILE).read_text())
    values = content["config"]
    assert hmr.Config(**values | {"encoder_depths": (1, 2, 2)}) == hmr.Config()
    shapes = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            shapes[name] = node.shape

    with h5py.File(folder / method.WEIGHTS_FILE) as file:
        file.visititems(visit)
    vertices = body_data.num_vertices
    for name, shape in shapes.items():
        assert vertices not in shape and 3 * vertices not in shape, name


def test_running_again_changes_nothing(no_building, checkpoint, folder, caplog):
    words = ["hmr-tf1", str(checkpoint), "--body", "open", "--out", str(folder)]
    before = (folder / method.WEIGHTS_FILE).stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "tf_hmr"):
        assert __main__.main(words) == 0
    assert (folder / method.WEIGHTS_FILE).stat().st_mtime_ns == before
    assert "was there already" in caplog.text
    counts = "339 variables: 270 of the encoder, 7 of the regressor, 62 of the"
    assert counts in caplog.text
    # Two slots of each of the 339, four powers, one step.
    assert "6 constants of the body and 683 variables of training" in (
        caplog.text
    )


def test_another_model_is_not_overwritten(model, folder, tmp_path):
    method.save(model, tmp_path)
    kernel = model.adversary.shape_out.kernel
    original = kernel.numpy()
    kernel.assign(original + 1)
    try:
        with pytest.raises(ValueError, match="holds another model"):
            converted.save(model, tmp_path)
    finally:
        kernel.assign(original)


def test_a_full_folder_is_refused_before_any_work(tmp_path, caplog):
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    words = ["hmr-tf1", str(notes), "--body", "open", "--out", str(tmp_path)]
    assert __main__.main(words) == 1
    assert "notes.txt" in caplog.text and "new or empty" in caplog.text
    assert notes.read_text() == "mine"


@pytest.mark.parametrize("name", ["v_template", "J_regressor", "keypoints"])
def test_another_body_is_refused(checkpoint, body_data, name):
    changes = {"name": "other"}
    if name == "v_template":
        vertices = body_data.v_template.copy()
        vertices[100, 1] += 1e-4  # a tenth of a millimetre, one vertex
        changes[name] = vertices
    elif name == "J_regressor":
        changes[name] = body_data.J_regressor[::-1]
    else:
        rows = dict(body_data.keypoint_regressor)
        rows["left_hip"], rows["right_hip"] = (
            rows["right_hip"],
            rows["left_hip"],
        )
        changes["keypoint_regressor"] = rows
    wrong = dataclasses.replace(body_data, **changes)
    array = "cocoplus_regressor" if name == "keypoints" else name
    with pytest.raises(ValueError, match=f"'other': {array} differs") as error:
        convert_hmr_tf1.convert(checkpoint, wrong)
    assert "--body" in str(error.value)
    assert "neutral_smpl_with_cocoplus_reg.pkl" in str(error.value)


def test_missing_and_misshaped_are_named(no_building, tmp_path):
    arrays = {
        name: np.zeros(shape, np.float32)
        for name, shape in hmr_tf1.shapes().items()
        if name not in convert_hmr_tf1.BODY_CONSTANTS
    }
    missing = (
        "D/pose_out_j7/biases",
        "resnet_v2_50/block2/unit_4/bottleneck_v2/preact/moving_mean",
    )
    for name in missing:
        del arrays[name]
    arrays["3D_module/fc3/weights"] = np.zeros((1024, 157), np.float32)
    arrays["D/D_conv1/weights"] = np.zeros((9, 32), np.float32)
    hmr_tf1.write(tmp_path / "model.ckpt", arrays)
    with pytest.raises(ValueError, match="no whole checkpoint") as error:
        convert_hmr_tf1.convert(tmp_path / "model.ckpt", "open")
    for name in missing:
        assert f"{name} is missing" in str(error.value)
    assert "fc3/weights has shape (1024, 157), expected (1024, 85)" in (
        str(error.value)
    )
    assert "(9, 32), expected (1, 1, 9, 32)" in str(error.value)
    assert str(error.value).count(";") == 3


def test_without_discriminator_and_constants(body_data, tmp_path):
    """As a file made for inference: said, and taken; left-overs are named."""
    arrays = {
        name: np.zeros(shape, np.float32)
        for name, shape in hmr_tf1.shapes().items()
        if not name.startswith("D/")
        and name not in convert_hmr_tf1.BODY_CONSTANTS
    }
    arrays["mean_param"] += 0.5
    arrays["3D_module/fc1/weights/ExponentialMovingAverage"] = np.zeros(
        1, np.float32
    )
    hmr_tf1.write(tmp_path / "model.ckpt", arrays)
    model, report = convert_hmr_tf1.convert(tmp_path / "model.ckpt", body_data)
    assert model.adversary is None and model.config.adversary == 0
    assert_close("exact", model.regressor.mean, np.full((1, 85), 0.5))
    assert report.read == {"encoder": 270, "regressor": 7}
    assert report.left_over == [
        "3D_module/fc1/weights/ExponentialMovingAverage"
    ]
    text = "\n".join(converted.lines(report))
    assert report.left_over[0] in text
    for word in ("discriminator", "v_template", "cocoplus_regressor"):
        assert word in text


def test_a_foreign_checkpoint_says_what_it_holds(no_building, tmp_path):
    hmr_tf1.write(tmp_path / "other.ckpt", {"dense/kernel": np.zeros(3)})
    with pytest.raises(ValueError, match="none of the 339.*dense/kernel"):
        convert_hmr_tf1.convert(tmp_path / "other.ckpt", "open")
