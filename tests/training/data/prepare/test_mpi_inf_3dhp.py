"""MPI-INF-3DHP: films and their cameras, who is kept, the test set."""

import h5py
import numpy as np
import pytest
import scipy.io

from tests.support.datasets import mpi_inf_3dhp_files as files
from tests.support.datasets import people
from tf_hmr import joints
from training import commands
from training.data import prepare
from training.data.prepare import mpi_inf_3dhp
from training.data.readers import mpi_inf_3dhp as mpi_inf_3dhp_films
from training.data.readers import writing
from training.data.records import records_folder, schema, shards

NAMES = tuple(n for n in mpi_inf_3dhp.TEST_JOINTS if n in joints.KEYPOINTS)


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(number) for number in (31, 32, 33)]


@pytest.fixture(scope="module")
def root(scenes, tmp_path_factory):
    """Camera 7 sees them; Seq2 and other subjects are others' business."""
    folder = tmp_path_factory.mktemp("3dhp")
    files.write_train(folder, scenes, camera=7)
    return folder


def tasks(root, rules="hmr"):
    all_tasks = mpi_inf_3dhp._tasks_of(root / "S1" / "Seq1", rules)
    return [task for task in all_tasks if "video_7" in task.image_pattern]


def read(root, rules="hmr"):
    return [
        example
        for task in tasks(root, rules)
        for example in mpi_inf_3dhp.read(task)
    ]


def check(example, scene, scale=1.0):
    (person,) = scene.people
    rows = list(joints.select(NAMES, joints.KEYPOINTS))
    points = example.keypoints[rows]
    np.testing.assert_allclose(points[:, :2], person.points(NAMES), atol=0.01)
    joints3d = example.joints3d[rows]
    truth = scale * person.points3d(NAMES)
    np.testing.assert_allclose(joints3d[:, :3], truth, atol=1e-5)
    for labels in (example.keypoints, example.joints3d):
        assert labels[:, -1].sum() == len(NAMES) == 17
    np.testing.assert_allclose(example.intrinsics, scene.intrinsics, rtol=1e-5)
    points = person.points(joints.LSP14)
    diagonal = np.linalg.norm(np.ptp(points, axis=0))
    np.testing.assert_allclose(example.box[2:], diagonal, atol=0.01)


def test_labels_are_the_truth(root, scenes):
    examples = read(root)
    for number, (example, scene) in enumerate(
        zip(examples, scenes, strict=True)
    ):
        check(example, scene)
        assert example.example_id == f"S1_Seq1_video_7_{number + 1:06d}"


def test_extracted_pictures_are_stored_as_they_are(tmp_path, scenes):
    files.write_train(tmp_path, scenes, camera=7, pictures="extracted")
    examples = read(tmp_path)
    stored = sorted(tmp_path.rglob("*.jpg"))
    assert [example.image for example in examples] == [
        f.read_bytes() for f in stored
    ]


def test_hmr_keeps_frames_in_which_a_joint_moved_200_mm():
    lsp = joints.select(joints.LSP14, mpi_inf_3dhp_films.JOINTS)
    joints3d = np.zeros((7, 28, 3))
    joints3d[:, lsp[4], 1] = [0, 150, 199.9, 200, 380, 401, 200]
    joints3d[:, mpi_inf_3dhp_films.JOINTS.index("left_hand")] += (
        np.arange(7)[:, None] * 500
    )
    nobody = np.zeros((7, 28, 2))
    frames = mpi_inf_3dhp_films.select_rows("hmr", nobody, joints3d, (9, 9))
    assert frames == [0, 3, 5, 6]


def test_spin_keeps_every_10th_frame_with_all_17_joints_inside():
    points = np.full((35, 28, 2), 5.0)
    points[:, mpi_inf_3dhp_films.JOINTS.index("left_hand")] = -1
    points[4, mpi_inf_3dhp_films.JOINTS.index("head_top"), 0] = 10
    frames = mpi_inf_3dhp_films.select_rows("spin", points, None, (10, 20))
    assert frames == [0, 11, 21, 31]


