"""The device's one file: beside the library, and what it says of errors."""

import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from edge import export
from edge import run as device
from tests import photos
from tests.closeness import assert_close
from tf_hmr import camera, crop, method, people, raster

BOX = (60.0, 30.0, 90.0, 200.0)


@pytest.fixture
def photo(tmp_path):
    return photos.write(tmp_path / "street.png", photos.picture(300, 260))


def run(capsys, *arguments):
    """(status, json lines, lines of errors) of the device's command."""
    status = device.main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    return status, lines, told.err.splitlines()


def test_device_runs_without_tensorflow_outside_the_project(
    tflite, photo, tmp_path
):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "run.py").write_text(pathlib.Path(device.__file__).read_text())
    code = (
        "import sys; sys.modules['tensorflow'] = None; import run; "
        "sys.exit(run.main(sys.argv[1:]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, tflite, photo, "--out", alone / "out"],
        cwd=alone,
        env={"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    stages = json.loads(told.stdout)["ms"]
    assert list(stages) == ["read", "crop", "model", "draw", "write"]
    assert all(ms > 0 for ms in stages.values())
    assert (alone / "out" / "street_overlay.png").is_file()


@pytest.mark.parametrize("side", [20.0, 63.7, 200.0, 551.3, 900.0, 2000.0])
def test_crop_rule_is_the_library_s(side, rng):
    image = photos.picture(640, 480)
    for _ in range(5):
        corner = rng.uniform((-side / 2, -side / 2), (640 - 9, 480 - 9))
        box = (*corner, side * rng.uniform(0.2, 1.0), side)
        ours = device.square_box(box, 1.2)
        assert ours == crop.square_box(box, 1.2)
        for size in (64, 97, 224):
            np.testing.assert_array_equal(
                device.crop_image(image, ours, size),
                crop.crop_image(image, ours, size),
            )
        uv = rng.uniform(-1, 1, (7, 2))
        pixels = crop.ndc_to_pixels(uv, ours)
        assert_close("float64", device.to_pixels(uv, ours), pixels)


def test_constants_and_camera_are_the_library_s():
    assert device.CROP_SCALE == method.Config().crop_scale
    assert device.FOCAL_OVER_SIDE == people.FOCAL_OVER_SIDE
    assert set(device.OUTPUTS) == set(export.OUTPUTS)
    weak, box, size = (
        np.array([0.8, 0.1, -0.2]),
        (31, -40, 210, 210),
        (640, 480),
    )
    ours = device.full_image_camera(weak, box, size, 3000.0)
    theirs = camera.full_image_camera(weak, box, size, 3000.0)
    assert_close("relative_float32", ours, theirs)


def test_device_finds_the_person_that_the_library_finds(
    capsys, tflite, photo, tmp_path, model
):
    status, lines, errors = run(
        capsys, tflite, photo, "--box", *BOX, "--out", tmp_path
    )
    assert (status, errors) == (0, [])
    found = np.load(lines[0]["files"]["npz"])
    (person,) = people.recover(model, photo, [BOX])
    assert_close("tflite_metres", found["vertices"], person.vertices)
    assert_close("tflite_metres", found["rotmats"], person.rotmats)
    assert_close("tflite_px", found["keypoints_px"], person.keypoints_px)
    assert_close("same_camera", found["translation"], person.translation)
    np.testing.assert_array_equal(found["faces"], person.faces)
    assert tuple(found["joint_names"]) == person.joint_names
    assert found["topology"] == person.topology


def test_device_draws_where_the_person_is(capsys, tflite, tmp_path, model):
    black = np.zeros((780, 900, 3), np.uint8)
    photo = photos.write(tmp_path / "black.png", black)
    box = [3 * number for number in BOX]
    _, lines, _ = run(capsys, tflite, photo, "--box", *box, "--out", tmp_path)
    drawn = people.read_photo(lines[0]["files"]["overlay"]).any(axis=-1)
    # The device draws the weak perspective: perspective from far away.
    (person,) = people.recover(model, photo, [box], focal_px=3e6)
    view = raster.View(900, 780, person.focal_px, person.principal_point)
    covered = raster.silhouette(person.placed, person.faces, view)
    # OpenCV also fills the pixels that an outline touches.
    around = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3))) > 0
    assert covered.sum() > 10_000
    assert not (drawn & ~around).any()
    assert not (covered & ~drawn).any()


def test_near_triangles_hide_far_ones():
    # Both face the camera (their normals point to -z); the second is nearer.
    square = [(-1, -1), (1, -1), (1, 1)]
    vertices = np.array(
        [(*xy, 0.5) for xy in square] + [(*xy, -0.5) for xy in square]
    )
    tilt = np.array([0, 0, 0, 0, 0.5, 0.5])  # Else both are equally bright.
    vertices[:, 2] += tilt
    faces = np.array([[0, 2, 1], [3, 5, 4]])
    found = {"vertices": vertices, "camera": np.array([0.9, 0, 0])}
    image, box = np.zeros((40, 40, 3), np.uint8), (0, 0, 40, 40)

    def middle(order):
        return device.draw(image, found, box, faces[order])[12, 28].tolist()

    near = middle([1])
    assert near != middle([0])
    assert near != [0, 0, 0]
    assert middle([0, 1]) == near
    assert middle([1, 0]) == near


