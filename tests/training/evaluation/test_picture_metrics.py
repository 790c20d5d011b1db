"""Silhouettes and parts of plates whose areas are known by arithmetic."""

import types

import cv2
import numpy as np
import pytest

from tests.support import record_samples
from training.data.records import part_codes
from training.evaluation import mesh_views
from training.evaluation.metrics import segmentation, silhouette
from training.evaluation.protocol import EvaluationContext, Predictions

WIDTH, HEIGHT = 300, 240
BOX = np.array([40.0, 30.0, 160.0, 160.0])
# A square plate of 1 m, its left half an arm, its right half a leg.
PLATE = np.array(
    [[x, y, 0.0] for x in (-0.5, 0, 0, 0.5) for y in (-0.5, 0.5)], np.float32
)
FACES = np.array([[0, 2, 1], [1, 2, 3], [4, 6, 5], [5, 6, 7]], np.int32)
ARM, LEG = 2, 5
LABELS = np.array([ARM] * 4 + [LEG] * 4)
CAMERA = np.array([0.75, 0.1, -0.2], np.float32)
SIDE_PX = 0.75 * 80  # s metres are s * 80 px in a crop of 160 px
LEFT = 40 + 80 + 0.75 * (0.1 - 0.5) * 80
TOP = 30 + 80 + 0.75 * (-0.2 - 0.5) * 80


def plate_body():
    data = types.SimpleNamespace(
        faces=FACES,
        parts=lambda name: (LABELS, ("head", "torso", "a", "b", "c", "d")),
        regressor=lambda names: np.full((len(names), 8), 1 / 8),
    )
    return types.SimpleNamespace(data=data)


def make_context(labelled=None):
    return EvaluationContext(plate_body(), (), labelled)


RULE = types.SimpleNamespace(options={"part_set": "part6"}, name="plates")


def rectangle(left, top, right, bottom):
    """(H, W) bool: the pixels whose centres are inside."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = (x + 0.5 > left) & (x + 0.5 < right)
    return inside & (y + 0.5 > top) & (y + 0.5 < bottom)


def plate(move=0.0):
    left = LEFT + move
    return rectangle(left, TOP, left + SIDE_PX, TOP + SIDE_PX)


def codes(move=0.0):
    """What somebody draws of the plate: two parts."""
    middle = LEFT + move + SIDE_PX / 2
    part_codes = np.where(rectangle(0, 0, middle, HEIGHT), ARM + 1, LEG + 1)
    return np.where(plate(move), part_codes, 0).astype(np.uint8)


def batch(*code_images, **changes):
    count = len(code_images)
    fields = {
        "stored_box": np.tile(BOX, (count, 1)),
        "part_set": np.array([b"part6"] * count, object),
        "parts_png": np.array(
            [record_samples.png(d) for d in code_images], object
        ),
        "width": np.full(count, WIDTH),
        "height": np.full(count, HEIGHT),
    }
    return fields | changes


def plate_prediction(count=1, camera=CAMERA):
    return Predictions(
        vertices=np.tile(PLATE, (count, 1, 1)),
        camera=np.tile(camera, (count, 1)),
    )


def measured(measure, *batches):
    for records, predicted in batches:
        measure.add(records, predicted)
    return measure.summary()


def test_a_plate_lies_where_the_camera_puts_it():
    """Pasted or drawn: a square of 60 px, halves of 1,800 square pixels."""
    mesh = (PLATE, FACES)
    labels = mesh_views.label_image(mesh, CAMERA, LABELS, BOX, (WIDTH, HEIGHT))
    silhouette = mesh_views.silhouette(mesh, CAMERA, BOX, (WIDTH, HEIGHT))
    assert labels.shape == silhouette.shape == (HEIGHT, WIDTH)
    for mask in (labels > 0, silhouette):
        # The border of a crop of 224 px, or of the picture, is a pixel wide.
        assert (mask != plate()).sum() <= 2 * SIDE_PX
        assert mask.sum() == pytest.approx(SIDE_PX**2, rel=0.035)
    for part in (ARM, LEG):
        assert (labels == part + 1).sum() == pytest.approx(1800, rel=0.06)
    columns = [np.nonzero(labels == p + 1)[1].mean() for p in (ARM, LEG)]
    assert columns[1] - columns[0] == pytest.approx(SIDE_PX / 2, abs=0.6)


def test_what_is_further_away_is_smaller():
    """SPIN's camera is 59.5 m away at this scale; 10 m more are seen."""
    mesh = (PLATE + [0, 0, 10], FACES)
    depth = 2 * 5000 / (224 * CAMERA[0])
    expected = (SIDE_PX * depth / (depth + 10)) ** 2
    labels = mesh_views.label_image(mesh, CAMERA, LABELS, BOX, (WIDTH, HEIGHT))
    silhouette = mesh_views.silhouette(mesh, CAMERA, BOX, (WIDTH, HEIGHT))
    for mask in (labels > 0, silhouette):
        assert mask.sum() == pytest.approx(expected, rel=0.04)


