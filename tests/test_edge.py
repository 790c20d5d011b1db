"""The export to one file: its contract, its checks, its card."""

import importlib.metadata
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from edge import export
from edge import run as device
from tests import photos
from tests.closeness import TOLERANCES, assert_close
from tf_hmr import joints


@pytest.fixture(scope="session")
def card(tflite):
    return json.loads(tflite.with_suffix(".card.json").read_text())


@pytest.fixture
def photo(tmp_path):
    return photos.write(tmp_path / "street.png", photos.picture(300, 260))


def test_signature_is_the_contract(tflite):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tflite))
    (signature,) = interpreter.get_signature_list().values()
    assert signature["inputs"] == ["image"]
    assert sorted(signature["outputs"]) == sorted(export.OUTPUTS)
    detail = interpreter.get_signature_runner().get_input_details()["image"]
    assert tuple(detail["shape"]) == (1, 64, 64, 3)
    assert detail["dtype"] is np.uint8


def test_file_gives_what_keras_gives(tflite, model, rng):
    noise = rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    largest = export.compare(model, tflite, noise)
    assert set(largest) == set(export.OUTPUTS)
    assert export.TOLERANCE_M == TOLERANCES["tflite_metres"].absolute
    found = device.Model(tflite)(noise[0])
    expected = model(noise[:1].astype(np.float32))
    for name in ("vertices", "joints"):
        assert_close("tflite_metres", found[name], getattr(expected, name)[0])


def test_card_says_what_a_user_must_know(tflite, card, model, body_data):
    assert card["model"] == "small.tflite"
    assert card["bytes"] == tflite.stat().st_size
    assert card["inputs"]["image"]["shape"] == [1, 64, 64, 3]
    found = device.Model(tflite)(np.zeros((64, 64, 3), np.uint8))
    for name, output in card["outputs"].items():
        assert tuple(output["shape"][1:]) == found[name].shape
    assert card["joint_names"] == list(model.joint_names)
    assert card["rotation_names"] == list(joints.SMPL24)
    assert card["topology"] == body_data.topology
    assert card["body"]["licence"] == body_data.licence
    assert card["crop"]["scale"] == model.config.crop_scale
    assert card["commit"]
    measured = card["largest_difference_to_keras"]
    assert measured["crops"] == 3
    assert 0 < measured["vertices"] <= export.TOLERANCE_M
    faces = np.load(tflite.with_name(card["faces"]))
    np.testing.assert_array_equal(faces, body_data.faces)


def test_a_file_that_differs_is_not_written(
    model_folder, tflite, tmp_path, monkeypatch, caplog
):
    load = export.method.load

    def other(*args, **values):
        model = load(*args, **values)
        model.regressor.mean.assign(model.regressor.mean + 0.01)
        return model

    # The .tflite of one model is held against another.
    monkeypatch.setattr(export.method, "load", other)
    monkeypatch.setattr(export, "convert", lambda _: tflite.read_bytes())
    args = export.Args(model_folder, tmp_path / "bad.tflite", crops=1)
    assert export.main(args) == 1
    assert "m from Keras', more than 0.0001 m" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_not_numbers_are_no_match(tflite, model):
    nothing = model(np.zeros((1, 64, 64, 3), np.float32))
    vertices = nothing.vertices * np.nan

    def broken(*_, **__):
        return nothing._replace(vertices=vertices)

    with pytest.raises(ValueError, match="inf m from Keras"):
        export.compare(broken, tflite, np.zeros((1, 64, 64, 3), np.uint8))


def test_export_errors_are_one_line(model_folder, tmp_path, caplog):
    wrong = export.Args(model_folder, tmp_path / "model.lite")
    assert export.main(wrong) == 1
    missing = export.Args(tmp_path / "none", tmp_path / "x.tflite")
    assert export.main(missing) == 1
    assert "must end in .tflite" in caplog.messages[0]
    assert "No model in" in caplog.messages[1]


def test_export_asks_for_litert_before_all_else(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    args = export.Args(tmp_path / "none", tmp_path / "x.tflite")
    assert export.main(args) == 1
    assert "pip install -e '.[edge]'" in caplog.messages[0]


def test_export_without_crops_is_refused(tmp_path, caplog):
    args = export.Args(tmp_path / "none", tmp_path / "x.tflite", crops=0)
    assert export.main(args) == 1
    assert "--crops 0" in caplog.messages[0]


def test_tensorflow_may_be_installed_by_another_name(model, monkeypatch, card):
    version = importlib.metadata.version

    def lacking(name):
        if name in ("tensorflow", "ai-edge-litert"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", lacking)
    versions = export.make_card(model, {}, 1)["versions"]
    assert versions["tensorflow"] == tf.__version__
    assert versions["keras"] == card["versions"]["keras"]
    assert set(versions) == set(export.VERSIONS_OF)


@pytest.mark.parametrize(
    ("function", "allow", "told"),
    [
        (lambda x: tf.transpose(x[None] + x, (4, 1, 2, 3, 0)), [], "axes"),
        (
            lambda x: tf.linalg.det(x),
            [tf.lite.OpsSet.SELECT_TF_OPS],
            "CUSTOM",
        ),
    ],
)
def test_operators_that_phones_lack_are_refused(
    tmp_path, function, allow, told
):
    shape = tf.TensorSpec((1, 2, 3, 3), tf.float32)
    concrete = tf.function(function).get_concrete_function(shape)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        *allow,
    ]
    path = tmp_path / "odd.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(ValueError, match=told):
        export.check_operators(path)


def test_model_converts_with_builtin_operators(tflite):
    export.check_operators(tflite)


def test_compared_crops_show_people(model, photo):
    crops = export.check_crops(model, export.Args("", "", crops=3))
    assert crops.shape == (3, 64, 64, 3)
    for image in crops:
        # The colour of raster.shade's mesh, around the hips.
        red, green, blue = image[30:34, 30:34].mean(axis=(0, 1))
        assert red < green < blue
    args = export.Args("", "", photos=(photo,))
    assert export.check_crops(model, args).shape == (1, 64, 64, 3)
