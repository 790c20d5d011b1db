"""The original SPIN's checkpoint goes in, the original's outputs come out."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import tensorflow as tf

from tests.support import spin_files, torch_writer
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.convert import __main__
from tf_hmr.convert import spin as convert_spin
from tf_hmr.geometry import rotations
from tf_hmr.networks import resnet_v15
from training import fit

WRITERS = {
    "zip": torch_writer.write_zip,
    "pickles": torch_writer.write_pickles,
}


@pytest.fixture(scope="module")
def state():
    return spin_files.weights()


@pytest.fixture(scope="module")
def folder(state, tmp_path_factory):
    """The model folder that the command makes of a zip."""
    directory = tmp_path_factory.mktemp("spin")
    path, out = directory / "model_checkpoint.pt", directory / "converted"
    torch_writer.write_zip(path, spin_files.checkpoint(state))
    words = ["spin", str(path), "--body", "open", "--out", str(out)]
    assert __main__.main(words) == 0
    return out


@pytest.fixture(scope="module")
def model(folder):
    return method.load(folder, jit=False)


def test_outputs_are_the_originals(model):
    golden = spin_files.golden()
    pixels = spin_files.images() * resnet_v15.STD_RGB + resnet_v15.MEAN_RGB
    prediction = model({"image": tf.constant(255 * pixels, tf.float32)})
    for name in ("rotmats", "betas", "camera"):
        assert_close("torch_outputs", getattr(prediction, name), golden[name])


def test_geometry_is_the_originals():
    golden = spin_files.golden()
    rotmats = rotations.rot6d_interleaved_to_rotmat(golden["rot6d_in"])
    assert_close("torch_geometry", rotmats, golden["rot6d_out"])
    rotmats = rotations.rotvec_to_rotmat(golden["rotvec_in"])
    assert_close("torch_geometry", rotmats, golden["rotvec_out"])


def test_network_has_the_papers_sizes(model):
    def size(variables):
        return sum(int(np.prod(v.shape)) for v in variables)

    assert size(model.encoder.trainable_variables) == 23_508_032
    # 26.98 M, as the original's parameters() count.
    assert size(model.trainable_variables) == 26_977_501
    assert model.adversary is None
    # PyTorch's, whose 0.1 is the share of the new statistics.
    momenta = {getattr(part, "momentum", 0.9) for part in model.encoder.layers}
    assert momenta == {0.9}


def test_projection_is_the_originals(model, rng):
    """Focal length 5000 in 224 px, where the camera puts the body."""
    points = rng.normal(0, 0.4, (2, 5, 3)).astype(np.float32)
    s, tx, ty = 0.9, 0.1, -0.2
    depth = 2 * 5000 / (224 * s)
    x = points[..., :2] + (tx, ty)
    expected = 5000 * x / (points[..., 2:] + depth) / 112
    weak = tf.constant([[s, tx, ty]] * 2, tf.float32)
    assert_close("ndc", model.project(tf.constant(points), weak), expected)


@pytest.mark.parametrize("layout", WRITERS)
def test_every_entry_is_told(
    no_building, model, state, folder, tmp_path, layout, caplog
):
    """Read, dropped and left over; a second time changes nothing."""
    path = tmp_path / "model.pt"
    more = state | {"smpl.faces": np.arange(6).reshape(2, 3)}
    WRITERS[layout](path, spin_files.checkpoint(more))
    before = model.regressor.decshape.kernel.numpy()
    model.regressor.decshape.kernel.assign(0 * before)
    words = ["spin", str(path), "--body", "open", "--out", str(folder)]
    with caplog.at_level(logging.INFO, "tf_hmr"):
        assert __main__.main(words) == 0
    assert_close("exact", model.regressor.decshape.kernel, before)
    assert "was there already" in caplog.text
    assert "Read 278 variables: 265 of the encoder, 13 of the regressor." in (
        caplog.text
    )
    # 53 counters of normalisations, and all that is beside the network.
    assert "59 variables of training" in caplog.text
    assert "smpl.faces" in caplog.text and "'open" in caplog.text


def test_a_checkpoint_of_data_parallel_is_the_plain_one(
    no_building, model, state, folder, tmp_path, caplog
):
    path = tmp_path / "model.pt"
    prefixed = {f"module.{name}": array for name, array in state.items()}
    torch_writer.write_zip(path, {"state_dict": torch_writer.tensors(prefixed)})
    words = ["spin", str(path), "--body", "open", "--out", str(folder)]
    model.regressor.fc1.bias.assign(0 * model.regressor.fc1.bias)
    with caplog.at_level(logging.INFO, "tf_hmr"):
        assert __main__.main(words) == 0
    assert "was there already, the same" in caplog.text
    assert "begin with 'module.'" in caplog.text


def test_an_error_names_a_few_of_many(no_building, state, tmp_path):
    path = tmp_path / "model.pt"
    few = {f"net.{name}": state[name] for name in list(state)[:9]}
    torch_writer.write_zip(path, {"weights": torch_writer.tensors(few)})
    with pytest.raises(ValueError, match="and 26[0-9] more differences") as e:
        convert_spin.convert(path, "open")
    assert "'net.'" in str(e.value) and len(str(e.value)) < 500


def test_missing_and_misshaped_are_named(no_building, state, tmp_path):
    wrong = dict(state)
    del wrong["layer3.4.bn2.running_mean"], wrong["deccam.bias"]
    wrong["fc1.weight"] = np.zeros((1024, 2133), np.float32)
    path = tmp_path / "model.pt"
    torch_writer.write_zip(path, {"model": torch_writer.tensors(wrong)})
    with pytest.raises(ValueError, match="no whole checkpoint") as error:
        convert_spin.convert(path, "open")
    assert "layer3.4.bn2.running_mean is missing" in str(error.value)
    assert "deccam.bias is missing" in str(error.value)
    assert "fc1.weight has shape (1024, 2133), expected (1024, 2205)" in (
        str(error.value)
    )
    assert str(error.value).count(";") == 2


def test_weights_that_are_no_numbers_are_refused(
    no_building, model, state, tmp_path
):
    """And nothing of the file is taken."""
    name, bias = "deccam.weight", model.regressor.fc1.bias.numpy()
    wrong = state | {name: np.full_like(state[name], np.nan)}
    wrong["fc1.bias"] = state["fc1.bias"] + 1
    path = tmp_path / "model.pt"
    torch_writer.write_zip(path, {"model": torch_writer.tensors(wrong)})
    with pytest.raises(ValueError, match=f"{name} of .*model.pt is not finite"):
        convert_spin.convert(path, "open")
    assert_close("exact", model.regressor.fc1.bias, bias)


def test_foreign_files_are_explained(no_building, tmp_path):
    path = tmp_path / "other.pt"
    torch_writer.write_zip(path, torch_writer.tensors({"dense": np.ones(2)}))
    with pytest.raises(ValueError, match="none of the 278.*dense"):
        convert_spin.convert(path, "open")
    torch_writer.write_zip(path, [1, 2])
    with pytest.raises(ValueError, match="holds a list.*dictionary"):
        convert_spin.convert(path, "open")
    torch_writer.write_zip(path, {"model": 3})
    with pytest.raises(ValueError, match=r"no tensors .*'model' is a int\)"):
        convert_spin.convert(path, "open")


def test_folder_has_spins_configuration(folder):
    content = json.loads((folder / method.CONFIG_FILE).read_text())
    values = content["config"]
    assert values["encoder"] == "resnet50_v15"
    assert content["method"] == "spin" and values["fits"] == "none"
    assert values["rotation"] == "6d_interleaved"
    # The box of SPIN's own crops is a fifth larger than the person.
    assert values["crop_scale"] == 1.2


def test_what_is_trained_is_what_is_converted():
    trained = fit.load_experiment("spin").method
    assert dataclasses.replace(trained, fits="none") == convert_spin.CONFIG
