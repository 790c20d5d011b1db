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
from tf_hmr.tasks import fit_keypoints as command_task
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
    reports, fits, fit = [], [], fitter._fit
    monkeypatch.setattr(
        fitter, "_fit", lambda *starts: fits.append(fit(*starts)) or fits[-1]
    )
    tasks = [
        keypoint_fitting.Task(with_all(subject), (64, 64))
        for subject in subjects
    ]
    fitted_people = fitter(
        tasks, lambda count, total: reports.append((count, total))
    )
    assert sum(count for count, _ in reports) == reports[0][1]
    # Of each person's starts the fit of least energy is kept.
    ((pose, _, _, energy),) = fits
    best = energy.reshape(COUNT, keypoint_fitting.STARTS).argmin(axis=1)
    pose = pose.reshape(COUNT, keypoint_fitting.STARTS, 24, 3)
    poses = np.stack([fitted.person.pose for fitted in fitted_people])
    np.testing.assert_array_equal(poses, pose[np.arange(COUNT), best])
    rows = joints.select(joints.LSP14, joints.KEYPOINTS)
    true = np.stack([subject.joints3d[list(rows), :3] for subject in subjects])
    rows = joints.select(joints.LSP14, fitted_people[0].person.joint_names)
    pred = np.stack(
        [fitted.person.joints[list(rows)] for fitted in fitted_people]
    )
    # Pixels at 224: the priors keep a fit from zero.
    assert np.mean([fitted.error for fitted in fitted_people]) < 2.5
    assert metrics.pa_mpjpe_mm(pred, true).mean() < 130
    for fitted, task in zip(fitted_people, tasks, strict=True):
        fitted.person.check()
        rows = joints.select(fitted.person.joint_names, joints.KEYPOINTS)
        keypoints = task.keypoints[list(rows), :2]
        off = np.linalg.norm(fitted.person.keypoints_px - keypoints, axis=1)
        scale = keypoint_fitting.SIDE / fitted.person.crop_box[2]
        assert scale * off.mean() == pytest.approx(fitted.error, rel=1e-3)


def test_people_who_stand_do_not_tilt_towards_the_camera(fitter):
    """Hand-placed keypoints of a man who walks and one who bends sideways."""
    records = keypoint_files.read(PHOTOS)[:COUNT]
    fitted_people = fitter(
        [keypoint_fitting.Task(e.keypoints, e.size) for e in records]
    )
    at = {
        name: np.stack([fitted.person.joints[row] for fitted in fitted_people])
        for row, name in enumerate(fitted_people[0].person.joint_names)
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
    for subject in subjects:
        named = dict(zip(joints.KEYPOINTS, with_all(subject), strict=True))
        flat = [named.get(n, np.zeros(3)) for n in openpose_files.BODY25]
        people.append({"pose_keypoints_2d": np.ravel(flat).tolist()})
    path = folder / "street_keypoints.json"
    path.write_text(json.dumps({"people": people}))
    return path


@pytest.fixture
def run(monkeypatch, fitter, tmp_path, caplog, capsys):
    monkeypatch.setattr(
        command_task.keypoint_fitting, "PeopleFitter", lambda *_, **__: fitter
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
    status, errors, output = run(path, images=tmp_path / "photos")
    assert (status, errors) == (0, [])
    assert f"{COUNT} people" in output
    for number in range(COUNT):
        stem = tmp_path / "out" / f"street_{number}"
        record = json.loads(stem.with_suffix(".json").read_text())
        assert record["photo"] == "street.png"
        assert set(record["keypoints_given"]) <= set(joints.KEYPOINTS)
        assert record["reprojection_px_at_224"] < 5
        assert stem.with_suffix(".glb").stat().st_size > 1000


@pytest.mark.parametrize("schedule", ["original", "spin"])
def test_other_schedules_meet_the_keypoints_too(
    schedule, subjects, tmp_path, monkeypatch
):
    """As the command runs them; fewer steps, no XLA, one start each."""
    plain = functools.partial(keypoint_fitting.PeopleFitter, jit=False)
    monkeypatch.setattr(command_task.keypoint_fitting, "PeopleFitter", plain)
    full = command_task._SCHEDULES[schedule]
    stages = [dataclasses.replace(stage, steps=60) for stage in full.stages]
    short = dataclasses.replace(full, stages=tuple(stages))
    monkeypatch.setitem(command_task._SCHEDULES, schedule, short)
    monkeypatch.setattr(keypoint_fitting, "STARTS", 1)
    path, out = openpose(tmp_path, subjects), tmp_path / "out"
    assert cli.main(cli.Args(path, out, schedule=schedule)) == 0
    for number in range(COUNT):
        record = json.loads((out / f"street_{number}.json").read_text())
        assert record["schedule"] == schedule
        # Hips, which these schedules leave out, count here.
        assert record["reprojection_px_at_224"] < 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not json"),
        ("{}", "holds no keypoints"),
        ('{"people": []}', "name no person"),
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}]', "expected 17"),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_line(
    run, tmp_path, content, message
):
    path = tmp_path / "bad.json"
    path.write_text(content)
    status, (line,), _ = run(path)
    assert status == 1
    assert message in line


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
    foreign_body = dataclasses.replace(body_data, topology="smpl")
    monkeypatch.setattr(command_task.BodyData, "load", lambda _: foreign_body)
    status, (line,), _ = run(openpose(tmp_path, subjects))
    assert status == 1
    assert "Give --prior gmm_08.pkl" in line


