"""Augmentation: every label goes where the pixels go."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.support import record_samples
from tests.support.closeness import TOLERANCES, assert_close
from tf_hmr import joints
from tf_hmr.geometry import camera, crop, crop_pixels, rotations
from training import config
from training.data.pipeline import augment, pixels

SIZE = 128
STRONG = config.Augment(
    scale=(0.7, 1.3), rotation_deg=25.0, rotation_probability=1.0, flip=0.5
)
K = len(joints.KEYPOINTS)
SQUARE = crop.square_box(record_samples.BOX, 1.2)


def one(augmentation: augment.Augmentation, **changes) -> augment.Augmentation:
    """`augmentation` with fields replaced by the same number for everyone."""
    new = {
        name: tf.fill(tf.shape(getattr(augmentation, name)), float(number))
        for name, number in changes.items()
    }
    return augmentation._replace(**new)


def image_crop(jpeg, size, to_ndc, side: int) -> np.ndarray:
    window = crop_pixels.visible_window(to_ndc, size, side)
    return pixels.image_crop(jpeg, size, window, side)


def boxes(count: int) -> tf.Tensor:
    return tf.tile(tf.constant([SQUARE], tf.float32), [count, 1])


def test_a_draw_is_a_function_of_seed_and_step():
    first = augment.draw(STRONG, [3, 5], 16)
    same_seed = augment.draw(STRONG, [3, 5], 16)
    for a, b in zip(first, same_seed, strict=True):
        assert_close("exact", a, b)
    for seed in ([3, 6], [4, 5], [5, 3]):
        other_seed = augment.draw(STRONG, seed, 16)
        assert np.abs(other_seed.scale - first.scale).max() > 0.01


def test_draws_keep_to_their_ranges_and_shares():
    options = dataclasses.replace(
        STRONG,
        colour=0.4,
        occlude=0.25,
        flip=0.3,
        background=0.5,
        objects=0.5,
    )
    augmentation = augment.draw(options, [0, 0], 20000)
    assert 0.7 <= augmentation.scale.numpy().min() < 0.71
    assert 1.29 < augmentation.scale.numpy().max() <= 1.3
    for values, centre, reach in (
        (augmentation.shift.numpy(), 0.0, options.shift),
        (augmentation.gain.numpy(), 1.0, 0.4),
    ):
        ends = np.array([values.min(), values.max()])
        assert (np.abs(ends - centre) <= reach + 1e-6).all()
        assert_close("range_end", (ends - centre) / reach, [-1.0, 1.0])
    angle = np.degrees(augmentation.rotation_rad)
    assert np.abs(angle).max() <= 50.0  # cut at twice 25 degrees
    # A normal distribution cut at two deviations keeps 0.880 of its width.
    assert abs(angle.std() / 25.0 - 0.880) < 0.02
    assert abs(augmentation.flip.numpy().mean() - 0.3) < 0.02
    hidden = augmentation.occluder.numpy()[:, 2] > 0
    assert abs(hidden.mean() - 0.25) < 0.02
    half = dataclasses.replace(options, rotation_probability=0.5)
    is_rotated = augment.draw(half, [0, 0], 20000).rotation_rad.numpy() != 0
    assert abs(is_rotated.mean() - 0.5) < 0.02
    # No two of the drawn numbers are the same number.
    flat = [
        np.reshape(x, (20000, -1)) for x in augmentation if x.shape[0] == 20000
    ]
    table = np.concatenate(flat, axis=1)
    correlation = np.abs(np.corrcoef(table.T)) - np.eye(table.shape[1])
    # The two half sizes of an occluder vanish together.
    at = sum(part.shape[1] for part in flat[:5]) + 2
    correlation[at : at + 2, at : at + 2] = 0
    assert correlation.max() < 0.05


def test_without_augmentation_the_crop_is_that_of_a_photo(rng):
    points = np.ones((1, K, 3), np.float32)
    points[0, :, :2] = rng.uniform(0, 140, (K, 2))
    augmentation = augment.identity(1)
    to_ndc = augment.image_to_ndc(augmentation, boxes(1))
    keypoints = augment.keypoints(augmentation, to_ndc, tf.constant(points))
    expected = crop.pixels_to_ndc(points[0, :, :2], SQUARE)
    assert_close("ndc", keypoints[0, :, :2], expected)
    image, _ = record_samples.draw(record_samples.keypoints(rng))
    mine = image_crop(
        record_samples.jpeg(image),
        (record_samples.WIDTH, record_samples.HEIGHT),
        to_ndc[0].numpy(),
        size := round(SQUARE[2]),
    )
    photo = crop.crop_image(image, SQUARE, size)
    assert np.abs(mine.astype(int) - photo).mean() < 2.0


@pytest.mark.parametrize("number", range(4))
def test_dots_follow_their_keypoints(number):
    example = record_samples.example(number)
    augmentation = augment.draw(STRONG, [9, number], 6)
    to_ndc = augment.image_to_ndc(augmentation, boxes(6))
    points = tf.tile(tf.constant(example.keypoints)[None], [6, 1, 1])
    points = augment.keypoints(augmentation, to_ndc, points).numpy()
    errors = []
    for row in range(6):
        image = image_crop(
            example.image,
            (example.width, example.height),
            to_ndc[row].numpy(),
            SIZE,
        )
        radius = (
            record_samples.RADIUS * SIZE / SQUARE[2] * augmentation.scale[row]
        )
        errors.append(
            record_samples.dot_errors(
                image, points[row], float(radius), bool(augmentation.flip[row])
            )
        )
    errors = np.concatenate(errors)
    assert len(errors) > 50
    assert errors.max() <= TOLERANCES["dot_px"].absolute
    assert len({float(flip) for flip in augmentation.flip}) == 2


def test_part_labels_follow_and_change_sides():
    example = record_samples.example(1)
    augmentation = augment.draw(STRONG, [9, 0], 12)
    to_ndc = augment.image_to_ndc(augmentation, boxes(12))
    points = tf.tile(tf.constant(example.keypoints)[None], [12, 1, 1])
    points = augment.keypoints(augmentation, to_ndc, points).numpy()
    part_of_side = np.array(
        [
            record_samples.LEFT_PART,
            record_samples.RIGHT_PART,
            record_samples.MIDDLE_PART,
        ]
    )
    num_inside = 0
    for row in range(12):
        labels = pixels.parts_crop(
            example.parts,
            (example.width, example.height),
            to_ndc[row].numpy(),
            SIZE,
            mirrored=bool(augmentation.flip[row]),
        )
        assert set(np.unique(labels)) <= {0, *part_of_side}
        at = np.round((points[row, :, :2] + 1) * SIZE / 2 - 0.5).astype(int)
        inside = ((at >= 0) & (at < SIZE)).all(axis=1)
        labels_at_dots = labels[at[inside, 1], at[inside, 0]]
        assert (
            labels_at_dots == part_of_side[record_samples.SIDES[inside]]
        ).all()
        num_inside += inside.sum()
    assert num_inside > 150
    assert len({float(flip) for flip in augmentation.flip}) == 2


def test_scale_enlarges_and_shift_moves_the_window(rng):
    points = np.ones((1, K, 3), np.float32)
    points[0, :, :2] = rng.uniform(20, 120, (K, 2))
    plain = augment.identity(1)

    def ndc_keypoints(augmentation):
        to_ndc = augment.image_to_ndc(augmentation, boxes(1))
        return augment.keypoints(augmentation, to_ndc, tf.constant(points))

    start = ndc_keypoints(plain)[0, :, :2]
    larger = ndc_keypoints(one(plain, scale=1.25))[0, :, :2]
    assert_close("ndc", larger, 1.25 * start)
    # A tenth of the side is 0.2 in ndc; the window moves, the person not.
    shifted = ndc_keypoints(one(plain, shift=0.1))[0, :, :2]
    assert_close("ndc", shifted, start - 0.2)


def test_what_was_never_visible_stays_zero():
    augmentation = augment.draw(STRONG, [1, 2], 4)
    to_ndc = augment.image_to_ndc(augmentation, boxes(4))
    points = augment.keypoints(augmentation, to_ndc, tf.zeros([4, K, 3]))
    assert_close("exact", points, np.zeros((4, K, 3)))


def test_flipping_twice_changes_nothing(rng):
    flip = one(augment.identity(3), flip=1)
    points = rng.normal(size=(3, K, 4)).astype(np.float32)
    rotmats = rotations.rotvec_to_rotmat(
        rng.normal(size=(3, 24, 3)).astype(np.float32)
    )
    once = augment.joints3d(flip, tf.constant(points))
    assert np.abs(once - points).max() > 0.1
    assert_close("exact", augment.joints3d(flip, once), points)
    once = augment.rotmats(flip, rotmats)
    assert np.abs(once - rotmats).max() > 0.1
    # A rotation by 0 stands before the flip, hence not "exact".
    assert_close("rotation", augment.rotmats(flip, once), rotmats)
    # In this box ndc equals pixels.
    unit = tf.tile([[-0.5, -0.5, 2.0, 2.0]], [3, 1])
    to_ndc = augment.image_to_ndc(flip, unit)
    points = np.abs(points[..., :3])
    once = augment.keypoints(flip, to_ndc, tf.constant(points))
    assert_close("ndc", augment.keypoints(flip, to_ndc, once), points)


@pytest.fixture
def posed(rng):
    """Rotations of eight people, one quarter turned and mirrored."""
    rotvec = rng.normal(0, 0.3, (8, 24, 3)).astype(np.float32)
    rotvec[:, 0] = rng.normal(0, 1.5, (8, 3))
    return rotations.rotvec_to_rotmat(rotvec)


def test_a_body_posed_by_augmented_rotations_has_the_augmented_joints(
    body, posed
):
    augmentation = augment.draw(STRONG, [2, 2], 8)
    betas = tf.zeros([8, body.num_betas])
    index = joints.select(body.joint_names, of=joints.KEYPOINTS)

    def from_pelvis(rotmats):
        mesh = body(rotmats, betas)
        return mesh.joints.numpy() - mesh.skeleton[:, :1]

    points = np.zeros((8, K, 4), np.float32)
    points[:, index, :3] = from_pelvis(posed)
    expected = augment.joints3d(augmentation, tf.constant(points)).numpy()
    actual = from_pelvis(augment.rotmats(augmentation, posed))
    assert 0 < augmentation.flip.numpy().sum() < 8
    assert_close("mirrored_body_metres", actual, expected[:, index, :3])


def test_augmented_3d_joints_project_onto_augmented_keypoints(rng):
    """Weak perspective about the crop's centre commutes with turn and flip."""
    count, scale = 8, 0.9
    augmentation = augment.draw(STRONG, [4, 4], count)
    augmentation = one(augmentation, scale=1.0, shift=0.0)
    points = np.ones((count, K, 4), np.float32)
    points[..., :3] = rng.uniform(-1, 1, (count, K, 3))
    weak = np.tile(np.array([[scale, 0, 0]], np.float32), (count, 1))
    uv = camera.project_weak_perspective(points[..., :3], weak)
    xy = crop.ndc_to_pixels(uv, SQUARE)
    flat = np.concatenate([xy, np.ones((count, K, 1))], axis=2)
    to_ndc = augment.image_to_ndc(augmentation, boxes(count))
    keypoints = augment.keypoints(
        augmentation, to_ndc, tf.constant(flat, tf.float32)
    )
    augmented_joints = augment.joints3d(augmentation, tf.constant(points))
    expected = camera.project_weak_perspective(augmented_joints[..., :3], weak)
    assert 0 < augmentation.flip.numpy().sum() < count
    assert_close("ndc", keypoints[..., :2], expected)


