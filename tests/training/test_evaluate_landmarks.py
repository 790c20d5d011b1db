"""Figures of bodies of landmarks."""

import dataclasses
import json

import numpy as np
import pytest

from tests.support import landmark_people
from tf_hmr import joints
from training import evaluate_landmarks
from training.data.records import records_folder
from training.data.synthetic import people

COUNT = 4
KEYPOINT_ROWS = list(
    joints.select(list(landmark_people.NAMES), of=joints.KEYPOINTS)
)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """People with true landmarks; those of the last lie elsewhere."""
    folder = tmp_path_factory.mktemp("records")
    writer = records_folder.Writer(folder, "test")
    for number, example in enumerate(people.frozen().examples(0, COUNT)):
        landmarks = np.zeros((33, 7), np.float32)
        rows = landmark_people.ROWS
        landmarks[rows, :2] = example.keypoints[KEYPOINT_ROWS, :2]
        landmarks[rows, 2:5] = 1.3 * example.joints3d[KEYPOINT_ROWS, :3]
        landmarks[rows, 5:] = 1
        if number == COUNT - 1:
            landmarks[rows, :2] += 60
        writer.write(dataclasses.replace(example, landmarks=landmarks))
    writer.finish(None, "tests", {"skipped": {"BlazePose sees nobody": 2}})
    return folder


@pytest.fixture(scope="module")
def results(records, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "figures.json"
    words = ["--records", records, "--out", out, "--no-fit"]
    assert evaluate_landmarks.main([str(word) for word in words]) == 0
    return json.loads(out.read_text())


def test_true_landmarks_have_no_error_of_form(results):
    """They are 1.3 times too large: a similarity takes that away."""
    errors = results["all"]["landmarks"]
    assert errors["pa_mpjpe_mm"] < 0.1
    assert 50 < errors["mpjpe_mm"] < 300


def test_the_lifter_stands_between_the_mean_pose_and_the_truth(results):
    errors = {n: e["pa_mpjpe_mm"] for n, e in results["all"].items()}
    assert 5 < errors["lifter"] < errors["mean_pose"]


def test_who_is_left_out_and_who_is_good_is_counted(results):
    assert results["people"] == COUNT
    assert results["good_2d"] == COUNT - 1
    assert results["left_out"] == {"BlazePose sees nobody": 2}


def test_records_without_landmarks_are_refused(tiny_records, capsys):
    folder = tiny_records / "synthetic_v1"
    assert evaluate_landmarks.main(["--records", str(folder)]) == 1
    assert "lacks landmarks" in capsys.readouterr().err
