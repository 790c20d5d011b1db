import dataclasses
import functools
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import paths, photos
from tf_hmr import fit_keypoints as cli
from tf_hmr import joints, keypoint_fitting, metrics
from tf_hmr.formats import keypoint_files, openpose_files
from tf_hmr.smplify import initialization, priors
from training.data.synthetic import people as synthetic

PHOTOS = paths.DATA / "photo_keypoints.json"
COUNT = 2


@pytest.fixture(scope="module")
def fitter(body_data) -> keypoint_fitting.PeopleFitter:
    """Compiled once, for COUNT people."""
    return keypoint_fitting.PeopleFitter(body_data, priors.load())


@pytest.fixture(scope="module")
def subjects():
    people = synthetic.People(3, "test", synthetic.Settings(size=64))
    return list(people.examples(0, COUNT))


def with_all(example) -> np.ndarray:
    keypoints = example.keypoints.copy()
    keypoints[:, 2] = 1
    return keypoints


def test_exact_keypoints_are_met_and_the_body_is_near(
    fitter, subjects, monkeypatch
):
    told, fits, fit = [], [], fitter._fit
    monkeypatch.setattr(
        fitter, "_fit", lambda *starts: fits.append(fit(*starts)) or fits[-1]
    )
    tasks = [
        keypoint_fitting.Task(with_all(each), (64, 64)) for each in subjects
    ]
    found = fitter(tasks, lambda done, total: told.append((done, total)))
    assert sum(done for done, _ in told) == told[0][1]
    # Of each person's starts the fit of least energy is kept.
    ((pose, _, _, energy),) = fits
    best = energy.reshape(COUNT, keypoint_fitting.STARTS).argmin(axis=1)
    pose = pose.reshape(COUNT, keypoint_fitting.STARTS, 24, 3)
    kept = np.stack([each.person.pose for each in found])
    np.testing.assert_array_equal(kept, pose[np.arange(COUNT), best])
    rows = joints.select(joints.LSP14, joints.KEYPOINTS)
    true = np.stack([each.joints3d[list(rows), :3] for each in subjects])
    rows = joints.select(joints.LSP14, found[0].person.joint_names)
    pred = np.stack([each.person.joints[list(rows)] for each in found])
    # Pixels at 224: the priors keep a fit from zero.
    assert np.mean([each.error for each in found]) < 2.5
    assert metrics.pa_mpjpe_mm(pred, true).mean() < 130
    for each, task in zip(found, tasks, strict=True):
        each.person.check()
        rows = joints.select(each.person.joint_names, joints.KEYPOINTS)
        given = task.keypoints[list(rows), :2]
        off = np.linalg.norm(each.person.keypoints_px - given, axis=1)
        scale = keypoint_fitting.SIDE / each.person.crop_box[2]
        assert scale * off.mean() == pytest.approx(each.error, rel=1e-3)


def test_people_who_stand_do_not_tilt_towards_the_camera(fitter):
    """Hand-placed keypoints of a man who walks and one who bends sideways."""
    seen = keypoint_files.read(PHOTOS)[:COUNT]
    found = fitter([keypoint_fitting.Task(e.keypoints, e.size) for e in seen])
    at = {
        name: np.stack([each.person.joints[row] for each in found])
        for row, name in enumerate(found[0].person.joint_names)
    }
    trunk = at["neck"] - (at["left_hip"] + at["right_hip"]) / 2
    sine = trunk[:, 2] / np.linalg.norm(trunk, axis=1)
    walks, bends = np.abs(np.rad2deg(np.arcsin(sine)))
    # Without the prior on the lean: 19 and 25 degrees.
    assert walks < 12
    assert bends < 20


def openpose(folder, subjects) -> Path:
    """A file of OpenPose's 25 joints."""
    people = []
    for each in subjects:
        named = dict(zip(joints.KEYPOINTS, with_all(each), strict=True))
        flat = [named.get(n, np.zeros(3)) for n in openpose_files.BODY25]
        people.append({"pose_keypoints_2d": np.ravel(flat).tolist()})
    path = folder / "street_keypoints.json"
    path.write_text(json.dumps({"people": people}))
    return path


@pytest.fixture
def run(monkeypatch, fitter, tmp_path, caplog, capsys):
    monkeypatch.setattr(
        cli.keypoint_fitting, "PeopleFitter", lambda *_, **__: fitter
    )

    def run(path, **values):
        args = cli.Args(keypoints=path, out=tmp_path / "out", **values)
        with caplog.at_level(logging.WARNING):
            status = cli.main(args)
        return status, caplog.messages, capsys.readouterr().out

    return run


