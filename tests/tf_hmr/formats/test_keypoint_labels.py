"""Lists of keypoints: numbers that are none, and their unit."""

import numpy as np
import pytest

from tf_hmr.formats import keypoint_labels


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 2, 2, 3, 4, 0], [[1, 2, 2], [3, 4, 0]]),
        ([[1, 2, 2], [3, 4, 0]], [[1, 2, 2], [3, 4, 0]]),
        (["1", "2.5", "2"], [[1, 2.5, 2]]),
        ([None, None, 0, 3, 4, 1], [[0, 0, 0], [3, 4, 1]]),
        ([1, 2, 2, float("nan"), 4, 2], [[1, 2, 2], [0, 0, 0]]),
        ([1, 2, 2, 3, 4, None], [[1, 2, 2], [0, 0, 0]]),
        ([1, 2, 2, 3, float("inf"), 1], [[1, 2, 2], [0, 0, 0]]),
        ([1, 2, 2, 3, 1e30, 1], [[1, 2, 2], [0, 0, 0]]),
    ],
)
def test_joints_without_numbers_are_not_labelled(values, labels):
    np.testing.assert_array_equal(keypoint_labels.parse(values), labels)


@pytest.mark.parametrize(
    "values",
    [
        *("abc", ["x"] * 3, [1, 2], 5, {"a": 1}, [[1, 2], [3]]),
        *([float("nan")] * 6, [None] * 6, [10**400, 1, 1]),
    ],
)
def test_what_is_no_list_of_keypoints_is_a_value_error(values):
    with pytest.raises(ValueError, match="its keypoints are not"):
        keypoint_labels.parse(values)


SIZE = (161, 201)
PIXELS = np.array([[80.0, 40, 0.9], [0, 200, 0.8], [0, 0, 0], [160, 0, 1]])


def shares(keypoint_scale):
    labels = PIXELS.copy()
    labels[:, :2] /= (160, 200)
    if keypoint_scale == keypoint_labels.PLUS_MINUS_ONE:
        labels[:, :2] = 2 * labels[:, :2] - 1
    labels[2] = 0
    return labels


@pytest.mark.parametrize("keypoint_scale", [3, 4])
def test_shares_of_the_picture_are_recognised_and_scaled(keypoint_scale):
    labels = shares(keypoint_scale)
    assert keypoint_labels.scale_of([labels]) == keypoint_scale
    pixels = keypoint_labels.to_pixels(labels, keypoint_scale, SIZE)
    np.testing.assert_allclose(pixels, PIXELS, atol=1e-9)


def test_the_people_of_a_run_share_their_unit():
    lower_right = shares(4)[[0]] * (1, -1, 1)  # all positive
    assert keypoint_labels.scale_of([lower_right]) == 3
    assert keypoint_labels.scale_of([lower_right, shares(4)]) == 4
    assert keypoint_labels.scale_of([lower_right, PIXELS]) == 0
    assert keypoint_labels.scale_of([PIXELS[[2]]]) == 0
    assert keypoint_labels.scale_of([]) == 0
    assert keypoint_labels.to_pixels(PIXELS, 0, SIZE) is PIXELS
