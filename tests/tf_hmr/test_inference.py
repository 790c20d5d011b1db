import dataclasses
import logging
import os
import subprocess
import sys
import types

import numpy as np
import pytest

import tf_hmr
from tests.support import photos
from tests.support.closeness import assert_close
from tf_hmr import inference
from tf_hmr.formats import image_files
from tf_hmr.geometry import camera

BOX = (60.0, 30.0, 90.0, 200.0)

# Where EXIF's orientation says that the stored picture's rows and columns
# are: what has to be done to the stored picture to see it upright.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photo_is_turned_by_its_exif_orientation(tmp_path, orientation):
    stored = photos.image(64, 48)
    path = tmp_path / "turned.jpg"
    path.write_bytes(photos.jpeg_with_orientation(stored, orientation))
    plain = photos.write(tmp_path / "plain.jpg", stored)
    expected = UPRIGHT[orientation](image_files.read_photo(plain))
    np.testing.assert_array_equal(image_files.read_photo(path), expected)


def test_photo_is_rgb(tmp_path):
    red = np.full((8, 8, 3), (200, 10, 30), np.uint8)
    path = photos.write(tmp_path / "red.png", red)
    np.testing.assert_array_equal(image_files.read_photo(path), red)


def test_unreadable_photos_are_named(tmp_path):
    intact = photos.write(tmp_path / "whole.jpg", photos.image(64, 48))
    for name, content in {
        "empty.jpg": b"",
        "text.jpg": b"this is no image",
        "cut.jpg": intact.read_bytes()[:200],
        "billions.png": photos.png_of_billions(),
        "billions.jpg": photos.jpeg_of_size(30_000, 30_000),
        "damaged.jpg": photos.zeroed(intact.read_bytes(), 0.6, 300),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            image_files.read_photo(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="gone.jpg"):
        image_files.read_photo(tmp_path / "gone.jpg")


def test_full_image_camera_shows_the_keypoints_where_the_crop_does(model):
    # Perspective, from far away, against the weak perspective of the crop.
    (person,) = inference.recover(
        model, photos.image(300, 260), [BOX], focal_px=3e6
    )
    pixels = camera.project_perspective(
        person.joints + person.translation,
        person.focal_px,
        person.principal_point,
    )
    assert_close("far_camera_px", pixels, person.keypoints_px)


def test_person_moves_with_the_photo(model):
    # A box far from the border, so that both crops see the same pixels.
    image = photos.image(400, 360)
    # Three pixels of the photo make one of the crop, wherever the box is, so
    # that a shift by whole pixels rounds no gray level otherwise.
    side = 3 * model.image_size / model.config.crop_scale
    box = (180.0 - side / 4, 160.0 - side / 2, side / 2, side)
    shift = np.array([30, -20])
    shifted = np.roll(image, shift[::-1], axis=(0, 1))
    (person,) = inference.recover(model, image, [box])
    shifted_box = (box[0] + shift[0], box[1] + shift[1], *box[2:])
    (shifted_person,) = inference.recover(model, shifted, [shifted_box])
    assert_close(
        "same_crop_px", shifted_person.keypoints_px, person.keypoints_px + shift
    )
    assert_close("body_metres", shifted_person.vertices, person.vertices)
    assert shifted_person.translation[0] > person.translation[0]
    assert shifted_person.translation[1] < person.translation[1]


def test_batches_equal_one_by_one_and_keep_order(model):
    image = photos.image(400, 360)
    boxes = [(20.0 * i, 10.0 * i, 80.0, 150.0) for i in range(5)]
    together = inference.recover(model, image, boxes, batch_size=3)
    assert [person.box for person in together] == boxes
    for box, person in zip(boxes, together, strict=True):
        (single,) = inference.recover(model, image, [box])
        assert_close("body_metres", person.vertices, single.vertices)
    spread = np.ptp([person.vertices for person in together], axis=0)
    assert spread.max() > 0.01, "the model answers alike to every crop"


def test_whole_photo_is_one_crop_without_margin(model, caplog):
    image = photos.image(240, 200)
    with caplog.at_level(logging.WARNING):
        (person,) = inference.recover(model, image)
    assert person.box == (0, 0, 240, 200)
    assert person.crop_box == (0, -20, 240, 240)
    assert not caplog.records


def test_long_photo_without_a_box_warns_by_name(model, caplog, tmp_path):
    path = photos.write(tmp_path / "wide.png", photos.image(400, 200))
    inference.recover(model, path)
    assert "wide.png is 400 x 200, far from square" in caplog.text


def test_person_holds_its_rotations_twice(model):
    from scipy.spatial.transform import Rotation

    (person,) = inference.recover(model, photos.image(300, 260), [BOX])
    rotmats = Rotation.from_rotvec(person.pose).as_matrix()
    assert_close("rotation", rotmats, person.rotmats)


def test_no_boxes_no_people(model):
    assert inference.recover(model, photos.image(300, 260), []) == []


@pytest.mark.parametrize(
    ("photo", "boxes", "message"),
    [
        (np.zeros((9, 9), np.uint8), None, "(9, 9)"),
        (np.zeros((9, 9, 3), np.float32), None, "float32"),
        (np.zeros((90, 90, 3), np.uint8), [(95, 0, 9, 9)], "outside"),
        # Outside, though the crop around it would reach the photo.
        (np.zeros((90, 90, 3), np.uint8), [(91, 0, 20, 20)], "outside"),
        (np.zeros((90, 90, 3), np.uint8), [(0, 0, 9)], "four"),
    ],
)
def test_wrong_input_is_explained(model, photo, boxes, message):
    with pytest.raises(ValueError) as caught:
        inference.recover(model, photo, boxes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("global_rotation", "labelled global rotation"),
        ("depth", "labelled distance.*crop='estimated'"),
    ],
)
def test_a_photo_has_no_labels(name, words):
    reader = types.SimpleNamespace(input_names=("image", name), image_size=64)
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match=words):
        inference.crop_inputs(reader, image, [(0, 0, 64, 64)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"focal_px": float("nan")}, "focal length is nan"),
        ({"focal_px": float("inf")}, "focal length is inf"),
        ({"focal_px": -5}, "focal length is -5"),
        ({"focal_px": 0.0}, "focal length is 0.0"),
        ({"focal_px": 10**400}, "focal length is 1000"),
        ({"focal_px": "wide"}, "focal length is wide"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"batch_size": -1}, "batch size is -1"),
        ({"boxes": [(0, 0, 1e-300, 9)]}, "empty"),
        ({"boxes": [(0, 0, 10**400, 9)]}, "four numbers"),
    ],
)
def test_wrong_numbers_are_one_line(model, options, words):
    with pytest.raises(ValueError) as caught:
        inference.recover(model, np.zeros((90, 90, 3), np.uint8), **options)
    text = str(caught.value)
    assert words in text and "\n" not in text and len(text) < 300


