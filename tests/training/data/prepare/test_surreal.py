"""SURREAL: the mirror image undone, the camera, parts, who is kept."""

import cv2
import numpy as np
import pytest
import scipy.io
from scipy.spatial.transform import Rotation

from tests.support.datasets import people, surreal_files
from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from training import doctor
from training.data.prepare import surreal
from training.data.records import records_folder, schema, shards

LIMBS = tuple(n for n in surreal._NAMES if n)


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, 1, surreal_files.SCENE) for n in (51, 52, 53)]


@pytest.fixture(scope="module")
def film(scenes, tmp_path_factory):
    return surreal_files.write(tmp_path_factory.mktemp("surreal"), scenes)


def read(film, rules="smplr"):
    return list(surreal.read(surreal.Task(film, "run0_x", rules)))


def check(example, scene):
    (person,) = scene.people
    rows = list(joints.select(LIMBS, joints.KEYPOINTS))
    truth = np.array([person.smpl_joints[name] for name in LIMBS])
    joints3d = example.joints3d[rows]
    np.testing.assert_allclose(joints3d[:, :3], truth, atol=1e-5)
    pixels = 600 * truth[:, :2] / truth[:, 2:] + (160, 120)
    points = example.keypoints[rows]
    np.testing.assert_allclose(points[:, :2], pixels, atol=0.01)
    assert example.joints3d[:, 3].sum() == len(LIMBS) == 10
    pose = example.pose.reshape(24, 3)
    turns = Rotation.from_rotvec(pose)
    difference = turns.inv() * Rotation.from_rotvec(person.pose)
    assert difference.magnitude().max() < 1e-5
    np.testing.assert_allclose(example.betas, person.betas, atol=1e-6)
    assert example.gender == person.gender
    assert example.topology == "smpl"


def test_labels_are_the_truth(film, scenes):
    examples = read(film)
    for number, (example, scene) in enumerate(
        zip(examples, scenes, strict=True)
    ):
        check(example, scene)
        assert example.example_id == f"run0_x_{number + 1:04d}"
        parts = cv2.imdecode(np.frombuffer(example.parts, np.uint8), -1)
        truth = surreal_files.as_seen(scene, scene.people[0].parts)
        np.testing.assert_array_equal(parts, truth)
        box = cv2.boundingRect((truth > 0).astype(np.uint8))
        np.testing.assert_allclose(example.box, box)


def test_left_limbs_are_labelled_left_in_the_picture(film, scenes):
    """Where the keypoints are, the parts have the same name."""
    names = ("", *body_parts.PARTS["part14"])
    agree = 0
    for example in read(film):
        parts = cv2.imdecode(np.frombuffer(example.parts, np.uint8), -1)
        for name in ("left_knee", "right_knee", "left_wrist", "right_wrist"):
            x, y, _ = example.keypoints[joints.KEYPOINTS.index(name)]
            part = names[parts[round(float(y)), round(float(x))]]
            assert part.split("_")[0] != joints.mirror_name(name).split("_")[0]
            agree += part.startswith(name.split("_")[0])
    assert agree >= 8


def test_a_clip_of_one_frame(tmp_path, scenes):
    film = surreal_files.write(tmp_path, scenes[:1])
    (example,) = read(film)
    check(example, scenes[0])


def test_smplr_keeps_frames_that_moved_5_cm_in_the_mean():
    joints3d = np.zeros((6, 24, 3))
    joints3d[:, :12, 0] = np.array([0, 0.09, 0.101, 0.15, 0.21, 0.3])[:, None]
    empty = np.array([False, False, False, False, False, True])
    assert surreal.select_frames("smplr", joints3d, empty) == [0, 2, 4]


@pytest.mark.parametrize(("count", "middle"), [(1, 0), (100, 49), (99, 49)])
def test_bodynet_keeps_the_middle_frame(count, middle):
    joints3d = np.zeros((count, 24, 3))
    assert surreal.select_frames("bodynet", joints3d, joints3d.any((1, 2))) == [
        middle
    ]