def test_hand_placed_keypoints_are_read_by_name():
    records = keypoint_files.read(PHOTOS)
    assert [(record.photo[:4], record.number) for record in records] == [
        *(("cart", 0), ("cart", 1)),
        *(("cycl", 0), ("cycl", 1), ("cycl", 2)),
    ]
    walker = dict(zip(joints.KEYPOINTS, records[0].keypoints, strict=True))
    np.testing.assert_array_equal(walker["left_wrist"], [261, 327, 1])
    assert records[0].size == (1116, 600)
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
    starts = Rotation.from_rotvec(initialization.orientations(keypoints, rest))
    off = np.rad2deg((starts * true.inv()).magnitude())
    assert off.min() < 30
    translation, _ = initialization.estimate_translation(
        keypoints, true.apply(rest), 5000.0, np.zeros(2)
    )
    assert translation[2] == pytest.approx(50, rel=0.05)


LEGS = [f"{side}_{n}" for side in ("left", "right") for n in ("hip", "knee")]
PARTS = {
    "shoulders": (*joints.FACE5, "left_shoulder", "right_shoulder"),
    "legs": (*LEGS, "left_ankle", "right_ankle"),
}


def result(example, image_id, names=joints.COCO17) -> dict:
    """An entry of COCO's list of results, with these joints alone."""
    named = dict(zip(joints.KEYPOINTS, with_all(example), strict=True))
    rows = [named[n] if n in names else np.zeros(3) for n in joints.COCO17]
    return {"image_id": image_id, "keypoints": np.ravel(rows).tolist()}


def test_parts_of_a_person_are_fitted(run, subjects, tmp_path):
    """A portrait has no torso to start from."""
    entries = [result(subjects[0], part, PARTS[part]) for part in PARTS]
    path = tmp_path / "parts.json"
    path.write_text(json.dumps(entries))
    status, errors, printed = run(path)
    assert (status, errors) == (0, [])
    assert "2 people" in printed
    for part, names in PARTS.items():
        content = json.loads((tmp_path / "out" / f"{part}_0.json").read_text())
        assert set(content["keypoints_given"]) == set(names)
        assert content["reprojection_px_at_224"] < 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labels_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("names", [joints.FACE5, *PARTS.values()])
def test_a_start_without_torso_takes_any_type(
    body_data, dtype, labels_dtype, names
):
    regressor = body_data.regressor(joints.KEYPOINTS)
    posed = (regressor @ body_data.v_template * (1, -1, -1)).astype(dtype)
    offset = np.array([0.2, -0.1, 40])
    pixels = 5000 * (posed + offset)[:, :2] / (posed + offset)[:, 2:] + 112
    labels = np.concatenate([pixels, np.ones((len(posed), 1))], axis=1)
    labels[[name not in names for name in joints.KEYPOINTS], 2] = 0
    translation, error = initialization.estimate_translation(
        labels.astype(labels_dtype),
        posed,
        np.float64(5000),
        np.array([112, 112.0]),
    )
    np.testing.assert_allclose(translation, offset, atol=0.05)
    assert error < 0.1


class OneFit:
    """Fits nobody: gives the same body for each task."""

    def __init__(self, fitter, tasks):
        self.joint_names = fitter.joint_names
        self.fit = fitter(tasks)[0]
        self.tasks = []

    def __call__(self, tasks, progress):
        self.tasks += tasks
        return [
            self.fit._replace(
                person=dataclasses.replace(self.fit.person, image_size=t.size)
            )
            for t in tasks
        ]


@pytest.fixture(scope="module")
def one_fit(fitter, subjects):
    tasks = [
        keypoint_fitting.Task(with_all(subject), (64, 64))
        for subject in subjects
    ]
    return OneFit(fitter, tasks)