def test_box_of_spin_is_around_all_joints(root, scenes):
    (example,) = read(root, "spin")
    points = scenes[0].people[0].points(NAMES)
    np.testing.assert_allclose(
        example.box[:2] - 0.5, points.min(axis=0), atol=0.01
    )
    np.testing.assert_allclose(example.box[2:], np.ptp(points, 0), atol=0.01)


def load(path):
    """The variables alone, to be written again."""
    content = scipy.io.loadmat(path)
    return {k: v for k, v in content.items() if not k.startswith("_")}


def test_too_few_joints_inside_and_a_short_film(tmp_path, scenes):
    folder = files.write_train(tmp_path, scenes, camera=7)
    content = load(folder / "annot.mat")
    outside = content["annot2"][7, 0].reshape(3, 28, 2)
    lsp = list(joints.select(joints.LSP14, mpi_inf_3dhp_films.JOINTS))
    outside[0, lsp[:6]] = -5
    outside[1, lsp[:7]] = -5
    scipy.io.savemat(folder / "annot.mat", content)
    people.write_video(folder / "imageSequence/video_7.avi", scenes[:2])
    first, second, third = read(tmp_path)
    assert first.keypoints[:, 2].sum() == 11
    assert second.cause == "fewer than 8 joints inside the picture"
    assert third.cause == "the video lacks the frame"