def test_without_faces_points_are_drawn(capsys, tflite, photo, tmp_path):
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(tflite.read_bytes())
    status, lines, _ = run(capsys, alone, photo, "--out", tmp_path)
    assert status == 0
    overlay = people.read_photo(lines[0]["files"]["overlay"])
    assert (overlay != people.read_photo(photo)).any()
    assert "faces" not in np.load(lines[0]["files"]["npz"])


def test_what_is_wrong_with_photos_is_one_line_each(
    capsys, tflite, photo, tmp_path
):
    (tmp_path / "text.jpg").write_bytes(photos.png_of_billions())
    small = photos.write(tmp_path / "small.png", photos.picture(40, 40))
    status, lines, errors = run(
        *(capsys, tflite, tmp_path / "gone.jpg", tmp_path / "text.jpg"),
        *(small, photo, "--box", *BOX, "--out", tmp_path / "out"),
    )
    assert status == 1
    assert [line["photo"] for line in lines] == [str(photo)]
    assert len(errors) == 3
    assert "gone.jpg: no such photo" in errors[0]
    assert "text.jpg: not a readable image" in errors[1]
    assert "small.png: box [60.0, 30.0, 90.0, 200.0] lies outside" in errors[2]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("vertices", np.nan, "vertices are not finite"),
        ("camera", 0.0, "scale of 0 or less"),
        ("camera", -1.0, "scale of 0 or less"),
    ],
)
def test_an_answer_that_is_no_person_is_one_line(
    capsys, tflite, photo, tmp_path, monkeypatch, field, value, told
):
    call = device.Model.__call__

    def answer(self, image):
        found = call(self, image)
        found[field] = np.full_like(found[field], value)
        return found

    monkeypatch.setattr(device.Model, "__call__", answer)
    out = tmp_path / "out"
    status, lines, errors = run(capsys, tflite, photo, "--out", out)
    assert (status, lines, len(errors)) == (1, [], 1)
    assert errors[0].startswith(f"{photo}: ") and told in errors[0]
    assert list(out.iterdir()) == []


def test_opencv_s_errors_name_the_photo(
    capsys, tflite, photo, tmp_path, monkeypatch
):
    def fail(*_):
        cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))

    monkeypatch.setattr(device, "draw", fail)
    status, _, errors = run(capsys, tflite, photo, "--out", tmp_path / "out")
    assert (status, len(errors)) == (1, 1)
    assert errors[0].startswith(f"{photo}: ") and "OpenCV" in errors[0]


def test_equal_stems_do_not_collide(capsys, tflite, tmp_path):
    image = photos.picture(90, 90)
    paths = [
        photos.write(tmp_path / n / "a.png", image) for n in ("x", "y", "z")
    ]
    _, lines, _ = run(capsys, tflite, *paths, "--out", tmp_path / "out")
    assert len({line["files"]["npz"] for line in lines}) == 3


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.99])
def test_cut_model_is_one_line(capsys, tflite, photo, tmp_path, kept):
    content = tflite.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(kept * len(content) if kept < 1 else kept)])
    status, lines, errors = run(capsys, cut, photo, "--out", tmp_path)
    assert (status, lines, len(errors)) == (1, [], 1)
    assert "cut.tflite: " in errors[0]
    assert ("does not say TFL3" in errors[0]) == (kept in (0, 4))


def test_card_tells_a_cut_model_before_the_runtime_sees_it(
    capsys, tflite, photo, tmp_path, monkeypatch
):
    # tflite-runtime 2.14 does not raise on such a file, it kills the process.
    monkeypatch.setattr(device, "_interpreter", lambda: pytest.fail("ran it"))
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tflite.read_bytes()[:-1000])
    card = tflite.with_suffix(".card.json").read_text()
    (tmp_path / "cut.card.json").write_text(card)
    status, _, errors = run(capsys, cut, photo, "--out", tmp_path)
    assert (status, len(errors)) == (1, 1)
    assert "cut.tflite: " in errors[0]
    assert "its card says" in errors[0]


@pytest.mark.parametrize(
    "content",
    [
        *("", '{"model": "small', "[]", "{}", '{"crop": 3}'),
        *('{"bytes": null, "crop": {"scale": 1}}', b"\xff\xfe{"),
    ],
)
def test_wrong_card_is_one_line_with_the_cure(
    capsys, tflite, photo, tmp_path, content
):
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.read_bytes())
    card = tmp_path / "m.card.json"
    content = content if isinstance(content, bytes) else content.encode()
    card.write_bytes(content)
    status, lines, errors = run(capsys, path, photo, "--out", tmp_path)
    assert (status, lines, len(errors)) == (1, [], 1)
    assert errors[0].startswith(f"{card}: ")
    assert "export the model again" in errors[0]


def test_missing_and_foreign_models_are_one_line(capsys, photo, tmp_path):
    status, _, errors = run(capsys, tmp_path / "none.tflite", photo)
    assert status == 1
    assert errors == [f"{tmp_path / 'none.tflite'}: no such model."]

    class Doubler(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
        def __call__(self, x):
            return {"y": 2 * x}

    module = Doubler()
    tf.saved_model.save(module, str(tmp_path / "m"), module.__call__)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m"))
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(converter.convert())
    status, _, errors = run(capsys, foreign, photo)
    assert status == 1
    assert len(errors) == 1
    assert "foreign.tflite: not a model of this project" in errors[0]