def test_a_dataset_becomes_records(tmp_path, scenes):
    raw, out = tmp_path / "raw", tmp_path / "out"
    surreal_files.write(raw, scenes[:2], "val", 0)
    surreal_files.write(raw, scenes[2:], "val", 2, "143_03_c0010")
    values = {"split": "val", "workers": 1}
    surreal.run(surreal.Options(raw, out, **values))
    assert doctor.main([str(out), "--limit", "0"]) == 0
    split = records_folder.read_report(out)["splits"]["val"]
    assert split["count"] == split["labels"]["parts"] == 3
    last = schema.decode(shards.Records(out, "val").read(2))
    assert last.example_id == "run2_143_03_c0010_0001"
    check(last, scenes[2])
    with pytest.raises(ValueError, match="no task was found"):
        surreal.run(surreal.Options(raw, tmp_path / "b", run=1, **values))
    with pytest.raises(FileNotFoundError, match="the films of the split"):
        surreal.run(surreal.Options(raw, out, workers=1))


def test_without_segments_the_box_is_of_the_joints(tmp_path, scenes):
    film = surreal_files.write(tmp_path, scenes[:1])
    film.with_name("01_01_c0001_segm.mat").unlink()
    (example,) = read(film)
    assert not example.parts
    truth = np.array(list(scenes[0].people[0].smpl_joints.values()))
    pixels = 600 * truth[:, :2] / truth[:, 2:] + (160, 120)
    np.testing.assert_allclose(
        example.box[2:], 1.2 * np.ptp(pixels, axis=0), atol=0.01
    )


def test_damaged_clips_are_counted(tmp_path, scenes):
    film = surreal_files.write(tmp_path, scenes)
    path = film.with_name("01_01_c0001_info.mat")
    content = surreal_files.info(scenes)
    content["joints3D"][:, :, 1] = 0
    scipy.io.savemat(path, content)
    causes = [getattr(person, "cause", "") for person in read(film)]
    assert sorted(causes) == ["", "", "all joints are zero"]
    assert read(film, "bodynet")[0].cause == "all joints are zero"
    damaged = {
        "absent": {k: v for k, v in content.items() if k != "pose"},
        "shape": content | {"shape": np.zeros((9, 3))},
        "gender": content | {"gender": np.full((3, 1), 2)},
    }
    for change in damaged.values():
        scipy.io.savemat(path, change)
        (skipped,) = read(film)
        assert skipped.cause == "_info.mat of the clip is damaged"
    scipy.io.savemat(path, surreal_files.info(scenes))
    path.write_bytes(path.read_bytes()[:700])
    assert read(film)[0].cause == "_info.mat of the clip is damaged"
    surreal_files.write(tmp_path, scenes)
    film.write_bytes(b"no film")
    causes = {person.cause for person in read(film)}
    assert causes == {"the video lacks the frame"}
    segments = film.with_name("01_01_c0001_segm.mat")
    surreal_files.write(tmp_path, scenes)
    wrong = {"segm_1": np.full((240, 320), 25), "segm_2": np.zeros((9, 9))}
    scipy.io.savemat(segments, wrong)
    assert [person.parts for person in read(film)] == [b""] * 3


def test_a_subset_has_poses_that_all_differ(film, tmp_path, capsys):
    """At 150 mm all three people; at 10 m the first alone."""
    root = tmp_path / "root"
    folder = root / "cmu" / "train" / "run0" / "x"
    folder.mkdir(parents=True)
    for path in film.parent.glob(f"{film.stem}*"):
        (folder / path.name).write_bytes(path.read_bytes())
    counts = []
    for millimetres in (150.0, 10_000.0):
        options = surreal.Options(
            root, tmp_path / f"{millimetres:g}", distinct_mm=millimetres
        )
        options.workers = 1
        surreal.run(options)
        report = records_folder.read_report(options.out)
        counts.append(report["splits"]["train"]["count"])
        command = report["splits"]["train"]["command"]
        assert f"--distinct-mm {millimetres}" in command
    assert counts == [3, 1]
    assert "1 poses differ by 10000 mm" in capsys.readouterr().out


def test_a_negative_distance_is_refused(tmp_path, film):
    root = tmp_path / "root"
    (root / "cmu" / "train").mkdir(parents=True)
    options = surreal.Options(root, tmp_path / "out", distinct_mm=-1.0)
    with pytest.raises(ValueError, match="--distinct-mm -1"):
        surreal.run(options)