@pytest.fixture(scope="module")
def test_root(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("3dhp-test")
    for number in range(1, 7):
        files.write_test(folder, number, scenes[:2], [0, 1], [1, number])
    return folder


def options(root, out, **changes):
    values = {"root": root, "out": out, "workers": 1}
    return mpi_inf_3dhp.Options(**(values | changes))


def test_valid_frames_of_the_test_set(test_root, scenes):
    test_options = options(test_root, test_root, split="test")
    test_tasks = list(mpi_inf_3dhp._test_tasks(test_options))
    examples = [
        example for task in test_tasks for example in mpi_inf_3dhp.read(task)
    ]
    ids = [f"TS{n}_000002_a{n}" for n in range(1, 7)]
    assert [example.example_id for example in examples] == ids
    for example in examples:
        check(example, scenes[1], files.UNIVERSAL)


def test_spin_leaves_out_joints_outside_the_test_picture(tmp_path, scenes):
    for number in range(1, 7):
        path = files.write_test(tmp_path, number, scenes[:1], [1], [3])
    with h5py.File(path, "r+") as file:
        file["annot2"][0, 0, 4] = [-3, 20]
    causes = {}
    for rules in ("hmr", "spin"):
        test_options = options(tmp_path, tmp_path, split="test", rules=rules)
        *_, last = mpi_inf_3dhp._test_tasks(test_options)
        (causes[rules],) = mpi_inf_3dhp.read(last)
    assert causes["hmr"].keypoints[:, 2].sum() == 16
    assert causes["spin"].cause == "a joint is outside the picture"


def test_a_dataset_becomes_records(tmp_path, test_root, scenes):
    out = tmp_path / "out"
    mpi_inf_3dhp.run(options(test_root, out, split="test"))
    split = records_folder.read_report(out)["splits"]["test"]
    assert split["count"] == split["labels"]["joints3d"] == 6
    assert not split["labels"]["pose"]
    first = schema.decode(shards.Records(out, "test").read(0))
    check(first, scenes[1], files.UNIVERSAL)


def test_subjects_are_those_of_the_rules(tmp_path, scenes, monkeypatch):
    subjects = {}
    monkeypatch.setattr(
        mpi_inf_3dhp, "_tasks_of", lambda folder, rules: [folder]
    )
    monkeypatch.setattr(
        writing,
        "write",
        lambda name, read_options, folders, reader: subjects.update(
            {
                (read_options.split, read_options.rules): {
                    f.parent.name for f in folders
                }
            }
        ),
    )
    for split, rules in (("train", "hmr"), ("train", "spin"), ("val", "hmr")):
        mpi_inf_3dhp.run(options(tmp_path, tmp_path, split=split, rules=rules))
    assert subjects["train", "hmr"] == {f"S{n}" for n in range(1, 8)}
    assert subjects["train", "spin"] == {f"S{n}" for n in range(1, 9)}
    assert subjects["val", "hmr"] == {"S8"}
    with pytest.raises(ValueError, match="SPIN trains on all subjects"):
        mpi_inf_3dhp.run(options(tmp_path, tmp_path, split="val", rules="spin"))


def test_the_command_says_what_is_missing(tmp_path, capsys):
    words = [
        "mpi-inf-3dhp",
        "--root",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert commands.main(prepare, "training.prepare", words) == 1
    error = capsys.readouterr().err
    assert "annot.mat does not exist" in error and "Request it" in error


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def test_damaged_files_of_a_film_are_named(tmp_path, scenes):
    folder = files.write_train(tmp_path, scenes[:2], camera=7)
    mat, calibration = folder / "annot.mat", folder / "camera.calibration"
    annotations = load(mat)
    annotations["annot3"] = annotations["annot3"][:5]
    scipy.io.savemat(mat, annotations)
    with pytest.raises(ValueError, match="annot3 of camera 5 does not hold"):
        read(tmp_path)
    del annotations["annot3"]
    scipy.io.savemat(mat, annotations)
    with pytest.raises(ValueError, match=r"expected 'annot3'"):
        read(tmp_path)
    cut(mat)
    with pytest.raises(ValueError, match=r"annot.mat .* expected"):
        read(tmp_path)
    files.write_train(tmp_path, scenes[:2], camera=7)
    text = calibration.read_text()
    calibration.write_text(text[: len(text) // 3])
    with pytest.raises(ValueError, match=r"camera.calibration is damaged"):
        read(tmp_path)
    calibration.write_text(text.replace("intrinsic   1 0", "intrinsic   1 x"))
    with pytest.raises(ValueError, match=r"is damaged .*intrinsic"):
        read(tmp_path)
    calibration.unlink()
    with pytest.raises(FileNotFoundError, match="the cameras of S1_Seq1"):
        read(tmp_path)
    files.write_train(tmp_path, scenes[:2], camera=7)
    (folder / "imageSequence/video_7.avi").unlink()
    with pytest.raises(FileNotFoundError, match="not extracted either"):
        read(tmp_path)
    mat.unlink()
    with pytest.raises(FileNotFoundError, match="annotations of S1_Seq1"):
        read(tmp_path)


def test_damaged_files_of_the_test_set_are_named(tmp_path, scenes):
    path = files.write_test(tmp_path, 1, scenes[:1], [1], [3])
    test_options = options(tmp_path, tmp_path, split="test")

    def list_tasks():
        return list(mpi_inf_3dhp._test_tasks(test_options))

    with h5py.File(path, "r+") as file:
        del file["univ_annot3"]
        file["univ_annot3"] = np.zeros((1, 1, 16, 3))
    with pytest.raises(ValueError, match=r"univ_annot3 has the shape"):
        list_tasks()
    with h5py.File(path, "r+") as file:
        del file["univ_annot3"]
    with pytest.raises(ValueError, match=r"variable 'univ_annot3'"):
        list_tasks()
    cut(path)
    with pytest.raises(ValueError, match="could not be read as a Matlab 7.3"):
        list_tasks()
    path.unlink()
    with pytest.raises(FileNotFoundError, match="annotations of TS1"):
        list_tasks()


def test_labels_that_are_no_numbers_cost_their_frame(tmp_path, scenes):
    folder = files.write_train(tmp_path, scenes[:2], camera=7)
    content = load(folder / "annot.mat")
    content["annot2"][7, 0][0, :] = np.nan
    content["annot3"][7, 0][1, 15:18] = np.nan
    scipy.io.savemat(folder / "annot.mat", content)
    first, second = map(writing.checked, read(tmp_path))
    assert first.cause == "the box is empty or not finite"
    assert "joints3d is not finite" in second.cause
