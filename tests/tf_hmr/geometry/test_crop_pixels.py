"""Windows of images: their size, where their pixels land, their blur."""

import itertools

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from tests.support.closeness import assert_close
from tf_hmr.geometry import crop_pixels

SIDE = 60
IMAGE_SIZE = (301, 211)


def to_ndc(shrinkage, turned_rad=0.0, mirror=1, centre=(140.2, 97.9)):
    """(2, 3) from pixels of an image to [-1, 1] of a crop about `centre`."""
    cos, sin = np.cos(turned_rad), np.sin(turned_rad)
    linear = np.array([[mirror * cos, -mirror * sin], [sin, cos]])
    linear *= 2 / (SIDE * shrinkage)
    return np.column_stack([linear, -linear @ centre])


MAPS = [
    to_ndc(shrinkage, turned_rad, mirror, centre)
    for shrinkage, turned_rad, mirror, centre in itertools.product(
        (0.4, 1.0, 1.3, 1.9, 3.0, 9.0),
        (0.0, 0.6),
        (1, -1),
        ((140.2, 97.9), (4.0, 210.3), (-400.0, 90.0)),
    )
]
OPTIONS = [
    {},
    {"canvas_side": 90},
    {"canvas_side": 90, "by_area": True},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_pixel_of_the_crop_lies_where_its_window_says(options):
    """By corners: pixel edges of the window and of the whole image agree."""
    corners = np.array([[-0.5, -0.5, 1], [SIDE - 0.5, 3, 1], [7, 30, 1]])
    for image_to_ndc in MAPS:
        window = crop_pixels.visible_window(
            image_to_ndc, IMAGE_SIZE, SIDE, **options
        )
        pixels = corners @ window.from_crop.T
        scale = (window.high - window.low) / window.size
        edges = ((pixels + 0.5) * scale + window.low) * window.reduction
        ndc = image_to_ndc @ [*(edges - 0.5).T, np.ones(3)]
        expected = 2 * (corners[:, :2] + 0.5) / SIDE - 1
        assert_close("float64", ndc.T, expected)


def test_a_window_holds_what_filters_reach_and_little_more():
    corners = np.array([*itertools.product((0, SIDE - 1), (0, SIDE - 1), (1,))])
    for image_to_ndc in MAPS:
        window = crop_pixels.visible_window(image_to_ndc, IMAGE_SIZE, SIDE)
        pixels = corners @ window.from_crop.T + window.low
        reduced_size = np.ceil(np.array(IMAGE_SIZE) / window.reduction)
        first = np.clip(np.floor(pixels.min(axis=0)) - 2, 0, reduced_size - 1)
        end = np.clip(np.floor(pixels.max(axis=0)) + 4, 1, reduced_size)
        assert (window.low <= first).all() and (window.high >= end).all()
        assert (window.low >= first - 2).all()
        assert (window.high <= end + 2).all()
        assert (window.low >= 0).all() and (window.high <= reduced_size).all()


@pytest.mark.parametrize(
    ("shrinkage", "reduction"),
    [(0.3, 1), (1.99, 1), (2.01, 2), (3.99, 2), (4.01, 4), (8.01, 8), (40, 8)],
)
def test_an_image_is_reduced_to_no_less_than_the_crop(shrinkage, reduction):
    map_to_ndc = to_ndc(shrinkage, 0.3)
    window = crop_pixels.visible_window(map_to_ndc, IMAGE_SIZE, SIDE)
    assert window.reduction == reduction
    assert_close("float64", window.shrinkage, [shrinkage / reduction])
    window = crop_pixels.visible_window(
        map_to_ndc, IMAGE_SIZE, SIDE, by_area=True
    )
    assert window.reduction == 1


def test_windows_fit_their_canvas_and_keep_the_crops_resolution():
    for image_to_ndc, options in itertools.product(MAPS, OPTIONS):
        window = crop_pixels.visible_window(
            image_to_ndc, IMAGE_SIZE, SIDE, **options
        )
        extent = window.high - window.low
        assert window.size.min() >= 1
        assert window.size.max() <= options.get("canvas_side", np.inf)
        factor = (extent / window.size).max()
        if options.get("by_area") and window.shrinkage > 1.25:
            assert extent.max() / window.size.max() > window.shrinkage / 1.26
        elif extent.max() <= options.get("canvas_side", np.inf):
            assert factor == 1


@pytest.mark.parametrize("options", OPTIONS)
def test_a_graph_of_tensorflow_chooses_the_windows_of_numpy(options):
    """A batch at once, with a broken map among them, and one by one."""
    maps = np.array([*MAPS, np.full((2, 3), np.nan)])
    sizes = np.tile(IMAGE_SIZE, (len(maps), 1))

    @tf.function(autograph=False)
    def choose(maps, sizes):
        return crop_pixels.visible_window(maps, sizes, SIDE, xp=tnp, **options)

    windows = choose(tf.constant(maps), tf.constant(sizes))
    for row, image_to_ndc in enumerate(MAPS):
        expected = crop_pixels.visible_window(
            image_to_ndc, IMAGE_SIZE, SIDE, **options
        )
        for values, value in zip(windows, expected, strict=True):
            assert_close("float64", values[row], value)
    assert not np.isfinite(windows.from_crop[-1]).any()


def test_the_blur_repeats_the_images_edge(rng):
    pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
    padded = cv2.copyMakeBorder(pixels, 5, 5, 5, 5, cv2.BORDER_REPLICATE)
    blurred = crop_pixels.blur(padded, 1.8)[5:-5, 5:-5]
    assert_close("exact", crop_pixels.blur(pixels, 1.8), blurred)
    assert blurred.std() < 0.8 * pixels.std()
    assert_close("exact", crop_pixels.blur(pixels, 1.2), pixels)
