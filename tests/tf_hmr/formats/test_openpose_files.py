"""OpenPose's json, person by person."""

import json

import numpy as np
import pytest

from tests.support import box_files
from tf_hmr.formats import openpose_files

BODY = box_files.body25(10, 20, 50, 90)


def read(tmp_path, *people):
    path = box_files.save(tmp_path / "a_keypoints.json", {"people": people})
    return openpose_files.read(path)


@pytest.mark.parametrize(
    ("person", "cause"),
    [
        ({"pose_keypoints_2d": []}, "it has no keypoints of the body"),
        ({"hand_left_keypoints_2d": [1, 1, 1]}, "it has no keypoints"),
        ({"pose_keypoints_2d": [1, 2]}, "not x, y, confidence"),
        ({"pose_keypoints_2d": [1, 2, 1]}, "1 keypoints, expected 25 or 18"),
        ({"pose_keypoints_2d": ["x"] * 75}, "are not numbers"),
        ({"pose_keypoints_2d": [float("nan")] * 75}, "are not finite"),
        (None, "it is not an object"),
        ("text", "it is not an object"),
    ],
)
def test_an_odd_person_leaves_the_others(tmp_path, person, cause):
    good = {"pose_keypoints_2d": BODY}
    first, odd, last = read(tmp_path, good, person, good)
    assert cause in odd.cause
    assert [p.number for p in (first, odd, last)] == [0, 1, 2]
    for detection in (first, last):
        assert detection.names == openpose_files.BODY25
        np.testing.assert_array_equal(detection.labels.ravel(), BODY)


def test_a_joint_that_is_not_finite_is_not_seen(tmp_path):
    (person,) = read(
        tmp_path, {"pose_keypoints_2d": [None, None, 1, *BODY[3:]]}
    )
    assert not person.labels[0].any()
    np.testing.assert_array_equal(person.labels[1:].ravel(), BODY[3:])


def test_the_unit_of_a_folder_is_that_of_all_its_files(tmp_path):
    for name, start in (("a", 0.1), ("b", -0.9)):
        points = [start, 0.5, 0.9] * 25
        text = json.dumps({"people": [{"pose_keypoints_2d": points}]})
        (tmp_path / f"{name}_keypoints.json").write_text(text)
    (tmp_path / "c_keypoints.json").write_text("{")
    assert openpose_files.scale_of_folder(tmp_path) == 4
    (tmp_path / "b_keypoints.json").unlink()
    assert openpose_files.scale_of_folder(tmp_path) == 3
