"""Occluders have the areas they should, and what they cost is counted."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints, method, metrics
from training.evaluation import (
    evaluator,
    occluders,
    occlusion,
    protocols,
    results,
    selection,
)
from training.evaluation.protocol import EvaluationContext

MIDDLE = np.array([[0.0, 0.0, 1.0]])
WRIST = joints.KEYPOINTS.index("left_wrist")


def mask(pattern, degree, size=224, points=MIDDLE, number=5):
    numbers = np.full(len(points), number)
    return occluders.masks(size, points, pattern, degree, numbers)


@pytest.mark.parametrize("degree", occluders.DEGREES)
def test_circles_and_rectangles_have_hkmrs_areas(degree):
    circle, rectangle = mask("circle", degree), mask("rectangle", degree)
    assert circle.sum() == pytest.approx(math.pi * (10 * degree) ** 2, rel=0.03)
    # A side may gain or lose half a row of pixels at either end.
    assert rectangle.sum() == pytest.approx(3000 * degree, rel=0.03)
    rows, columns = rectangle.any(axis=2).sum(), rectangle.any(axis=1).sum()
    assert 0.49 < rows / columns < 2.05


@pytest.mark.parametrize("degree", occluders.DEGREES)
def test_bars_have_hkmrs_widths_and_cross_the_crop(degree):
    """Of a disc around the joint a bar covers the strip that it should."""
    bar = mask("bar", degree)[0]
    reach, half = 100, 5 * degree
    strip = 2 * half * math.sqrt(reach**2 - half**2)
    strip += 2 * reach**2 * math.asin(half / reach)
    disc = mask("circle", reach / 10)[0]
    assert (bar & disc).sum() == pytest.approx(strip, rel=0.01)
    border = np.concatenate([bar[0], bar[-1], bar[:, 0], bar[:, -1]])
    assert border.any()


@pytest.mark.parametrize("pattern", occluders.PATTERNS)
def test_an_occluder_is_as_large_in_any_crop(pattern):
    shares = [mask(pattern, 3, size).mean() for size in (96, 224, 512)]
    assert shares == pytest.approx([shares[1]] * 3, rel=0.02)


@pytest.mark.parametrize("pattern", ["circle", "rectangle"])
def test_the_joint_is_the_middle_of_its_occluder(pattern):
    points = np.array([[-0.25, 0.375, 1.0]])
    rows, columns = np.nonzero(mask(pattern, 3, points=points)[0])
    middle = np.array([columns.mean(), rows.mean()])
    assert np.abs(middle - ((points[0, :2] + 1) * 112 - 0.5)).max() < 0.5


@pytest.mark.parametrize("pattern", occluders.PATTERNS)
def test_a_higher_degree_covers_what_a_lower_one_did(pattern):
    masks = [mask(pattern, degree)[0] for degree in occluders.DEGREES]
    for smaller, larger in zip(masks, masks[1:], strict=False):
        assert (smaller & larger).sum() == smaller.sum() < larger.sum()


def test_orientation_depends_on_the_example_not_on_the_batch():
    points, numbers = np.repeat(MIDDLE, 200, axis=0), np.arange(200)
    together = occluders.masks(64, points, "bar", 2, numbers)
    assert (together[3] == mask("bar", 2, 64, number=3)[0]).all()
    other_seed = occluders.masks(64, points, "bar", 2, numbers, seed=1)
    assert (together != other_seed).any(axis=(1, 2)).mean() > 0.9
    # In all directions: 20 px wide seen from 112 px are 6 % of a half turn.
    shares = together[:, 32, 0].mean(), together[:, 0, 32].mean()
    assert all(0.02 < share < 0.12 for share in shares)


def test_only_a_visible_joint_inside_is_covered():
    points = np.array([[0.2, 0, 1], [0.2, 0, 0], [1.1, 0, 1], [np.nan, 0, 1]])
    images = np.full((4, 32, 32, 3), 200, np.uint8)
    occluded, is_covered = occluders.occlude(
        images, points, "circle", 2, np.arange(4)
    )
    assert is_covered.tolist() == [True, False, False, False]
    assert (occluded[1:] == 200).all() and occluded.dtype == np.uint8
    covered = (occluded[0] == 0).all(axis=-1)
    assert (covered == mask("circle", 2, 32, points[:1])[0]).all()
    assert (occluded[0][~covered] == 200).all() and (images == 200).all()


@pytest.mark.parametrize(("pattern", "degree"), [("star", 1), ("bar", 0)])
def test_what_there_is_not_is_refused(pattern, degree):
    with pytest.raises(ValueError, match="'circle'.*degree above 0"):
        mask(pattern, degree)


def batch(count=3):
    """White crops; the last person's left wrist is not visible."""
    random = np.random.default_rng(2)
    joints3d = np.ones((count, len(joints.KEYPOINTS), 4), np.float32)
    joints3d[..., :3] = random.normal(0, 0.3, joints3d[..., :3].shape)
    keypoints = np.zeros((count, len(joints.KEYPOINTS), 3), np.float32)
    keypoints[:, :, 0], keypoints[:, :, 2] = -0.9, 1
    keypoints[:, WRIST, 0] = 0.5
    keypoints[-1, WRIST, 2] = 0
    return {
        "image": np.full((count, 32, 32, 3), 255, np.float32),
        "keypoints": keypoints,
        "joints3d": joints3d,
        "example_id": np.array([f"id{i}" for i in range(count)], object),
    }


