"""Crops of 2.5 m where distance and focal length are known."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import record_samples
from tests.support.closeness import assert_close
from tf_hmr import joints
from training import config
from training.data.pipeline import batches, metric_crops
from training.data.records import schema

SIDE_M = 2.5


def fields(count=3, **changes):
    """As of parsing.parse: people at 4 m, whose joints are before a camera."""
    rng = np.random.default_rng(1)
    points = rng.normal(0, 0.3, (count, len(joints.KEYPOINTS), 4)) + (
        0,
        0,
        4,
        0,
    )
    points[..., 3] = 1
    focal, centre = np.array([500.0, 500.0]), np.array([160.0, 120.0])
    pixels = points[..., :2] / points[..., 2:3] * focal + centre
    values = {
        "box": np.tile([10.0, 20, 80, 160], (count, 1)),
        "intrinsics": np.tile([*focal, *centre], (count, 1)),
        "joints3d": points,
        "keypoints": np.concatenate([pixels, points[..., 3:]], axis=2),
        "has_joints3d": np.ones(count),
        "has_keypoints": np.ones(count),
        "translation": np.zeros((count, 3)),
    }
    values |= changes
    return {k: tf.constant(v, tf.float32) for k, v in values.items()}


def test_a_crop_shows_two_and_a_half_metres_about_the_mean_joint():
    labels = fields()
    boxes = metric_crops.boxes(labels, 1.2, SIDE_M).numpy()
    mean = labels["joints3d"].numpy()[..., :3].mean(axis=1)
    for box, middle in zip(boxes, mean, strict=True):
        corners = middle[:2] + np.array([[-1, -1], [1, 1]]) * SIDE_M / 2
        corners_px = corners / middle[2] * 500 + (160, 120) + 0.5
        assert_close("box_px", box[:2], corners_px[0])
        assert_close("box_px", box[:2] + box[2:], corners_px[1])


def test_a_translation_goes_before_the_joints_depth():
    translated_labels = fields(translation=np.tile([0.0, 0, 8], (3, 1)))
    boxes = metric_crops.boxes(translated_labels, 1.2, SIDE_M).numpy()
    assert_close("relative_float32", boxes[:, 2], np.full(3, 500 * 2.5 / 8))


@pytest.mark.parametrize(
    "changes",
    [
        {"intrinsics": np.zeros((3, 4))},
        {"has_joints3d": np.zeros(3)},
        # About a root, not before a camera.
        {"joints3d": np.random.default_rng(0).normal(0, 0.3, (3, 29, 4))},
    ],
    ids=["no focal length", "no joints", "joints about a root"],
)
def test_elsewhere_the_crop_is_that_of_the_box(changes):
    if "joints3d" in changes:
        shape = (3, len(joints.KEYPOINTS), 4)
        changes = {"joints3d": np.zeros(shape) + (0.1, 0, 0.1, 1)}
    unknown = fields(**changes)
    boxes = metric_crops.boxes(unknown, 1.2, SIDE_M)
    expected = metric_crops.boxes(unknown, 1.2, 0.0)
    assert_close("exact", boxes, expected)
    assert_close("exact", metric_crops.distances(unknown), np.zeros(3))


def test_batches_are_cut_so_and_their_cameras_say_it(tmp_path):
    """The crop's focal length over the distance is 2 / 2.5."""
    path = tmp_path / "samples"
    writer = batches.records_folder.Writer(path, "train", 4)
    for number in range(4):
        translation = (0.2, 0.1, 3.0 + number)
        writer.write(
            record_samples.example(
                number,
                translation=translation,
                intrinsics=(300.0, 300.0, 84.0, 70.0),
            )
        )
    writer.finish(seed=1, command="tests")
    source = config.Source(str(path))
    assert metric_crops.has_distance(
        schema.decode(batches.shards.Records(str(path), "train").read(0))
    )
    batch = next(iter(batches.eval_dataset(source, 4, 64, crop_m=SIDE_M)))
    scale = batch["intrinsics"][:, 0] / batch["depth"][:, 0]
    assert_close("relative_float32", scale, np.full(4, 2 / SIDE_M))
    assert_close("relative_float32", batch["depth"][:, 0], np.arange(3.0, 7.0))


def test_a_record_without_distance_is_known():
    plain = record_samples.example(0, translation=(0, 0, 0))
    assert not metric_crops.has_distance(plain)
    joints3d = plain.joints3d + np.array([0, 0, 3, 0], np.float32)
    before = record_samples.example(0, translation=None, joints3d=joints3d)
    assert metric_crops.has_distance(before)