def test_a_mesh_outside_the_crop_is_cut_by_pasting_alone():
    aside = CAMERA + [0, -1.2, 0]  # Its left half is left of the crop.
    labels = mesh_views.label_image(
        (PLATE, FACES), aside, LABELS, BOX, (WIDTH, HEIGHT)
    )
    left = LEFT - 0.75 * 1.2 * 80
    in_crop = rectangle(BOX[0], TOP, left + SIDE_PX, TOP + SIDE_PX)
    assert ((labels > 0) != in_crop).sum() <= 2 * SIDE_PX
    mask = mesh_views.silhouette((PLATE, FACES), aside, BOX, (WIDTH, HEIGHT))
    assert mask.sum() == pytest.approx(
        rectangle(left, TOP, left + SIDE_PX, TOP + SIDE_PX).sum(), rel=0.03
    )


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_a_camera_that_sees_nothing_gives_background(scale):
    camera = np.array([scale, 0, 0])
    arguments = (PLATE, FACES), camera
    box_and_size = BOX, (WIDTH, HEIGHT)
    assert not mesh_views.label_image(*arguments, LABELS, *box_and_size).any()
    assert not mesh_views.silhouette(*arguments, *box_and_size).any()


@pytest.mark.parametrize("box", [(5.3, -7.6, 40.5), (-20, 3, 30), (2, 2, 9)])
def test_uncropping_is_the_nearest_pixel(box):
    random = np.random.default_rng(4)
    crop = random.integers(0, 9, (17, 17))
    x, y, side = box
    uncropped = mesh_views.uncrop(crop, (x, y, side, side), (31, 23))
    expected = np.zeros((23, 31), int)
    for row in range(23):
        for column in range(31):
            u = (column + 0.5 - x) / side * 17
            v = (row + 0.5 - y) / side * 17
            if 0 <= u < 17 and 0 <= v < 17:
                expected[row, column] = crop[int(v), int(u)]
    assert (uncropped == expected).all()


def test_the_reference_counts_come_out():
    """A vector measured with nkolot/SPIN's rules (255 is not judged)."""
    true = np.array([[0, 0, 1, 1], [0, 2, 2, 255], [3, 3, 4, 4], [5, 6, 6, 0]])
    pred = np.array([[0, 1, 1, 1], [0, 2, 3, 1], [3, 3, 4, 0], [5, 6, 5, 0]])
    measure = segmentation.Measure(RULE, make_context())
    measure.count(pred.astype(np.uint8), true.astype(np.uint8))
    summary = measure.summary()
    assert summary["parts_accuracy"] == pytest.approx(68.75)
    assert summary["parts_f1"] == pytest.approx(0.7166666666666667)
    assert summary["fg_accuracy"] == pytest.approx(87.5)
    assert summary["fg_f1"] == pytest.approx(0.8333333333333333)


def test_what_is_not_judged_is_no_foreground():
    coded = np.array([[0, 1, part_codes.SOMEWHERE, part_codes.NOT_JUDGED]])
    assert part_codes.silhouette(coded).tolist() == [[False, True, True, False]]
    assert part_codes.parts(coded).tolist() == [[0, 1, 255, 255]]


def test_two_drawings_that_disagree_are_each_compared_by_itself():
    """nkolot/SPIN: eval.py reads two files; 255 of the parts is no class."""
    on, off = np.full((1, 4), True), np.full((1, 4), False)
    part_drawing = np.array([[0, 1, 6, part_codes.IGNORE]], np.uint8)
    for silhouette_drawing in (on, off):
        coded = part_codes.merge(silhouette_drawing, part_drawing)
        assert (part_codes.silhouette(coded) == silhouette_drawing).all()
        assert (part_codes.parts(coded) == part_drawing).all()
    assert part_codes.merge(
        ~(part_drawing == 0) & on, part_drawing
    ).tolist() == [[0, 1, 6, part_codes.SOMEWHERE]]
    measure = segmentation.Measure(RULE, make_context())
    # A pixel of the silhouette without a part, and a part beside it: each is
    # predicted as background, then as the part.
    silhouette_mask = np.array([[True, False, True, False]])
    parts = np.array([[0, 1, 1, 0]], np.uint8)
    measure.count(
        np.array([[0, 0, 1, 0]], np.uint8),
        part_codes.merge(silhouette_mask, parts),
    )
    summary = measure.summary()
    assert summary["fg_accuracy"] == pytest.approx(75)
    assert summary["parts_accuracy"] == pytest.approx(75)
    # Of two classes: background has one false pixel, person or part misses one.
    f1 = np.mean([2 * 2 / (2 * 2 + 1), 2 / (2 + 1)])
    assert summary["fg_f1"] == pytest.approx(f1)
    assert summary["parts_f1"] == pytest.approx(f1)


