"""The translation of least reprojection error.

That of least squares in closed form is met by SPIN's golden output in
tests/tf_hmr/smplify/test_priors.py.
"""

import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr.geometry import camera, translation

INTRINSICS = np.array([600.0, 650.0, 199.5, 149.5])
TRUE = np.array([0.7, -0.4, 3.0])
START = np.array([0.2, 0.1, 5.0])


@pytest.fixture
def points():
    return np.random.default_rng(3).normal(0, 0.4, (12, 3))


def keypoints_of(points, noise=0.0):
    """(K, 3) exact or noisy projections, of confidence 1."""
    pixels = camera.project_perspective(
        points + TRUE, INTRINSICS[:2], INTRINSICS[2:]
    )
    pixels += np.random.default_rng(4).normal(0, 1, pixels.shape) * noise
    return np.pad(pixels, ((0, 0), (0, 1)), constant_values=1.0)


def error_px(offset, points, keypoints):
    """Root of the mean square in pixels of the focal length 1."""
    pixels = camera.project_perspective(
        points + offset, INTRINSICS[:2], INTRINSICS[2:]
    )
    offsets = (pixels - keypoints[:, :2]) / INTRINSICS[:2]
    return np.sqrt((keypoints[:, 2:] * offsets**2).mean())


def test_exact_keypoints_give_the_true_translation(points):
    keypoints = keypoints_of(points)
    refined = translation.refine(START, points, keypoints, INTRINSICS)
    assert_close("body_metres", refined, np.float32(TRUE))


def test_keypoints_without_confidence_have_no_part(points):
    keypoints = keypoints_of(points)
    keypoints[:5] = np.nan, 1e9, 0
    refined = translation.refine(START, points, keypoints, INTRINSICS)
    assert_close("body_metres", refined, np.float32(TRUE))


def test_no_translation_beside_it_is_nearer_in_the_image(points):
    keypoints = keypoints_of(points, noise=20.0)
    keypoints[:, 2] = np.linspace(0.2, 1, len(keypoints))
    refined = np.float64(
        translation.refine(START, points, keypoints, INTRINSICS)
    )
    least = error_px(refined, points, keypoints)
    for step in np.concatenate([np.eye(3), -np.eye(3)]) * 0.02:
        assert error_px(refined + step, points, keypoints) > least
    closed_form = translation.estimate(
        points[None], keypoints[None], INTRINSICS[0], INTRINSICS[2:]
    )
    assert error_px(closed_form.numpy()[0], points, keypoints) > least


def test_what_cannot_be_refined_stays(points):
    keypoints = keypoints_of(points)
    nowhere = np.array([np.nan, 0, 1])
    refined = translation.refine(nowhere, points, keypoints, INTRINSICS)
    np.testing.assert_array_equal(refined, np.float32(nowhere))
    keypoints[3, 0] = np.inf
    refined = translation.refine(START, points, keypoints, INTRINSICS)
    np.testing.assert_array_equal(refined, np.float32(START))
    keypoints[1:, 2] = 0
    refined = translation.refine(START, points, keypoints, INTRINSICS)
    np.testing.assert_array_equal(refined, np.float32(START))
