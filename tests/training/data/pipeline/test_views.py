"""Boxes and cameras of crops: what is labelled in 3D lands on its keypoint."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tests.support import record_samples
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.formats import openpose_files
from tf_hmr.geometry import camera, crop
from training import config
from training.data.pipeline import augment, batches, labels
from training.data.readers import frames
from training.data.records import parsing, schema
from training.data.synthetic import people

ROTATED = config.Augment(rotation_deg=40.0, rotation_probability=1.0, flip=0.5)
COUNT = 64
LARGE = (1600, 1200)  # Cut and shrunk by the readers, which keep 640 px.
LARGE_BOX = (900.0, 300.0, 400.0, 700.0)


def fields_of(examples) -> dict[str, tf.Tensor]:
    return parsing.parse(tf.constant([schema.encode(e) for e in examples]))


def labelled(examples, options=None, good=None):
    """The labels of crops, augmented with `options`."""
    fields, count = fields_of(examples), len(examples)
    augmentation = augment.identity(count)
    if options:
        augmentation = augment.draw(options, (3, 4), count)
    boxes = augment.square_boxes(fields["box"], 1.2)
    to_ndc = augment.image_to_ndc(augmentation, boxes)
    ones = tf.ones([count])
    good = ones if good is None else tf.constant(good, tf.float32)
    batch = labels.augmented(fields, augmentation, to_ndc, good, ones, ones)
    return {name: value.numpy() for name, value in batch.items()}


def example_in_view(number: int, **changes) -> schema.Example:
    """A record whose joints are seen by its camera where its keypoints are."""
    rng = np.random.default_rng(number)
    points = rng.normal(0, 0.4, (len(joints.KEYPOINTS), 3)) + (0.2, -0.1, 4.0)
    focal, *centre = 300.0, 90.0, 61.0
    pixels = camera.project_perspective(points, focal, centre)
    ones = np.ones((len(points), 1))
    return record_samples.example(
        number,
        keypoints=np.concatenate([pixels, ones], axis=1),
        joints3d=np.concatenate([points, ones], axis=1),
        intrinsics=(focal, focal, *centre),
        **changes,
    )


def large_photo(**changes) -> schema.Example:
    """What readers store of a person in a large photo."""
    image = np.zeros((LARGE[1], LARGE[0], 3), np.uint8)
    example = frames.example(
        image, dataset="d", example_id="large", box=LARGE_BOX, **changes
    )
    assert (example.width, example.height) != LARGE
    return example


def test_joints_land_on_their_keypoints_through_every_augmentation():
    batch = labelled([example_in_view(n) for n in range(COUNT)], ROTATED)
    assert 0.3 < batch["flip"].mean() < 0.7
    assert np.abs(batch["rotation_rad"]).max() > 0.5
    points, view = batch["joints3d"][..., :3], batch["intrinsics"][:, None]
    landed = camera.project_perspective(points, view[..., :2], view[..., 2:])
    assert_close("ndc", landed, batch["keypoints"][..., :2])


def test_rendered_people_land_on_their_keypoints_wherever_they_are_cut():
    """Placed by the labelled translation, turned and mirrored with the crop;
    some of them are half outside of it."""
    settings = people.Settings(size=64)
    examples = list(people.People(3, "test", settings).examples(0, 16))
    options = dataclasses.replace(ROTATED, scale=(1.5, 2.5), shift=0.4)
    batch = labelled(examples, options)
    translation = np.stack([e.translation for e in examples])
    marks = np.repeat(translation[:, None], len(joints.KEYPOINTS), axis=1)
    marks = np.concatenate([marks, np.ones_like(marks[..., :1])], axis=2)
    augmentation = augment.draw(options, (3, 4), len(examples))
    marks = augment.joints3d(
        augmentation, tf.constant(marks, tf.float32)
    ).numpy()
    points = batch["joints3d"][..., :3] + marks[..., :3]
    seen_points = camera.project_in_crop(
        tf.constant(points), tf.constant(batch["intrinsics"])
    ).numpy()
    is_visible = batch["keypoints"][..., 2] > 0
    expected = batch["keypoints"][is_visible][:, :2]
    assert np.abs(seen_points[is_visible] - expected).max() < 1e-5
    assert 0.2 < (np.abs(expected) > 1).any(axis=1).mean() < 0.8


@pytest.mark.parametrize("focal", [(0.0, 0.0), (300.0, -1.0), (np.nan, 300.0)])
def test_broken_intrinsics_are_those_of_an_unknown_camera(focal):
    examples = [
        record_samples.example(0, intrinsics=(*focal, 90.0, 61.0)),
        record_samples.example(0, intrinsics=None),
    ]
    with mock.patch.object(schema, "check"):  # A damaged file's.
        batch = labelled(examples)
    first, unknown = batch["intrinsics"]
    assert_close("exact", first, unknown)
    size = record_samples.WIDTH, record_samples.HEIGHT
    expected = camera.crop_intrinsics(
        camera.default_intrinsics(size), batch["box"][0]
    )
    assert_close("ndc", unknown, expected)


def test_an_upright_crop_has_its_own_box_and_the_photos_camera():
    batch = labelled([example_in_view(0)])
    box = crop.square_box(record_samples.BOX, 1.2)
    assert_close("box_px", batch["box"][0], box)
    size = (record_samples.WIDTH, record_samples.HEIGHT)
    assert_close("exact", batch["image_size"][0], size)
    expected = camera.crop_intrinsics((300.0, 300.0, 90.0, 61.0), box)
    assert_close("ndc", batch["intrinsics"][0], expected)


def test_box_and_intrinsics_agree_through_every_augmentation():
    """The crop lies about the principal point as its camera says."""
    batch = labelled([example_in_view(n) for n in range(COUNT)], ROTATED)
    for box, view in zip(batch["box"], batch["intrinsics"], strict=True):
        expected = camera.crop_intrinsics((300.0, 300.0, 90.0, 61.0), box)
        assert_close("ndc", view, expected)


def test_a_mirrored_photo_has_its_person_on_the_other_side():
    mirrored = config.Augment((1, 1), 0.0, flip=1.0)
    example = record_samples.example(0, intrinsics=None)
    x, y, side, _ = crop.square_box(record_samples.BOX, 1.2)
    batch = labelled([example], mirrored)
    expected = record_samples.WIDTH - x - side, y, side, side
    assert_close("box_px", batch["box"][0], expected)


@pytest.mark.parametrize("focal", [None, 1500.0])
def test_what_readers_cut_keeps_its_place_in_the_photo(focal):
    intrinsics = None
    if focal:
        intrinsics = np.array([focal, focal, 790.0, 640.0])
    batch = labelled([large_photo(intrinsics=intrinsics)])
    assert_close("exact", batch["image_size"][0], LARGE)
    box = crop.square_box(LARGE_BOX, 1.2)
    # A cut is shrunk to whole pixels, by half of one in 640 more or less.
    np.testing.assert_allclose(batch["box"][0], box, atol=1.0)
    if intrinsics is None:
        intrinsics = camera.default_intrinsics(LARGE)
    expected = camera.crop_intrinsics(intrinsics, box)
    np.testing.assert_allclose(batch["intrinsics"][0], expected, rtol=2e-3)


def test_records_without_the_cut_are_their_own_photo():
    """As records of before are: the stored image is all there is."""
    cut = large_photo()
    old = dataclasses.replace(cut, original_size=None, cut=None)
    batch = labelled([old])
    assert_close("exact", batch["image_size"][0], (old.width, old.height))
    expected = camera.crop_intrinsics(
        camera.default_intrinsics((old.width, old.height)),
        crop.square_box(old.box, 1.2),
    )
    assert_close("ndc", batch["intrinsics"][0], expected)


def landmarks_of(points: np.ndarray, joints3d: np.ndarray) -> np.ndarray:
    """Landmarks that are joints: those of the same name, the others unseen."""
    landmarks = np.zeros((len(joints.BLAZEPOSE33), 7))
    for row, name in enumerate(joints.BLAZEPOSE33):
        if name in joints.KEYPOINTS:
            index = joints.KEYPOINTS.index(name)
            landmarks[row, :2] = points[index, :2]
            landmarks[row, 2:5] = joints3d[index, :3]
            landmarks[row, 5:] = 1.0
    return landmarks


def test_landmarks_go_where_keypoints_and_joints_go():
    examples = [example_in_view(n) for n in range(COUNT)]
    examples = [
        dataclasses.replace(e, landmarks=landmarks_of(e.keypoints, e.joints3d))
        for e in examples
    ]
    batch = labelled(examples, ROTATED)
    for row in range(COUNT):
        expected = landmarks_of(batch["keypoints"][row], batch["joints3d"][row])
        assert_close("ndc", batch["landmarks"][row], expected)


def openpose_of(points: np.ndarray, confidence: float) -> np.ndarray:
    """Detections of the keypoints; nothing else is detected."""
    detections = np.zeros((len(openpose_files.BODY25), 3))
    for row, name in enumerate(openpose_files.BODY25):
        if name in joints.KEYPOINTS:
            detections[row] = points[joints.KEYPOINTS.index(name)]
            detections[row, 2] *= confidence
    return detections


def test_openposes_detections_go_where_keypoints_go():
    examples = [example_in_view(n) for n in range(COUNT)]
    examples = [
        dataclasses.replace(e, openpose=openpose_of(e.keypoints, 0.3))
        for e in examples
    ]
    batch = labelled(examples, ROTATED)
    for row in range(COUNT):
        expected = openpose_of(batch["keypoints"][row], 0.3)
        assert_close("ndc", batch["openpose"][row], expected)
    assert not labelled([example_in_view(0)])["openpose"].any()


def test_openposes_detections_are_cut_with_the_photo():
    points = np.zeros((len(joints.KEYPOINTS), 3))
    points[:, :2] = np.linspace((950, 350), (1250, 950), len(points))
    points[:, 2] = 1
    cut = large_photo(keypoints=points, openpose=openpose_of(points, 0.3))
    expected = openpose_of(cut.keypoints, 0.3)
    assert np.abs(cut.keypoints - points)[:, :2].min() > 10
    is_detected = expected[:, 2] > 0
    assert (cut.openpose[~is_detected, 2] == 0).all()
    np.testing.assert_allclose(
        cut.openpose[is_detected], expected[is_detected], rtol=1e-5
    )


def test_records_without_landmarks_are_refused_to_who_reads_them(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 2)
    source = config.Source(str(folder))
    batches.check_inputs(source, ("image", "box", "intrinsics"))
    with pytest.raises(ValueError, match="samples 'train' have none"):
        batches.check_inputs(source, ("image", "landmarks"))
    changes = {"landmarks": np.ones((len(joints.BLAZEPOSE33), 7))}
    path = record_samples.spoilt(tmp_path / "known", 1, {0: changes})
    batches.check_inputs(config.Source(str(path)), ("landmarks",))


def test_the_true_root_needs_sources_with_poses(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 2)
    names = ("image", "global_rotation")
    batches.check_inputs(config.Source(str(folder)), names)
    with pytest.raises(ValueError, match="labels='2d'.*has no poses"):
        batches.check_inputs(config.Source(str(folder), labels="2d"), names)
    changes = {"pose": None}
    path = record_samples.spoilt(tmp_path / "without", 1, {0: changes})
    with pytest.raises(ValueError, match="has no poses"):
        batches.check_inputs(config.Source(str(path)), names)


def test_a_known_distance_needs_a_translation_and_a_focal_length(tmp_path):
    names = ("image", "intrinsics", "depth")
    camera_of = {"translation": (0.1, 0, 4.0), "intrinsics": (300, 300, 9, 9)}
    path = record_samples.spoilt(tmp_path / "known", 1, {0: camera_of})
    batches.check_inputs(config.Source(str(path)), names)
    for missing in camera_of:
        partly = camera_of | {missing: None}
        path = record_samples.spoilt(tmp_path / missing, 1, {0: partly})
        with pytest.raises(ValueError, match="distance.*crop='estimated'"):
            batches.check_inputs(config.Source(str(path)), names)


def test_depth_and_focal_length_give_the_size_in_an_augmented_crop():
    """A metre at the person's distance is f / depth of the crop's [-1, 1]."""
    x, y, depth, focal = 0.3, -0.2, 5.0, 400.0
    # Two points a metre apart, with the pixels of the camera.
    ends = np.array([[x, y, depth], [x + 0.6, y + 0.8, depth]])
    pixels = camera.project_perspective(ends, focal, (90.0, 61.0))
    keypoints = np.zeros((len(joints.KEYPOINTS), 3))
    keypoints[:2] = np.concatenate([pixels, np.ones((2, 1))], axis=1)
    example = record_samples.example(
        0,
        keypoints=keypoints,
        intrinsics=(focal, focal, 90.0, 61.0),
        translation=(0, 0, depth),
    )
    batch = labelled([example] * COUNT, ROTATED)
    points = batch["keypoints"]
    pair = points[points[..., 2] > 0].reshape(COUNT, 2, 3)[..., :2]
    sizes = np.linalg.norm(pair[:, 1] - pair[:, 0], axis=1)
    assert np.ptp(sizes) > 0.1
    assert_close("ndc", batch["intrinsics"][:, 0] / batch["depth"][:, 0], sizes)


def test_a_missing_distance_is_no_zero_to_divide_by():
    batch = labelled([record_samples.example(0, translation=None)])
    assert (batch["depth"] > 0).all()


def test_a_broken_record_gives_a_network_finite_numbers():
    blank = parsing.parse(tf.constant([schema.blank()]))
    augmentation = augment.identity(1)
    to_ndc = augment.image_to_ndc(
        augmentation, augment.square_boxes(blank["box"], 1.2)
    )
    batch = labels.augmented(
        blank, augmentation, to_ndc, *(tf.zeros([1]) for _ in range(3))
    )
    for name in ("box", "image_size", "intrinsics", "landmarks", "depth"):
        assert np.isfinite(batch[name]).all(), name
    assert (batch["intrinsics"].numpy()[:, :2] > 0).all()
