"""Weak perspective, perspective, and the way from a crop to the full image."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr.geometry import camera, crop, crop_views

IMAGE = (640, 480)
BOX = (371.3, 88.9, 150.0, 150.0)
CAMERA = np.array([0.87, 0.11, -0.23])
SIZE = 224


@pytest.fixture
def points(rng) -> np.ndarray:
    """(19, 3) joints of a body of about two metres."""
    return rng.uniform(-1.0, 1.0, (19, 3)) * [0.5, 0.9, 0.3]


def test_weak_perspective_is_scale_times_shifted_xy():
    point = np.array([[[2.0, 3.0, 100.0]]])
    projected = camera.project_weak_perspective(
        point, np.array([[0.5, 1.0, -1.0]])
    )
    assert_close("float64", projected, [[[1.5, 1.0]]])


def test_batch_and_tensors_are_as_one_by_one(points, rng):
    batch = np.stack([points, 2 * points, -points]).astype(np.float32)
    cameras = rng.normal(size=(3, 3)).astype(np.float32)
    projected = camera.project_weak_perspective(
        tf.constant(batch), tf.constant(cameras)
    )
    assert projected.shape == (3, 19, 2)
    for one, points_of_one, of in zip(projected, batch, cameras, strict=True):
        expected = camera.project_weak_perspective(points_of_one, of)
        assert_close("relative_float32", one, expected)


def test_perspective_equals_a_pinhole_matrix(points):
    points = points + [0, 0, 5]
    matrix = np.array([[900.0, 0, 320], [0, 950, 240], [0, 0, 1]])
    homogeneous = points @ matrix.T
    assert_close(
        "float64",
        camera.project_perspective(points, (900.0, 950.0), (320.0, 240.0)),
        homogeneous[:, :2] / homogeneous[:, 2:],
    )


def test_a_point_on_the_axis_lands_on_the_centre_pixel():
    centre = camera.image_centre((5, 3))
    assert centre == (2.0, 1.0)
    projected = camera.project_perspective(np.array([0, 0, 7.0]), 500.0, centre)
    assert_close("float64", projected, centre)


def test_weak_to_translation_is_the_formula_of_spin():
    one = camera.weak_to_translation(CAMERA, 5000.0, SIZE)
    s, tx, ty = CAMERA
    assert_close("float64", one, [tx, ty, 2 * 5000 / (224 * s)])
    tensor = camera.weak_to_translation(
        tf.constant([CAMERA, CAMERA], tf.float32), 5000.0, SIZE
    )
    assert_close("relative_float32", tensor, [one, one])


def test_translation_in_the_crop_sees_what_the_weak_camera_sees(points):
    focal = 1e7
    translated = points + camera.weak_to_translation(CAMERA, focal, SIZE)
    centre = camera.image_centre((SIZE, SIZE))
    pixels = camera.project_perspective(translated, focal, centre)
    full_box = (0, 0, SIZE, SIZE)
    assert_close(
        "long_focal_pixels",
        pixels,
        crop.ndc_to_pixels(
            camera.project_weak_perspective(points, CAMERA), full_box
        ),
    )


def test_full_image_camera_sees_what_the_crop_saw(points):
    """Crop coordinates taken to the full image, and the body placed there."""
    focal = 1e7
    projected = camera.project_weak_perspective(points, CAMERA)
    translation = camera.full_image_camera(CAMERA, BOX, IMAGE, focal)
    pixels = camera.project_perspective(
        points + translation, focal, camera.image_centre(IMAGE)
    )
    assert_close(
        "long_focal_pixels", pixels, crop.ndc_to_pixels(projected, BOX)
    )


def test_perspective_approaches_the_weak_camera_as_one_over_focal(points):
    weak_pixels = crop.ndc_to_pixels(
        camera.project_weak_perspective(points, CAMERA), BOX
    )
    errors = []
    for focal in (1e4, 1e5, 1e6):
        translated = points + camera.full_image_camera(
            CAMERA, BOX, IMAGE, focal
        )
        pixels = camera.project_perspective(
            translated, focal, camera.image_centre(IMAGE)
        )
        errors.append(np.abs(pixels - weak_pixels).max())
    ratios = np.divide(errors[:-1], errors[1:])
    assert_close("first_order", ratios, [10.0, 10.0])


def test_full_image_camera_of_the_whole_image_is_the_crops_own():
    full_box = (0.0, 0.0, 300.0, 300.0)
    assert_close(
        "float64",
        camera.full_image_camera(CAMERA, full_box, (300, 300), 900.0),
        camera.weak_to_translation(CAMERA, 900.0, 300),
    )


@pytest.mark.parametrize("size", [(100.0, 120.0), (0.0, 0.0), (-5.0, -5.0)])
def test_full_image_camera_refuses_boxes_that_are_not_square(size):
    with pytest.raises(ValueError, match="square"):
        camera.full_image_camera(CAMERA, (0.0, 0.0, *size), IMAGE, 900.0)


INTRINSICS = np.array([[3.0, 3.0, 0.4, -0.3], [5.2, 5.2, 0.0, 0.1]])


def test_the_root_is_seen_where_the_weak_camera_has_it():
    weak = np.stack([CAMERA, [0.5, -0.2, 0.4]])
    translation = camera.crop_translation(weak, INTRINSICS)
    projected = camera.project_in_crop(translation[:, None], INTRINSICS)
    root = np.zeros((2, 1, 3))
    expected = camera.project_weak_perspective(root, weak)
    assert_close("float64", projected, expected)
    # A metre across is as large as the weak camera's.
    ends = translation[:, None] + np.array([[[0, 0, 0], [1.0, 0, 0]]])
    first, last = np.moveaxis(camera.project_in_crop(ends, INTRINSICS), 1, 0)
    assert_close("float64", (last - first)[:, 0], weak[:, 0])


def test_a_crops_translation_is_the_photos():
    """As crop_views has it from the crop's box and the photo's camera."""
    photo = np.array([[700.0, 720.0, 300.0, 250.0]])
    box = np.array([BOX])
    intrinsics = camera.crop_intrinsics(photo[0], BOX)[None]
    translation = camera.crop_translation(CAMERA[None], np.float64(intrinsics))
    expected = crop_views.translation(CAMERA[None], box, photo)
    np.testing.assert_allclose(translation, expected, rtol=2e-3)


def test_points_at_the_camera_are_seen_at_the_least_depth():
    points = np.array([[[0.1, 0.2, 0.0], [0.1, 0.2, -3.0]]] * 2)
    projected = camera.project_in_crop(points, INTRINSICS)
    points[..., 2] = camera.MIN_DEPTH
    assert_close(
        "float64", projected, camera.project_in_crop(points, INTRINSICS)
    )
