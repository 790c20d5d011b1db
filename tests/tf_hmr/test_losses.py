"""Losses: sums and counts per example, and labels that are not there."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import losses

BATCH = 3
# name: (shape of one example's prediction, rank of one example's flags,
# numbers that one flag stands for)
LABELLED = {
    "keypoints_l1": ((19, 2), 1, 2),
    "joints_squared": ((14, 3), 1, 3),
    "joints_l1": ((14, 3), 1, 3),
    "rotmats_squared": ((24, 3, 3), 0, 216),
    "rotmats_l1": ((24, 3, 3), 0, 216),
    "betas_squared": ((10,), 0, 10),
}
ADVERSARIAL = {
    "discriminator_real": 1.0,
    "discriminator_fake": 0.0,
    "generator": 1.0,
}


@pytest.fixture(params=LABELLED)
def case(request, rng):
    """A loss with random predictions, labels and flags, some of them 0."""
    shape, rank, numbers = LABELLED[request.param]
    pred, true = rng.normal(size=(2, BATCH, *shape)).astype(np.float32)
    flags = rng.integers(0, 2, (BATCH, *shape[:rank])).astype(np.float32)
    flags[0], flags[1] = 1, 0
    return getattr(losses, request.param), pred, true, flags, numbers


def expected_total(function, pred, true, flags) -> np.ndarray:
    """The definition, one number at a time in float64."""
    power = 1 if function.__name__.endswith("l1") else 2
    totals = np.zeros(len(pred))
    for index in np.ndindex(*pred.shape):
        flag = flags[index[: flags.ndim]]
        if flag:
            error = abs(float(pred[index]) - float(true[index])) ** power
            totals[index[0]] += flag * error
    return totals


def test_totals_and_counts_are_those_of_the_definition(case):
    function, pred, true, flags, numbers = case
    total, count = function(pred, true, flags)
    assert_close("loss", total, expected_total(function, pred, true, flags))
    assert_close("exact", count, numbers * flags.reshape(BATCH, -1).sum(axis=1))


def test_labels_of_flag_0_may_be_nan(case):
    function, pred, true, flags, _ = case
    labelled = np.broadcast_to(
        flags.reshape(*flags.shape, *[1] * (pred.ndim - flags.ndim)) > 0,
        true.shape,
    )
    pred = tf.constant(pred)
    results = []
    for missing in (0.0, np.nan, np.inf):
        with tf.GradientTape() as tape:
            tape.watch(pred)
            labels = np.where(labelled, true, np.float32(missing))
            total, count = function(pred, labels, flags)
        results.append((total, count, tape.gradient(total, pred)))
    for with_nan in results[1:]:
        for value, reference in zip(with_nan, results[0], strict=True):
            assert_close("exact", value, reference)
    assert results[1][0][1] == results[1][1][1] == 0
    assert (results[1][2].numpy()[~labelled] == 0).all()
    assert (results[1][2].numpy()[labelled] != 0).all()


def test_an_example_does_not_depend_on_its_batch(case):
    function, pred, true, flags, _ = case
    total, count = function(pred, true, flags)
    for i in range(BATCH):
        one = slice(i, i + 1)
        single = function(pred[one], true[one], flags[one])
        assert_close("loss", single[0], total[one])
        assert_close("exact", single[1], count[one])


def test_half_precision_predictions_give_float32_losses(case):
    function, pred, true, flags, _ = case
    half = tf.cast(pred, tf.float16)
    total, count = function(half, true, flags > 0)
    assert total.dtype == count.dtype == tf.float32
    reference, _ = function(tf.cast(half, tf.float32), true, flags)
    assert_close("exact", total, reference)


def test_broadcasting_shapes_are_refused(case):
    function, pred, true, flags, _ = case
    with pytest.raises(ValueError, match="Broadcasting"):
        function(pred, true[:1], flags)
    with pytest.raises(ValueError, match="Broadcasting"):
        function(pred, true, flags[:1])


def test_keypoint_loss_is_hmrs_over_a_batch(rng):
    """tf.losses.absolute_difference with weights, as HMR calls it: the sum
    over the batch divided by the number of non-zero weights."""
    pred, true = rng.normal(size=(2, 8, 19, 2))
    visible = rng.integers(0, 2, (8, 19)).astype(float)
    total, count = losses.keypoints_l1(pred, true, visible)
    weights = np.broadcast_to(visible[..., None], pred.shape)
    expected = (weights * np.abs(pred - true)).sum() / (weights != 0).sum()
    assert_close("loss", tf.reduce_sum(total) / tf.reduce_sum(count), expected)


def test_confidence_weights_the_error_and_counts_once():
    pred, true = np.zeros((1, 2, 2)), np.ones((1, 2, 2))
    total, count = losses.keypoints_l1(pred, true, np.array([[0.25, 0.0]]))
    assert_close("exact", total, [0.5])
    assert_close("exact", count, [2.0])


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_least_squares_sums_outputs_and_counts_examples(name, rng):
    scores = rng.normal(size=(BATCH, 25))
    total, count = getattr(losses, name)(scores)
    expected = ((scores - ADVERSARIAL[name]) ** 2).sum(axis=1)
    assert_close("loss", total, expected)
    assert_close("exact", count, np.ones(BATCH))


def test_scores_with_a_stage_axis_are_refused():
    with pytest.raises(ValueError, match="first axis"):
        losses.generator(np.zeros((2, 3, 25)))
