"""Figures of bodies of landmarks."""

import json

import numpy as np
import pytest

from tests.support import landmark_people
from tf_hmr import joints
from training import evaluate_landmarks
from training.data.records import records_folder
from training.data.synthetic import people
from training.tasks import evaluate_landmarks as task

COUNT = 4


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """People with true landmarks; those of the last lie elsewhere."""
    folder = tmp_path_factory.mktemp("records")
    writer = records_folder.Writer(folder, "test")
    for number, example in enumerate(people.frozen().examples(0, COUNT)):
        example = landmark_people.of_example(example, size=1.3)
        if number == COUNT - 1:
            example.landmarks[:, :2] += 60
        writer.write(example)
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
    limbs, hips = (
        list(joints.select(names, of=joints.KEYPOINTS))
        for names in (task.LIMBS, task.HIPS)
    )
    distances = [
        np.linalg.norm(
            example.joints3d[limbs, :3] - example.joints3d[hips, :3].mean(0),
            axis=1,
        )
        for example in people.frozen().examples(0, COUNT)
    ]
    assert errors["mpjpe_mm"] == pytest.approx(300 * np.mean(distances), 1e-4)
    assert "error_px" not in errors


def test_the_lifter_stands_between_the_mean_pose_and_the_truth(results):
    errors = {n: e["pa_mpjpe_mm"] for n, e in results["all"].items()}
    assert 5 < errors["lifter"] < errors["mean_pose"]


def test_who_is_left_out_and_who_is_good_is_counted(results):
    assert results["people"] == COUNT
    assert results["good_2d"] == COUNT - 1
    assert results["pck_05"] == pytest.approx(100 * (COUNT - 1) / COUNT)
    # The last one is not among those of good 2D.
    of_all, of_good = (
        results[rows]["mean_pose"]["pa_mpjpe_mm"]
        for rows in ("all", "of_good_2d")
    )
    assert of_all != pytest.approx(of_good, 1e-3)
    assert results["left_out"] == {"BlazePose sees nobody": 2}


def test_records_without_landmarks_are_refused(tiny_records, capsys):
    folder = tiny_records / "synthetic_v1"
    assert evaluate_landmarks.main(["--records", str(folder)]) == 1
    assert "lacks landmarks" in capsys.readouterr().err


@pytest.mark.slow
def test_fits_are_measured_beside_the_lifter(records, tmp_path):
    out = tmp_path / "figures.json"
    words = ["--records", records, "--out", out, "--keypoints"]
    words += ["--batch-size", 4]
    assert evaluate_landmarks.main([str(word) for word in words]) == 0
    results = json.loads(out.read_text())["of_good_2d"]
    assert set(results) == {
        *("mean_pose", "landmarks", "lifter", "fit", "keypoints")
    }
    # Fits meet the landmarks in the image.
    assert results["fit"]["error_px"] < results["lifter"]["error_px"]
    assert results["keypoints"]["error_px"] < results["lifter"]["error_px"]