def test_crops_have_the_room_that_training_gave_them(model, monkeypatch):
    """The model's own crop_scale decides how much of the photo it sees."""
    photo = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    box = [(30, 30, 20, 20)]
    usual = inference.recover(model, photo, box)[0]
    double = 2 * model.config.crop_scale
    wider = dataclasses.replace(model.config, crop_scale=double)
    monkeypatch.setattr(model, "config", wider)
    assert inference.recover(model, photo, box)[0].crop_box[2] == (
        2 * usual.crop_box[2]
    )


@pytest.mark.parametrize("package", ["tf_hmr", "training", "edge"])
def test_tensorflow_is_told_to_be_quiet_before_it_starts(package):
    """Python imports the package before any line of `-m package.module`."""
    code = (
        f"import os, sys; import {package}; "
        "assert 'tensorflow' not in sys.modules; "
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("TF_")
    }
    for setting, expected in ({}, "2"), ({"TF_CPP_MIN_LOG_LEVEL": "0"}, "0"):
        completed = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | setting,
            capture_output=True,
            text=True,
            check=True,
        )
        assert completed.stdout.strip() == expected


def test_import_is_light_and_names_are_found_when_used():
    code = (
        "import sys, tf_hmr; assert 'tensorflow' not in sys.modules; "
        "assert 'recover' in dir(tf_hmr); assert tf_hmr.__version__; "
        "from tf_hmr import Person, load, recover; "
        "assert 'tensorflow' in sys.modules; print(load.__module__)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == "tf_hmr.method"
    with pytest.raises(AttributeError, match="nonsense"):
        tf_hmr.nonsense  # noqa: B018
