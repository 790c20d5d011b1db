"""The export to one file: its contract, its checks, its card."""

import dataclasses
import hashlib
import importlib.metadata
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from edge import export, lint
from edge import run as device
from edge.conversion import calibration, compare
from edge.conversion import card as cards
from edge.conversion import tflite as convert
from edge.tasks import export as task
from tests.support import full_disk, photos
from tests.support.closeness import TOLERANCES, assert_close
from tf_hmr import joints, method


@pytest.fixture(scope="session")
def card(tflite):
    return json.loads(tflite.with_suffix(".card.json").read_text())


def test_signature_is_the_contract(tflite):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tflite))
    (signature,) = interpreter.get_signature_list().values()
    assert signature["inputs"] == ["image"]
    assert sorted(signature["outputs"]) == sorted(convert.OUTPUTS)
    detail = interpreter.get_signature_runner().get_input_details()["image"]
    assert tuple(detail["shape"]) == (1, 64, 64, 3)
    assert detail["dtype"] is np.uint8


def test_file_gives_what_keras_gives(tflite, model, rng):
    noise = rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    actual = compare.run_tflite(tflite.read_bytes(), {"image": noise})
    expected = compare.run_keras(model, {"image": noise})
    assert compare.LARGEST_FLOAT32_M == TOLERANCES["tflite_metres"].absolute
    for name in ("vertices", "joints"):
        assert_close("tflite_metres", actual[name], expected[name])


def test_model_converts_to_what_delegates_take(tflite):
    lint.check(tflite.read_bytes())


def test_card_says_what_a_user_must_know(tflite, card, model, body_data):
    assert card["model"] == "small.tflite"
    assert card["bytes"] == tflite.stat().st_size
    digest = hashlib.sha256(tflite.read_bytes()).hexdigest()
    assert card["sha256"] == digest
    assert card["precision"] == "float32"
    assert card["inputs"]["image"]["shape"] == [1, 64, 64, 3]
    prediction = device.Model(tflite)(np.zeros((64, 64, 3), np.uint8))
    for name, output in card["outputs"].items():
        assert tuple(output["shape"][1:]) == prediction[name].shape
    assert card["joint_names"] == list(model.joint_names)
    assert card["rotation_names"] == list(joints.SMPL24)
    assert card["topology"] == body_data.topology
    assert card["body"]["licence"] == body_data.licence
    assert card["crop"]["scale"] == model.config.crop_scale
    assert card["commit"]
    measured = card["difference_to_keras"]
    assert measured["crops"] == 3
    assert 0 < measured["largest"]["vertices"] <= compare.LARGEST_FLOAT32_M
    assert measured["mpjpe_mm"]["keras"] > 0


@pytest.mark.parametrize("size", [1000, 200_000])
def test_a_full_disk_leaves_the_old_three_files(
    tflite, model, tmp_path, monkeypatch, caplog, size
):
    """Less than the mesh needs, and less than the network needs."""
    names = ("a.tflite", "a.card.json", "a.mesh.npz")
    for name in names:
        (tmp_path / name).write_text(f"the old {name}")
    content = tflite.read_bytes()
    monkeypatch.setattr(export.model_files, "find_folder", lambda path: path)
    monkeypatch.setattr(method, "load", lambda *_, **__: model)
    monkeypatch.setattr(task, "_converted", lambda *_: (content, {}))
    measured = compare.Measured(1, "people", 0.0, 0.0, 0.0, {"vertices": 0.0})
    monkeypatch.setattr(task, "_measured", lambda *_: measured)
    args = export.Args(tmp_path, tmp_path / "a.tflite", crops=1)
    with full_disk.files_of_at_most(size):
        assert export.main(args) == 1
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {name: f"the old {name}" for name in names}
    (line,) = (record.message for record in caplog.records)
    name = "a.mesh.npz" if size == 1000 else "a.tflite"
    assert "too large" in line and str(tmp_path / name) in line


def test_card_calls_rotations_as_the_body_does(model, monkeypatch):
    names = ("root", *joints.SMPL24[1:])
    renamed_body = dataclasses.replace(model.body.data, joint_names=names)
    monkeypatch.setattr(model.body, "data", renamed_body)
    measured = compare.Measured(1, "none", 0.0, 0.0, 0.0, {})
    new_card = cards.make(model, "tflite", "float32", measured)
    assert new_card["rotation_names"] == list(names)