@pytest.fixture
def run_quickly(run, one_fit, monkeypatch):
    one_fit.tasks.clear()
    monkeypatch.setattr(
        command_task.keypoint_fitting, "PeopleFitter", lambda *_, **__: one_fit
    )
    return run


def files_of(folder) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*.npz")}


def test_names_of_data_stay_in_the_folder(run_quickly, subjects, tmp_path):
    ids = ["../../x", "", "\x1b[31mred", "/etc/y", "..\\z"]
    path = tmp_path / "a" / "b" / "r.json"
    path.parent.mkdir(parents=True)
    entries = [result(subjects[0], image_id) for image_id in ids]
    path.write_text(json.dumps(entries))
    status, errors, printed = run_quickly(path)
    assert (status, errors) == (0, [])
    assert printed.startswith("5 people")
    names = ("x", "unnamed", "_[31mred", "y", "z")
    assert files_of(tmp_path) == {f"out/{name}_0.npz" for name in names}


def test_counts_are_those_of_people_written(
    run_quickly, subjects, tmp_path, monkeypatch
):
    write = command_task.person_files.write

    def fail_once(stem, *arguments):
        if stem.name == "b_0":
            raise OSError("no space left")
        write(stem, *arguments)

    monkeypatch.setattr(command_task.person_files, "write", fail_once)
    path = tmp_path / "r.json"
    path.write_text(json.dumps([result(subjects[0], i) for i in "abc"]))
    status, errors, printed = run_quickly(path)
    assert (status, errors) == (1, ["b: person 0: no space left"])
    assert printed.startswith("2 people in")
    assert "1 people could not be fitted or written" in printed


def test_a_photo_that_cannot_be_read_leaves_the_others(
    run_quickly, subjects, tmp_path
):
    folder = tmp_path / "photos"
    photos.write(folder / "000000000139.jpg", photos.image(64, 64))
    photos.write(folder / "p0.png", photos.image(70, 60))
    (folder / "bad.jpg").write_text("junk")
    ids = (139, "p0.png", "bad.jpg", "bad.jpg", "gone.jpg")
    path = tmp_path / "r.json"
    path.write_text(json.dumps([result(subjects[0], i) for i in ids]))
    status, (bad, missing), printed = run_quickly(path, images=folder)
    assert status == 1
    assert "bad.jpg: not a readable image" in bad
    assert "holds no photo for 'gone.jpg'" in missing
    assert printed.startswith("2 people in")
    assert "3 people could not be fitted" in printed
    content = json.loads((tmp_path / "out" / "p0_0.json").read_text())
    assert content["photo"] == "p0.png"
    assert content["image_size_px"] == [70, 60]


@pytest.mark.parametrize("keypoint_scale", [3, 4])
def test_shares_of_a_picture_are_scaled_or_refused(
    run_quickly, one_fit, subjects, tmp_path, keypoint_scale
):
    path = openpose(tmp_path, subjects[:1])
    content = json.loads(path.read_text())
    pixels = np.reshape(content["people"][0]["pose_keypoints_2d"], (-1, 3))
    shares = pixels / (63, 63, 1)
    if keypoint_scale == 4:
        shares[:, :2] = 2 * shares[:, :2] - 1
    content["people"][0]["pose_keypoints_2d"] = shares.ravel().tolist()
    path.write_text(json.dumps(content))
    status, (line,), _ = run_quickly(path)
    assert status == 1
    assert f"--keypoint_scale {keypoint_scale}; expected pixels" in line
    photo = photos.write(tmp_path / "street.png", photos.image(64, 64))
    status, lines, _ = run_quickly(path, images=photo)
    assert status == 0
    assert "they are scaled" in lines[-1]
    (task,) = one_fit.tasks
    nose = joints.KEYPOINTS.index("nose")
    np.testing.assert_allclose(task.keypoints[nose], pixels[0], rtol=1e-4)


def test_results_within_a_pixel_are_no_person(run_quickly, subjects, tmp_path):
    entry = result(subjects[0], 1)
    labels = np.reshape(entry["keypoints"], (-1, 3)) / (64, 64, 1)
    entry["keypoints"] = labels.ravel().tolist()
    path = tmp_path / "r.json"
    path.write_text(json.dumps([entry, result(subjects[0], 2)]))
    status, (line,), printed = run_quickly(path)
    assert status == 0
    assert "1: person 0 is left out, whose keypoints lie within" in line
    assert printed.startswith("1 people in")