def test_the_command_writes_each_person_on_its_photo(run, subjects, tmp_path):
    path = openpose(tmp_path, subjects)
    photos.write(tmp_path / "photos" / "street.png", photos.image(64, 64))
    status, errors, told = run(path, images=tmp_path / "photos")
    assert (status, errors) == (0, [])
    assert f"{COUNT} people" in told
    for number in range(COUNT):
        stem = tmp_path / "out" / f"street_{number}"
        said = json.loads(stem.with_suffix(".json").read_text())
        assert said["photo"] == "street.png"
        assert set(said["keypoints_given"]) <= set(joints.KEYPOINTS)
        assert said["reprojection_px_at_224"] < 5
        assert stem.with_suffix(".glb").stat().st_size > 1000


@pytest.mark.parametrize("schedule", ["original", "spin"])
def test_other_schedules_meet_the_keypoints_too(
    schedule, subjects, tmp_path, monkeypatch
):
    """As the command runs them; fewer steps, no XLA, one start each."""
    plain = functools.partial(keypoint_fitting.PeopleFitter, jit=False)
    monkeypatch.setattr(cli.keypoint_fitting, "PeopleFitter", plain)
    full = cli._SCHEDULES[schedule]
    stages = [dataclasses.replace(each, steps=60) for each in full.stages]
    short = dataclasses.replace(full, stages=tuple(stages))
    monkeypatch.setitem(cli._SCHEDULES, schedule, short)
    monkeypatch.setattr(keypoint_fitting, "STARTS", 1)
    path, out = openpose(tmp_path, subjects), tmp_path / "out"
    assert cli.main(cli.Args(path, out, schedule=schedule)) == 0
    for number in range(COUNT):
        said = json.loads((out / f"street_{number}.json").read_text())
        assert said["schedule"] == schedule
        # Hips, which these schedules leave out, count here.
        assert said["reprojection_px_at_224"] < 6


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not json"),
        ("{}", "holds no keypoints"),
        ('{"people": []}', "name no person"),
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}]', "expected 17"),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_line(run, tmp_path, content, told):
    path = tmp_path / "bad.json"
    path.write_text(content)
    status, (line,), _ = run(path)
    assert status == 1
    assert told in line


def test_a_person_of_too_few_keypoints_is_named(run, tmp_path):
    path = tmp_path / "far.json"
    row = [5, 6, 1] * 3 + [0, 0, 0] * 14
    path.write_text(json.dumps([{"image_id": 1, "keypoints": row}]))
    status, (left_out, nobody), _ = run(path)
    assert status == 1
    assert "person 0 is left out, with 3 keypoints" in left_out
    assert "name no person" in nobody


def test_a_body_of_another_topology_needs_its_own_prior(
    run, subjects, body_data, tmp_path, monkeypatch
):
    other = dataclasses.replace(body_data, topology="smpl")
    monkeypatch.setattr(cli.BodyData, "load", lambda _: other)
    status, (line,), _ = run(openpose(tmp_path, subjects))
    assert status == 1
    assert "Give --prior gmm_08.pkl" in line


def test_hand_placed_keypoints_are_read_by_name():
    seen = keypoint_files.read(PHOTOS)
    assert [(each.photo[:4], each.number) for each in seen] == [
        *(("cart", 0), ("cart", 1)),
        *(("cycl", 0), ("cycl", 1), ("cycl", 2)),
    ]
    walker = dict(zip(joints.KEYPOINTS, seen[0].keypoints, strict=True))
    np.testing.assert_array_equal(walker["left_wrist"], [261, 327, 1])
    assert seen[0].size == (1116, 600)
    assert not walker["left_big_toe"].any()


@pytest.mark.parametrize("yaw", [0, 60, -60, 180])
@pytest.mark.parametrize("roll", [0, 90])
def test_the_start_faces_as_the_torso_says(body_data, yaw, roll):
    """A true way of facing is among the starts, within 30 degrees."""
    regressor = body_data.regressor(joints.KEYPOINTS)
    rest = regressor @ body_data.v_template
    true = (
        Rotation.from_euler("z", roll, degrees=True)
        * Rotation.from_euler("x", 180, degrees=True)
        * Rotation.from_euler("y", yaw, degrees=True)
    )
    pixels = 100 * true.apply(rest)[:, :2]
    keypoints = np.concatenate([pixels, np.ones((len(rest), 1))], axis=1)
    found = Rotation.from_rotvec(initialization.orientations(keypoints, rest))
    off = np.rad2deg((found * true.inv()).magnitude())
    assert off.min() < 30
    moved, _ = initialization.estimate_translation(
        keypoints, true.apply(rest), 5000.0, np.zeros(2)
    )
    assert moved[2] == pytest.approx(50, rel=0.05)