def test_mesh_lies_beside_the_file(tflite, card, body_data):
    path = tflite.with_name(card["mesh"]["file"])
    assert path.name == "small.mesh.npz"
    mesh = np.load(path)
    for name in ("faces", "lite_vertices", "lite_faces"):
        np.testing.assert_array_equal(mesh[name], getattr(body_data, name))


def test_the_file_carries_its_card(tflite, card):
    content = tflite.read_bytes()
    file_keys = ("bytes", "sha256")
    expected = {
        key: value for key, value in card.items() if key not in file_keys
    }
    assert cards.embedded(content) == expected
    # A second card takes the place of the first and leaves the weights.
    second_content = cards.embed(content, {"other": 1})
    assert cards.embedded(second_content) == {"other": 1}


def test_a_file_without_a_card_is_named(tmp_path):
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(small_tflite())
    with pytest.raises(FileNotFoundError, match="no card, beside it or in it"):
        cards.read(bare)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is damaged"), ('{"precision": "w8"}', "an older version")],
)
def test_a_damaged_card_is_named(tmp_path, text, message):
    path = tmp_path / "hmr.tflite"
    path.with_suffix(".card.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        cards.read(path)


def small_tflite() -> bytes:
    shape = tf.TensorSpec((1, 2), tf.float32)
    graph = tf.function(lambda x: x + 1).get_concrete_function(shape)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    return converter.convert()


@pytest.fixture(scope="module")
def other_model(model_folder):
    """Another model than the one in the folder."""
    changed_model = method.load(model_folder, jit=False)
    changed_model.regressor.mean.assign(changed_model.regressor.mean + 0.01)
    return changed_model


@pytest.fixture
def mixed_up(monkeypatch, other_model, tflite):
    """The folder is read as another model than the file was made of."""
    monkeypatch.setattr(export.model_files, "find_folder", lambda path: path)
    monkeypatch.setattr(task.method, "load", lambda *_, **__: other_model)
    monkeypatch.setattr(convert, "edge_form", lambda model: model)
    monkeypatch.setattr(convert, "to_tflite", lambda _: tflite.read_bytes())


def test_a_file_that_differs_is_not_written(tmp_path, caplog, mixed_up):
    args = export.Args(tmp_path, tmp_path / "bad.tflite", crops=1)
    assert export.main(args) == 1
    assert "m from Keras', more than 0.0001 m" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_latency_only_writes_it_all_the_same(tmp_path, capsys, mixed_up):
    out = tmp_path / "random.tflite"
    args = export.Args(tmp_path, out, crops=1, latency_only=True)
    assert export.main(args) == 0
    assert "FOR LATENCY ONLY" in capsys.readouterr().out
    assert cards.read(out)["latency_only"]


def test_check_takes_the_file_and_refuses_another(
    model, model_folder, tflite, capsys, caplog, monkeypatch, other_model
):
    args = export.Args(model_folder, check=tflite, crops=1)
    monkeypatch.setattr(task.method, "load", lambda *_, **__: model)
    assert export.main(args) == 0
    assert "float32" in capsys.readouterr().out
    monkeypatch.setattr(task.method, "load", lambda *_, **__: other_model)
    assert export.main(args) == 1
    assert "more than 0.0001 m" in caplog.text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"out": "model.lite"}, "must end in .tflite"),
        ({"out": "x.tflite"}, "No model in"),
        ({"out": "x.tflite", "crops": 0}, "--crops 0"),
        ({}, "either --out"),
        ({"check": "gone.tflite"}, "no such file"),
    ],
)
def test_export_errors_are_one_line(tmp_path, caplog, values, message):
    values = {
        name: tmp_path / value if isinstance(value, str) else value
        for name, value in values.items()
    }
    assert export.main(export.Args(tmp_path / "none", **values)) == 1
    assert message in caplog.messages[0]
    assert "\n" not in caplog.messages[0]


