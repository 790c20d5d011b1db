"""Boxes and crops: where a point lands, and where its pixels land."""

import cv2
import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr.geometry import crop

BOX = (20.25, 10.5, 60.0, 60.0)


def dot(size: tuple[int, int], at, radius: float) -> np.ndarray:
    """(H, W, 3) picture of a soft round dot at a sub-pixel place."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    squared = (x - at[0]) ** 2 + (y - at[1]) ** 2
    gray = np.rint(255 * np.exp(-0.5 * squared / radius**2))
    return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    """Intensity-weighted mean position, pixel-centre coordinates."""
    gray = image[..., 0].astype(np.float64)
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
    return np.array([(x * gray).sum(), (y * gray).sum()]) / gray.sum()


def test_a_crop_of_the_whole_image_at_its_own_size_is_the_image(rng):
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    assert_close("exact", crop.crop_image(image, (0, 0, 32, 32), 32), image)


def test_a_crop_at_whole_pixels_is_a_slice(rng):
    image = rng.integers(0, 256, (40, 50, 3), np.uint8)
    part = crop.crop_image(image, (7, 5, 16, 16), 16)
    assert_close("exact", part, image[5:21, 7:23])


@pytest.mark.parametrize("size", [16, 60, 224])
@pytest.mark.parametrize("side", [60.0, 131.7, 900.0, 1901.0])
def test_pixels_land_where_the_affine_says(side, size):
    """From enlarging to shrinking far past the first halving."""
    box = (50.3, 20.8, side, side)
    at = np.array([box[0] + 0.3 * side, box[1] + 0.6 * side])
    picture = dot((int(side) + 71, int(side) + 40), at, side / 14)
    centre = centroid(crop.crop_image(picture, box, size))
    assert_close("dot_pixels", centre, crop.crop_affine(box, size) @ [*at, 1])


def test_affine_takes_the_boxs_edges_to_the_crops_edges():
    x, y, side, _ = BOX
    low, high = (
        crop.crop_affine(BOX, 96) @ [x - 0.5 + d, y - 0.5 + d, 1]
        for d in (0, side)
    )
    assert_close("float64", low, [-0.5, -0.5])
    assert_close("float64", high, [95.5, 95.5])


@pytest.mark.parametrize("size", [1, 64, 224])
def test_ndc_is_the_crop_pixels_normalised_at_any_size(size, rng):
    xy = rng.uniform(0, 100, (30, 2))
    affine = crop.crop_affine(BOX, size)
    pixels = xy @ affine[:, :2].T + affine[:, 2]
    assert_close(
        "float64", crop.pixels_to_ndc(xy, BOX), 2 * (pixels + 0.5) / size - 1
    )


def test_ndc_there_and_back(rng):
    uv = rng.uniform(-1, 1, (4, 30, 2))
    xy = crop.ndc_to_pixels(uv, BOX)
    assert_close("float64", crop.pixels_to_ndc(xy, BOX), uv)


def test_a_flipped_crop_has_negated_u(rng):
    """u -> -u is exact: pixel x of S goes to S - 1 - x."""
    picture = dot((200, 160), (41.3, 30.2), 4.0)
    image = crop.crop_image(picture, BOX, 64)
    crop_box = (0, 0, 64, 64)
    u, v = crop.pixels_to_ndc(centroid(image), crop_box)
    flipped = crop.pixels_to_ndc(centroid(image[:, ::-1]), crop_box)
    assert_close("float64", flipped, [-u, v])


@pytest.mark.parametrize("shrink", [1.5, 2, 3, 7.3, 20])
def test_shrinking_does_not_alias(shrink, rng):
    """Noise of single pixels must average out, as its mean does."""
    size = 32
    side = size * shrink
    image = rng.integers(0, 256, (700, 700, 3), np.uint8)
    small = crop.crop_image(image, (11.4, 5.2, side, side), size)
    plain = image.std() / shrink
    assert small.std() < 1.1 * plain + 0.5


def test_shrinking_by_whole_numbers_is_the_mean_of_blocks(rng):
    image = rng.integers(0, 256, (96, 96, 3), np.uint8)
    blocks = image.reshape(32, 3, 32, 3, 3).mean(axis=(1, 3))
    small = crop.crop_image(image, (0, 0, 96, 96), 32)
    assert_close("gray_level", small, blocks)


@pytest.mark.parametrize("side", [40, 400])
def test_outside_the_image_its_edge_is_repeated(side):
    image = np.zeros((side, side, 3), np.uint8)
    image[:, : side // 2] = (10, 20, 30)
    image[:, side // 2 :] = (200, 100, 50)
    box = (-side, -side, 3 * side, 3 * side)
    wide = crop.crop_image(image, box, 30)
    assert_close("exact", wide[:, :14], np.full((30, 14, 3), (10, 20, 30)))
    assert_close("exact", wide[:, 16:], np.full((30, 14, 3), (200, 100, 50)))


def test_a_part_of_a_large_photo_does_not_see_the_rest():
    """What lies outside the box and its filter leaves no trace."""
    image = np.full((900, 1200, 3), 90, np.uint8)
    image[300:700, 500:900] = 180
    inner = crop.crop_image(image, (500, 300, 400, 400), 24)
    assert_close("exact", inner[1:-1, 1:-1], np.full((22, 22, 3), 180))
    outer = crop.crop_image(image, (52, 300, 400, 400), 24)
    assert_close("exact", outer, np.full((24, 24, 3), 90))


def test_the_source_image_is_left_alone(rng):
    image = rng.integers(0, 256, (300, 300, 3), np.uint8)
    before = image.copy()
    crop.crop_image(image, (0, 0, 300, 300), 16)[:] = 0
    assert_close("exact", image, before)


def test_a_transposed_view_is_cropped_like_its_copy(rng):
    image = rng.integers(0, 256, (60, 80, 3), np.uint8).transpose(1, 0, 2)
    box = (3.5, 4.5, 50, 50)
    assert_close(
        "exact",
        crop.crop_image(image, box, 24),
        crop.crop_image(np.ascontiguousarray(image), box, 24),
    )


def test_enlarging_agrees_with_opencvs_resize():
    """An independent sampler with the same pixel-edge convention."""
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8),
        (5, 5),
        0,
    )
    resized = cv2.resize(image, (80, 80), interpolation=cv2.INTER_LINEAR)
    cropped = crop.crop_image(image, (0, 0, 20, 20), 80)
    assert_close("warp_gray_level", cropped, resized)


def test_square_box_keeps_the_centre_and_covers_the_box():
    x, y, w, h = crop.square_box((10, 20, 30, 70), scale=1.5)
    assert (w, h) == (105, 105)
    assert (x + w / 2, y + h / 2) == (25, 55)


def test_box_of_keypoints_is_tight_in_edges_and_ignores_the_unseen():
    xy = np.array([[10.0, 20], [np.nan, np.nan], [30, 80], [999, -999]])
    visibility = np.array([1, 0, 0.3, 0])
    assert crop.box_of_keypoints(xy, visibility) == (10.5, 20.5, 20, 60)
    assert crop.box_of_keypoints(xy, visibility, 2.0) == (0.5, -9.5, 40, 120)


@pytest.mark.parametrize("visibility", [(0, 0, 0), (0, 1, 0), (1, 0, 1)])
def test_box_of_keypoints_needs_two_places(visibility):
    xy = np.array([[5.0, 5], [9, 9], [5, 5]])
    with pytest.raises(ValueError, match="at least two visible keypoints"):
        crop.box_of_keypoints(xy, np.array(visibility))


@pytest.mark.parametrize(
    "box", [(0, 0, 100, 50), (-9, -9, 10, 10), (99.5, 49.5, 7, 7)]
)
def test_boxes_that_touch_the_image_are_accepted(box):
    crop.check_box(box, (100, 50))


@pytest.mark.parametrize(
    ("box", "wrong"),
    [
        ((100, 0, 5, 5), "outside the image of 100 x 50"),
        ((0, 50, 5, 5), "outside"),
        ((-5, 0, 5, 5), "outside"),
        ((0, -9, 5, 5), "outside"),
        ((0, 0, 0, 5), "empty"),
        ((50, 40, 30, -20), "corners"),
        ((0, float("nan"), 5, 5), "not finite"),
        ((0, 0, float("inf"), 5), "not finite"),
        ((0, 0, 5), "four numbers"),
        ((0, 0, 1e-300, 1e-300), "empty"),
        ((0, 0, 1e300, 5), "too large"),
        ((-1e300, 0, 1e301, 5), "too large"),
        ((0, 0, 10**400, 5), "four numbers"),
        ((0, 0, None, 5), "four numbers"),
    ],
)
def test_bad_boxes_are_named(box, wrong):
    with pytest.raises(ValueError, match=wrong):
        crop.check_box(box, (100, 50))


@pytest.mark.parametrize(
    "function",
    [
        lambda box: crop.crop_affine(box, 64),
        lambda box: crop.pixels_to_ndc(np.zeros(2), box),
        lambda box: crop.ndc_to_pixels(np.zeros(2), box),
        lambda box: crop.crop_image(np.zeros((9, 9, 3), np.uint8), box, 4),
    ],
)
def test_a_box_that_would_stretch_the_person_is_refused(function):
    with pytest.raises(ValueError, match="square_box"):
        function((0, 0, 5, 8))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((9, 9, 3), np.float32),
    ],
)
def test_an_image_of_another_kind_is_refused(image):
    with pytest.raises(ValueError, match="uint8"):
        crop.crop_image(image, (0, 0, 5, 5), 4)
