"""The end of a batch in the step: what the host would have made."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from tests.support import pipeline_batches, record_samples
from tests.support.closeness import TOLERANCES, assert_close
from tf_hmr.geometry import crop, crop_pixels
from training import config
from training.data.pipeline import augment, pixels, warp

COUNT = 11
STRONG = config.Augment(
    rotation_deg=25.0, rotation_probability=0.7, colour=0.3, occlude=0.5
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record_samples.folder(
        tmp_path_factory.mktemp("records") / "samples", COUNT, shard_size=4
    )


def finished(folder, how, side, count=3, start=0, **changes):
    data = pipeline_batches.two_sources(folder, warp=how, **changes)
    return pipeline_batches.batches(data, count, start, side=side)


# Records are 168 x 140 pixels, the box of their crop is 168 wide. At 128 both
# places interpolate the very same pixels, and differ by the host's rounding,
# times a gain of 1.3. At 48 the image decodes at half its size, and a turned
# window shrinks to fit its canvas: the rims of the painted dots are softer.
@pytest.mark.parametrize(
    ("side", "mean", "all_but_one_in_100"), [(128, 0.2, 0.8), (48, 1.0, 20)]
)
def test_both_places_make_the_same_batch(
    folder, side, mean, all_but_one_in_100
):
    changes = {"augment": STRONG, "parts": True}
    host_batches = finished(folder, "host", side, 2, **changes)
    step_batches = finished(folder, "step", side, 2, **changes)
    for one, step_batch in zip(host_batches, step_batches, strict=True):
        assert one.keys() == step_batch.keys()
        for name in one.keys() - {"image"}:
            np.testing.assert_array_equal(one[name], step_batch[name], name)
        assert step_batch["image"].dtype == np.float32
        assert step_batch["image"].shape == (6, side, side, 3)
        difference = np.abs(one["image"] - step_batch["image"])
        assert difference.mean() < mean
        assert np.percentile(difference, 99) < all_but_one_in_100
        assert one["image"].std() > 20


def test_dots_of_the_step_lie_at_their_keypoints(folder):
    changes = {"augment": config.Augment(rotation_deg=20.0, flip=0)}
    errors = [
        record_samples.dot_errors(image, points, 2.0)
        for batch in finished(folder, "step", 64, **changes)
        for image, points in zip(
            batch["image"], batch["keypoints"], strict=True
        )
    ]
    errors = np.concatenate(errors)
    assert len(errors) > 150
    assert errors.max() <= TOLERANCES["dot_px"].absolute


def test_a_run_that_starts_at_a_step_sees_that_step(folder):
    through = finished(folder, "step", 64, 3, augment=STRONG)
    later = finished(folder, "step", 64, 1, start=2, augment=STRONG)
    for one, later_batch in zip(through[2:], later, strict=True):
        pipeline_batches.assert_same(one, later_batch)


def test_a_bad_image_keeps_its_place_and_stays_black(tmp_path, caplog):
    image = record_samples.example(2).image
    bad = pipeline_batches.damaged_copy(tmp_path, 2, image[: len(image) // 2])
    augmentation = config.Augment(occlude=1.0, colour=0.3)
    changes = {"augment": augmentation, "prior": "", "max_bad_share": 0.1}
    with caplog.at_level(logging.WARNING):
        batches = finished(bad, "step", 64, 6, **changes)
    hit = 0
    for batch in batches:
        rows = batch["example_id"] == b"id2"
        hit += rows.sum()
        assert (batch["image"][rows] == 0).all()
        assert (batch["keypoints"][rows] == 0).all()
        assert (batch["image"][~rows].std(axis=(1, 2, 3)) > 1).all()
    assert hit >= 2
    assert "samples/id2: JPEG is cut short" in caplog.text


@pytest.mark.parametrize("shrinkage", [0.6, 1.2, 1.5, 1.9, 3.1])
@pytest.mark.parametrize("rotation_rad", [0.0, 0.7])
def test_the_canvas_keeps_the_resolution(shrinkage, rotation_rad):
    """A canvas that was coarser than the crop would lose the fine waves."""
    side = 90
    length = round(side * shrinkage * 1.5) + 37
    x, y = np.meshgrid(*2 * [np.arange(length) / (side * shrinkage)])
    waves = [np.sin(2 * np.pi * (14 * x + 3 * k * y)) for k in range(3)]
    image = np.uint8(127.5 + 90 * np.stack(waves, axis=-1))
    box = (23.3, 17.9, side * shrinkage, side * shrinkage)
    augmentation = augment.identity(1)._replace(
        rotation_rad=tf.constant([rotation_rad])
    )
    to_ndc = augment.image_to_ndc(augmentation, tf.constant([box]))[0].numpy()
    jpeg, size = record_samples.jpeg(image), (length, length)
    canvas_side = warp.canvas_side(side)
    window = crop_pixels.visible_window(to_ndc, size, side, canvas_side)
    decoded = pixels.decode_window(jpeg, size, window)
    canvas = np.zeros((1, canvas_side, canvas_side, 3), np.uint8)
    canvas[0, : decoded.shape[0], : decoded.shape[1]] = decoded
    batch = {
        "canvas": tf.constant(canvas),
        "filled": tf.constant([window.size], tf.float32),
        "to_canvas": tf.constant([window.from_crop], tf.float32),
    }
    warped = warp.finish(batch, side)["image"][0].numpy()
    window = crop_pixels.visible_window(to_ndc, size, side)
    expected = pixels.image_crop(jpeg, size, window, side)
    inner = slice(3, -3)
    difference = np.abs(warped - expected)[inner, inner]
    assert difference.mean() < 6.0
    # 14 waves over 90 pixels: what is lost shows in their height.
    assert warped[inner, inner].std() > 0.9 * expected[inner, inner].std()
    if not rotation_rad:
        clear = crop.crop_image(image, box, side)
        assert np.abs(warped - clear)[inner, inner].mean() < 10.0


def test_crops_beside_the_image_repeat_its_edge():
    image = np.zeros((40, 50, 3), np.uint8)
    image[:, -1] = (10, 200, 90)
    jpeg = record_samples.jpeg(image)
    boxes = tf.constant([[70.0, 5.0, 30.0, 30.0]])
    to_ndc = augment.image_to_ndc(augment.identity(1), boxes)[0].numpy()
    window = crop_pixels.visible_window(to_ndc, (50, 40), 32, 48)
    decoded = pixels.decode_window(jpeg, (50, 40), window)
    assert decoded.shape[1] == 1
    cropped = pixels.image_crop(jpeg, (50, 40), window, 32)
    assert np.abs(cropped.astype(int) - (10, 200, 90)).max() < 40
    assert np.abs(cropped.astype(int) - decoded[0, 0]).max() < 40


def test_gains_and_occluders_change_only_what_they_should():
    image = tf.fill([2, 20, 20, 3], tf.constant(100, tf.uint8))
    gain = tf.constant([[1.0, 0.5, 3.0], [1.0, 1.0, 1.0]])
    images = warp.finish({"image": image, "gain": gain}, 20)["image"].numpy()
    assert (images[0, 0, 0] == [100, 50, 255]).all()
    assert (images[1] == 100).all()
    batch = {
        "image": image,
        "occluder": tf.constant([[0.5, 0, 0.2, 0.4], [-1.2, -1.2, 0.1, 0.1]]),
        "occluder_rgb": tf.constant([[1.5, 2.0, 3.0], [9.0, 9.0, 9.0]]),
    }
    images = warp.finish(batch, 20)["image"].numpy()
    assert (images[0, 6:14, 13:17] == [1, 2, 3]).all()
    assert np.count_nonzero((images[0] != 100).any(axis=2)) == 8 * 4
    assert (images[1] == 100).all()


def test_a_batch_that_is_done_or_has_no_picture_stays_as_it_is(rng):
    images = tf.constant(rng.uniform(size=(2, 8, 8, 3)), tf.float32)
    batch = {"image": images, "keypoints": tf.zeros((2, 3))}
    assert warp.finish(batch, 8) is batch
    assert warp.finish({"x": images}, 8).keys() == {"x"}
    finished_batch = warp.finish(
        {"image": tf.cast(images, tf.uint8), "x": 1.0}, 8
    )
    assert (
        finished_batch["x"] == 1.0
        and finished_batch["image"].dtype == tf.float32
    )
    assert_close("exact", warp.canvas_side(224), 336)