class SeesTheWrist:
    """Errs by 140 mm in the wrist it cannot see, and in the last one's head.

    That is 28 mm off, whatever is covered.
    """

    joint_names, body = joints.LSP14, None

    def __init__(self, people):
        index = list(joints.select(joints.LSP14, of=joints.KEYPOINTS))
        self.true = people["joints3d"][:, index, :3].copy()
        self.true[-1, joints.LSP14.index("head_top"), 0] += 0.028
        self.calls = 0

    def inputs(self, batch):
        return {"image": batch["image"]}

    def infer(self, inputs):
        self.calls += 1
        predicted = self.true + [1, 2, 3]
        # The middle row of a 32 px crop, a quarter from its right.
        blind = inputs["image"].numpy()[:, 16, 23, 0] == 0
        predicted[blind, joints.LSP14.index("left_wrist"), 1] += 0.140
        nothing = tf.zeros(1)
        return method.Prediction(
            nothing, nothing, nothing, tf.constant(predicted), nothing, nothing
        )


def test_a_planted_error_is_read_where_it_was_planted():
    """140 mm in one of 14 joints is 10 mm, for two people of three.

    The third has 2 mm from its head, and counts where its joint is visible.
    """
    people, names = batch(), ("left_wrist", "right_knee")
    seeing = SeesTheWrist(people)
    protocol = protocols.get("synthetic_v1")
    errors_of_variants = occlusion.measure_all(
        seeing, [people], protocol, ("circle",), (1, 2), names
    )
    assert seeing.calls == 1 + 2 * len(names)
    for errors in errors_of_variants.values():
        assert errors.joints == names
        assert_close("float32_mm", errors.mpjpe_mm, [10, 2 / 3])
        assert_close("float32_mm", errors.covered_joint_mm, [140, 0])
        assert_close("float32_mm", errors.unoccluded_mm, [0, 2 / 3])
        assert errors.count.tolist() == [2, 3]
        assert errors.skipped.tolist() == [1, 0]
    means = occlusion.errors(
        seeing, [people], protocol, ("circle",), (1, 2), names
    )
    assert list(means) == [occlusion.NONE, ("circle", 1), ("circle", 2)]
    expected = [1 / 3, 16 / 3, 16 / 3]
    assert_close("float32_mm", list(means.values()), expected)


def test_people_without_the_joints_of_the_rule_do_not_count():
    people = batch()
    protocol = protocols.get("synthetic_v1")
    people["joints3d"][:, joints.KEYPOINTS.index("neck"), 3] = 0
    with pytest.raises(ValueError, match="No record has all joints"):
        occlusion.errors(
            SeesTheWrist(people), [people], protocol, ("bar",), (1,)
        )


def test_a_protocols_occlusion_covers_what_its_variant_says():
    people = batch()
    bars = occluders.OneJoint("bar", (2, 5))
    assert len(bars.variants) == 28
    assert "5 left_wrist" in bars.variants
    occluded = bars.apply(people, "5 left_wrist")
    numbers = occluders.id_checksums(people["example_id"])
    points = people["keypoints"][:, WRIST]
    expected, _ = occluders.occlude(people["image"], points, "bar", 5, numbers)
    assert (occluded == expected).all()
    assert (occluded[0] != occluded[1]).any()
    assert (occluded[2] == 255).all()


def test_each_person_counts_once_however_often_they_are_covered():
    people = batch()
    protocol = dataclasses.replace(
        protocols.get("synthetic_v1_bar"),
        occlusion=occluders.OneJoint("bar", (2, 3), ("left_wrist", "neck")),
        count=len(people["image"]),
    )
    scores = evaluator.Scores(
        protocol, EvaluationContext(None, joints.LSP14, None)
    )
    tensors = {name: tf.constant(v.tolist()) for name, v in people.items()}
    for occluded, predictions in evaluator.predictions(
        SeesTheWrist(people), [tensors], protocol.occlusion
    ):
        scores.add(occluded, predictions)
    selected = selection.Selection(
        Path("records"),
        "test",
        np.arange(len(people["image"])),
        people["example_id"],
        {"splits": {"test": {}}},
        (),
    )
    result = results.result(scores, {}, selected, [], [])
    assert scores.examples == 4 * protocol.count
    assert result["measured"] == result["expected"] == protocol.count
    assert result["complete"], result["deviations"]


def test_the_metric_is_that_of_the_rule():
    """An error of the hips moves the root: the loop aligns as the rule."""
    people = batch()
    seeing = SeesTheWrist(people)
    protocol = protocols.get("synthetic_v1")
    hip = joints.LSP14.index("left_hip")
    seeing.true[:, hip, 0] += 0.1
    index = list(joints.select(protocol.joints, of=joints.KEYPOINTS))
    expected = metrics.mpjpe_mm(
        metrics.align_root(seeing.true, protocol.joints, protocol.root),
        metrics.align_root(
            people["joints3d"][:, index, :3], protocol.joints, protocol.root
        ),
    ).mean()
    errors = occlusion.errors(
        seeing, [people], protocol, ("circle",), (1,), ("right_knee",)
    )
    assert_close("float32_mm", list(errors.values()), [expected] * 2)