def test_segmentation_of_the_plate_and_of_one_5_px_aside():
    """5 px aside 2 * 5 * 60 pixels are wrong, and 5 * 60 between the parts."""
    right = measured(
        segmentation.Measure(RULE, make_context()),
        (batch(codes()), plate_prediction()),
    )
    assert right["fg_accuracy"] > 99.8 and right["parts_f1"] > 0.97
    measure = segmentation.Measure(RULE, make_context())
    off = measured(measure, (batch(codes(5.0)), plate_prediction()))
    wrong = 2 * 5 * SIDE_PX / (WIDTH * HEIGHT)
    assert 100 - off["fg_accuracy"] == pytest.approx(100 * wrong, rel=0.2)
    wrong += 5 * SIDE_PX / (WIDTH * HEIGHT)
    wrong_percent = 100 - off["parts_accuracy"]
    assert wrong_percent == pytest.approx(100 * wrong, rel=0.2)
    index, errors = measure.ranking()
    assert index.tolist() == [0]
    assert errors[0] == pytest.approx(100 - off["fg_accuracy"])


def test_pixels_are_pooled_and_others_records_do_not_count():
    large = cv2.resize(codes(), (2 * WIDTH, 2 * HEIGHT), interpolation=0)
    three = batch(codes(5.0), codes(), large)
    three["stored_box"][2] *= 2
    three["part_set"][1] = b""  # Fourteen rendered parts.
    measure = segmentation.Measure(RULE, make_context())
    measure.add(three, plate_prediction(3))
    measure.add(
        batch(codes(), parts_png=np.array([b""], object)), plate_prediction()
    )
    assert measure.details() == {"segmented": 2, "not_segmented": 2}
    assert measure.ranking()[0].tolist() == [0, 2]
    pixels = 5 * WIDTH * HEIGHT
    wrong_pixels = (100 - measure.summary()["fg_accuracy"]) / 100 * pixels
    # Up to two sides of the large plate are a pixel off; a mean over pictures
    # would lose 1,500.
    assert 10 * SIDE_PX - 60 < wrong_pixels < 10 * SIDE_PX + 4 * SIDE_PX + 60


@pytest.mark.parametrize("module", [segmentation, silhouette])
def test_nothing_to_measure_is_named(module):
    measure = module.Measure(RULE, make_context())
    with pytest.raises(ValueError, match="No record has"):
        measure.summary()
    with pytest.raises(ValueError, match="vertices and camera"):
        measure.add(batch(codes()), Predictions())
    damaged = batch(codes(), parts_png=np.array([b"none"], object))
    with pytest.raises(ValueError, match="no 8 bit gray PNG"):
        measure.add(damaged, plate_prediction())


def test_iou_of_a_plate_5_px_aside():
    """Of two squares of 60 px 55 are shared: 55 / 65 of their union."""
    measure = silhouette.Measure(RULE, make_context())
    two_images = batch(codes(), codes(5.0))
    summary = measured(measure, (two_images, plate_prediction(2)))
    index, errors = measure.ranking()
    assert index.tolist() == [0, 1]
    assert errors[0] < 1
    assert errors[1] == pytest.approx(100 - 100 * 55 / 65, abs=1)
    mean = 1 - errors.mean() / 100
    assert summary["silhouette_iou"] == pytest.approx(mean)
    assert measure.details() == {"silhouettes": {"drawn": 2}}


def labelled_batch(**changes):
    """No drawn parts: a body at 4 m before a camera that looks past it."""
    fields = {
        "parts_png": np.array([b""], object),
        "stored_intrinsics": np.array([[500.0, 400.0, 250.0, 20.0]]),
        "translation": np.array([[-0.5, 0.25, 4.0]]),
        "joints3d": np.zeros((1, 30, 4)),
    }
    return batch(codes(), **(fields | changes))


def labelled(batch):
    return types.SimpleNamespace(
        is_labelled=np.array([True]), vertices=PLATE[np.newaxis].copy()
    )


def truth_camera():
    """The weak camera that sees the plate as that camera does."""
    # 1 m is 125 x 100 px wide around (250 - 62.5, 20 + 25): not square.
    return (187.5 + 0.5, 45.5, 125.0, 100.0)


def test_a_labelled_body_is_seen_by_its_camera():
    x, y, width, height = truth_camera()
    true = rectangle(
        x - width / 2, y - height / 2, x + width / 2, y + height / 2
    )
    measure = silhouette.Measure(RULE, make_context(labelled))
    by_place, by_hips = labelled_batch(), labelled_batch()
    by_hips["joints3d"][..., :] = [-0.5, 0.25, 4.0, 1]
    by_hips["translation"][:] = 0
    for records in (by_place, by_hips):
        measure.add(records, plate_prediction())
    expected = (true & plate()).sum() / (true | plate()).sum()
    _, errors = measure.ranking()
    assert 1 - errors / 100 == pytest.approx([expected] * 2, abs=0.01)
    unknown = labelled_batch(translation=np.zeros((1, 3)))
    measure.add(unknown, plate_prediction())
    no_camera = labelled_batch(stored_intrinsics=np.zeros((1, 4)))
    measure.add(no_camera, plate_prediction())
    assert measure.details() == {"silhouettes": {"labelled body": 2, "none": 2}}
    assert len(measure.ranking()[0]) == 2
