"""The metrics against a slow implementation, on the reference vectors.

As they are, mirrored along each axis, and in other sizes.
"""

import itertools

import numpy as np
import pytest

from tests.support import slow_metrics
from tests.support.closeness import assert_close
from tf_hmr import metrics
from training.benchmarks import metrics as benchmark

MIRRORS = [*itertools.product((1, -1), repeat=3)]
SIZES = (1.0, 1.8, 0.01, 100.0)


@pytest.mark.parametrize("mirror", MIRRORS)
@pytest.mark.parametrize("size", SIZES)
def test_slow_and_fast_agree(mirror, size):
    """The predicted side alone is changed."""
    pred, true = slow_metrics.reference()
    pred = size * pred * mirror
    errors = slow_metrics.errors_mm(pred, true)
    fast = metrics.per_joint_error_mm(pred, true)
    assert_close("reference_vector", fast, errors)
    assert_close(
        "reference_vector", metrics.mpjpe_mm(pred, true), errors.mean(axis=1)
    )
    close = slow_metrics.aligned(pred, true)
    aligned = slow_metrics.errors_mm(close, true)
    assert_close("reference_vector", metrics.procrustes(pred, true), close)
    assert_close(
        "reference_vector",
        metrics.pa_mpjpe_mm(pred, true),
        aligned.mean(axis=1),
    )
    for joint_errors in (errors, aligned):
        assert_close(
            "reference_vector",
            metrics.pck3d(joint_errors),
            slow_metrics.pck(joint_errors, 150),
        )
        assert_close(
            "reference_vector",
            metrics.auc3d(joint_errors),
            slow_metrics.auc(joint_errors),
        )


@pytest.mark.parametrize("mirror", MIRRORS)
def test_both_sides_mirrored_or_larger_change_nothing_else(mirror):
    pred, true = slow_metrics.reference()
    for size in SIZES:
        sides = size * pred * mirror, size * true * mirror
        for metric in (metrics.mpjpe_mm, metrics.pa_mpjpe_mm):
            assert_close("float64", metric(*sides), size * metric(pred, true))


def test_a_size_of_the_prediction_is_taken_away():
    pred, true = slow_metrics.reference()
    for size in SIZES:
        assert_close(
            "float64",
            metrics.pa_mpjpe_mm(size * pred, true),
            metrics.pa_mpjpe_mm(pred, true),
        )


def test_errors_of_many_poses_are_fast(capsys):
    """100,000 poses within 2 seconds on two cores; a fifth of them here."""
    options = benchmark.Options(poses=20_000, rounds=2)
    benchmark.run(options)
    last = capsys.readouterr().out.splitlines()[-1]
    name, _, _, processors, *_ = last.replace("(", "").split()
    assert name == "pa_mpjpe"
    assert float(processors) <= 0.4


def test_the_slow_ones_know_their_own_truth():
    """What they are held against is right in cases done by hand."""
    true = np.array([[[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3.0]]])
    pred = 2 * true[..., [1, 0, 2]] * [1, 1, -1]
    assert_close("float64", slow_metrics.aligned(pred, true), true)
    errors = [[0.0, 150.0, 149.0, 1000.0]]
    assert slow_metrics.pck(errors, 150) == 50
    assert_close("float64", slow_metrics.auc(errors), 100 * (30 + 1) / 31 / 4)