@pytest.mark.parametrize("shrinkage", [1.5, 2.0, 3.1, 4.5, 9.0])
def test_shrunk_images_stay_in_place_and_smooth(shrinkage):
    """The decoder's reduced sizes and the blur against the photo's crop."""
    side = 90
    length = round(side * shrinkage) + 37
    x, y = np.meshgrid(*2 * [np.arange(length) / (side * shrinkage)])
    waves = [np.sin(2 * math.pi * (3 * x + k * y)) for k in range(3)]
    image = np.uint8(127.5 + 90 * np.stack(waves, axis=-1))
    noise = np.random.default_rng(0).normal(0, 20, image.shape)
    noisy = np.uint8(np.clip(image + noise, 0, 255))
    box = (11.3, 17.9, side * shrinkage, side * shrinkage)
    to_ndc = augment.image_to_ndc(
        augment.identity(1), tf.constant([box], tf.float32)
    )[0].numpy()
    size = (length, length)
    clear = crop.crop_image(image, box, side)

    def error(picture):
        difference = np.abs(picture.astype(int) - clear)
        return difference[3:-3, 3:-3].mean()

    warped = image_crop(record_samples.jpeg(image), size, to_ndc, side)
    assert error(warped) < 2.0
    # Noise is averaged nearly as well as by the photo's area filter.
    warped = image_crop(record_samples.jpeg(noisy), size, to_ndc, side)
    assert error(warped) < 1.2 * error(crop.crop_image(noisy, box, side))


def test_bytes_that_give_no_picture_are_told_apart():
    example = record_samples.example(0)
    size = (example.width, example.height)
    data = example.image
    header = data[:4] + b"\x00" * 40 + data[44:]
    with pytest.raises(pixels.BadImage, match="cut short"):
        pixels.decode_jpeg(data[: len(data) // 2], size)
    with pytest.raises(pixels.BadImage, match="not decode"):
        pixels.decode_jpeg(b"\xff\xd8 no picture \xff\xd9", size)
    with pytest.raises(pixels.BadImage):
        pixels.decode_jpeg(header, size)
    with pytest.raises(pixels.BadImage, match="another size"):
        pixels.decode_jpeg(data, (size[0] + 1, size[1]))
    to_ndc = np.eye(2, 3)
    with pytest.raises(pixels.BadImage, match="8 bit gray"):
        pixels.parts_crop(b"\x89PNG", size, to_ndc, 8)
    small = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    with pytest.raises(pixels.BadImage, match="differ in size"):
        pixels.parts_crop(small, size, to_ndc, 8)