def test_export_asks_for_its_packages_before_all_else(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    args = export.Args(tmp_path / "none", tmp_path / "x.tflite")
    assert export.main(args) == 1
    assert "pip install -e '.[edge]'" in caplog.messages[0]


def test_tensorflow_may_be_installed_by_another_name(monkeypatch, card):
    version = importlib.metadata.version

    def lacking(name):
        if name in ("tensorflow", "ai-edge-litert"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", lacking)
    versions = cards.versions()
    assert versions["tensorflow"] == tf.__version__
    assert versions["keras"] == card["versions"]["keras"]
    assert set(versions) == set(cards.VERSIONS_OF)


def outputs(count: int = 2) -> dict[str, np.ndarray]:
    """What a file may give: OUTPUTS of zeros."""
    shapes = {"vertices": (5, 3), "joints": (19, 3)}
    return {
        name: np.zeros((count, *shapes.get(name, (3,))), np.float32)
        for name in convert.OUTPUTS
    }


def crops(count: int = 2, labels=None) -> calibration.Images:
    image = np.zeros((count, 8, 8, 3), np.uint8)
    return calibration.Images({"image": image}, "blank", labels)


@pytest.mark.parametrize(
    ("precision", "within_mm", "beyond_mm"),
    [
        ("float32", 0.09, 0.11),
        ("float16", 0.29, 0.31),
        ("w8", 1.9, 2.1),
        ("int8", 3.9, 4.1),
    ],
)
def test_each_precision_has_its_budget(precision, within_mm, beyond_mm):
    messages = []
    for away_mm in (within_mm, beyond_mm, np.nan):
        actual, expected = outputs(), outputs()
        actual["vertices"][..., 0] += away_mm / 1000
        measured = compare.compare(actual, expected, crops(), joints.COCOPLUS19)
        messages.append(compare.excess(measured, precision))
    assert messages[0] == ""
    assert "from Keras'" in messages[1]
    assert "vertices that are not finite" in messages[2]


def test_no_number_may_be_missing_in_any_output():
    actual = outputs()
    actual["camera"][1, 0] = np.nan
    measured = compare.compare(actual, outputs(), crops(), joints.COCOPLUS19)
    assert "camera that are not finite" in compare.excess(measured, "int8")


def test_unlabelled_crops_have_no_mpjpe():
    labels = np.zeros((2, len(joints.KEYPOINTS), 4))
    measured = compare.compare(
        outputs(), outputs(), crops(labels=labels), joints.COCOPLUS19
    )
    assert measured.mpjpe_mm is None
    assert measured.mpjpe_percent == 0


def test_a_change_of_mpjpe_is_beyond_the_budget(rng):
    labels = np.ones((2, len(joints.KEYPOINTS), 4))
    labels[..., :3] = rng.normal(size=(2, len(joints.KEYPOINTS), 3))
    messages = []
    for wider in (1.001, 1.1):
        actual, expected = outputs(), outputs()
        expected["joints"][:] = rng.normal(size=(2, 19, 3))
        actual["joints"][:] = wider * expected["joints"]
        measured = compare.compare(
            actual, expected, crops(labels=labels), joints.COCOPLUS19
        )
        messages.append(compare.excess(measured, "w8"))
    assert messages[0] == ""
    assert "changes MPJPE by" in messages[1]


def test_compared_crops_show_people(model, tmp_path, tiny_records):
    held_out = calibration.held_out(model, None, 3)
    calibration_crops = calibration.for_calibration(model, None, 3, skip=3)
    assert held_out.inputs["image"].shape == (3, 64, 64, 3)
    assert held_out.joints3d.shape == (3, len(joints.KEYPOINTS), 4)
    assert not np.array_equal(
        held_out.inputs["image"], calibration_crops.inputs["image"]
    )
    # synthetic_v1's own records show the same people.
    stored = calibration.held_out(model, tiny_records / "synthetic_v1", 3)
    difference = np.abs(
        np.float32(stored.inputs["image"]) - held_out.inputs["image"]
    )
    assert difference.mean() < 1  # Gray levels; other people differ by tens.
    np.testing.assert_array_equal(stored.joints3d, held_out.joints3d)
    rest = calibration.for_calibration(
        model, tiny_records / "synthetic_v1", 20, skip=3
    )
    assert rest.count == 9
    for name in ("b.png", "a.png", "c.png"):
        photos.write(tmp_path / name, photos.image(30, 26))
    assert calibration.held_out(model, tmp_path, 64).count == 2
    assert calibration.for_calibration(model, tmp_path, 64, 0).count == 1


def test_a_folder_of_nothing_is_refused(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="neither records"):
        calibration.held_out(model, tmp_path, 1)


def test_the_worst_crop_and_the_worst_vertex_are_told_apart():
    """One vertex of the first crop is 8 mm off, all of the second 3 mm."""
    actual, expected = outputs(), outputs()
    actual["vertices"][0, 2, 1] += 0.008
    actual["vertices"][1, :, 0] += 0.003
    measured = compare.compare(actual, expected, crops(), joints.COCOPLUS19)
    assert measured.vertices_max_mm == pytest.approx(8)
    assert measured.worst_crop_mean_mm == pytest.approx(3)
    assert measured.vertices_mean_mm == pytest.approx((8 + 5 * 3) / 10)
