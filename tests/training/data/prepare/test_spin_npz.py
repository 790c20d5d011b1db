"""SPIN's npz: all labels or few, flags, its crop, damaged files."""

import numpy as np
import pytest

from tests.support.datasets import people, spin_npz_files
from tf_hmr import joints
from training import doctor
from training.data.prepare import spin_npz as reader
from training.data.readers import writing
from training.data.records import reader_versions, records_folder, shards

# As nkolot/SPIN: constants.py spells its last 24 names.
SPELLED = (
    "Right Ankle,Right Knee,Right Hip,Left Hip,Left Knee,Left Ankle,"
    "Right Wrist,Right Elbow,Right Shoulder,Left Shoulder,Left Elbow,"
    "Left Wrist,Neck (LSP),Top of Head (LSP),Pelvis (MPII),Thorax (MPII),"
    "Spine (H36M),Jaw (H36M),Head (H36M),Nose,Left Eye,Right Eye,Left Ear,"
    "Right Ear"
).split(",")
OTHERWISE = {
    "Top of Head (LSP)": "head_top",
    "Jaw (H36M)": "neck_nose",
    "Head (H36M)": "head_h36m",
}


def test_joints_have_the_order_of_spin():
    for ours, name in zip(reader.JOINTS24, SPELLED, strict=True):
        plain = name.partition(" (")[0].lower().replace(" ", "_")
        assert ours == OTHERWISE.get(name, plain)


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, size=(200, 160)) for n in (40, 41, 42)]


def read_all(root, monkeypatch):
    people = []

    def write(name, options, tasks, read):
        people.extend(person for task in tasks for person in read(task))

    monkeypatch.setattr(writing, "write", write)
    npz = root / "some_train.npz"
    reader.run(reader.Options(root=root, out=root / "out", npz=npz))
    return people


@pytest.mark.parametrize("h36m", [False, True])
def test_labels_are_the_truth(scenes, tmp_path, monkeypatch, h36m):
    spin_npz_files.write(
        tmp_path, scenes, **spin_npz_files.arrays(scenes, h36m)
    )
    examples = read_all(tmp_path, monkeypatch)
    stored_names = (set(reader.JOINTS24) & set(joints.KEYPOINTS)) - set(
        spin_npz_files.ABSENT
    )
    assert "head_top" in stored_names
    for example, scene in zip(examples, scenes, strict=True):
        (person,) = scene.people
        for row, name in enumerate(joints.KEYPOINTS):
            for points, truth in (
                (example.keypoints, person.keypoints),
                (example.joints3d, person.joints3d),
            ):
                assert points[row, -1] == (name in stored_names), name
                if name in stored_names:
                    np.testing.assert_allclose(
                        points[row, :-1], truth[name], atol=1e-5, rtol=1e-6
                    )
        assert example.gender == person.gender
        x, y, w, h = example.box
        middle = person.box[:2] + person.box[2:] / 2
        np.testing.assert_allclose((x + w / 2, y + h / 2), middle, rtol=1e-5)
        np.testing.assert_allclose((w, h), max(person.box[2:]), rtol=1e-5)
    assert [example.has("pose") for example in examples] == [True, False, True]
    truth = scenes[2].people[0]
    np.testing.assert_allclose(examples[2].pose, truth.pose.ravel(), atol=1e-6)
    np.testing.assert_allclose(examples[2].betas, truth.betas, atol=1e-6)
    assert examples[2].topology == "smpl"


def test_openposes_detections_are_stored(scenes, tmp_path, monkeypatch, rng):
    detections = rng.uniform(5, 100, (3, 25, 3))
    detections[..., 2] = rng.uniform(0.1, 1, (3, 25))
    detections[0, 4], detections[0, 5, 0], detections[2] = [7, 8, 0], np.nan, 0
    spin_npz_files.write(tmp_path, scenes, openpose=detections)
    first, second, third = read_all(tmp_path, monkeypatch)
    np.testing.assert_allclose(second.openpose, detections[1], rtol=1e-6)
    expected = detections[0].copy()
    expected[4:6] = 0
    np.testing.assert_allclose(first.openpose, expected, rtol=1e-6)
    assert third.openpose is None


def test_absent_arrays_are_absent_labels(scenes, tmp_path, monkeypatch):
    none = dict.fromkeys(("S", "pose", "shape", "has_smpl", "gender"))
    spin_npz_files.write(tmp_path, scenes, **none)
    for example in read_all(tmp_path, monkeypatch):
        assert example.has("keypoints")
        assert not any(example.has(n) for n in ("joints3d", "pose", "betas"))
        assert example.gender == "neutral"


def test_pose_without_flags_counts(scenes, tmp_path, monkeypatch):
    spin_npz_files.write(tmp_path, scenes, has_smpl=None)
    assert all(
        example.has("pose") for example in read_all(tmp_path, monkeypatch)
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["m", "f", "n"],
        ["M", "F", ""],
        ["male", "Female", "neutral"],
        [b"m", b"FEMALE", b"-1"],
    ],
)
def test_texts_may_be_bytes_and_genders_words(
    scenes, tmp_path, monkeypatch, texts
):
    stored = spin_npz_files.arrays(scenes)
    spin_npz_files.write(
        tmp_path,
        scenes,
        gender=np.array(texts),
        extra_info=np.array({"nobody": "asks"}, object),
    )
    names = stored["imgname"].astype("S")
    arrays = stored | {"gender": np.array(texts), "imgname": names}
    plain = read_all(tmp_path, monkeypatch)
    np.savez(tmp_path / "some_train.npz", **arrays)
    for people_read in (plain, read_all(tmp_path, monkeypatch)):
        genders_read = [example.gender for example in people_read]
        assert genders_read == ["male", "female", "neutral"]


def test_an_unknown_gender_is_left_out_by_name(scenes, tmp_path, monkeypatch):
    spin_npz_files.write(tmp_path, scenes, gender=np.array(["m", "x", "w"]))
    first, second, third = read_all(tmp_path, monkeypatch)
    assert first.gender == "male"
    assert second.cause == "the gender 'x' is not known"
    assert third.cause == "the gender 'w' is not known"


def test_shapes_are_checked_before_numbers_are_read(
    scenes, tmp_path, monkeypatch
):
    path = spin_npz_files.write(tmp_path, scenes, pose=np.zeros((4, 72)))
    shapes, read_array = [], np.lib.format.read_array

    def counted(*arguments, **options):
        array = read_array(*arguments, **options)
        shapes.append(array.shape)
        return array

    monkeypatch.setattr(np.lib.format, "read_array", counted)
    with pytest.raises(ValueError, match=r"pose is float64 of .*\(4, 72\)"):
        reader.read_arrays(path)
    assert (3, 24, 4) in shapes and (4, 72) not in shapes


def test_who_is_left_out_and_why(scenes, tmp_path, monkeypatch):
    stored = spin_npz_files.arrays(scenes)
    stored["scale"][0] = np.nan
    stored["center"][1] = 9000, 0
    spin_npz_files.write(tmp_path, scenes, **stored)
    (tmp_path / "images/im0002.jpg").unlink()
    assert [skipped.cause for skipped in read_all(tmp_path, monkeypatch)] == [
        "center or scale is not finite",
        "the box lies outside the picture",
        "the picture's file is missing",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": None}, "has no scale"),
        ({"part": np.zeros((3, 24, 2))}, r"part is float64 .*\(3, 24, 3\)"),
        ({"pose": np.array([["x"] * 72] * 3)}, "pose is <U1"),
        ({"gender": np.array([{}] * 3)}, "is pickled"),
    ],
)
def test_damaged_files_are_named(
    scenes, tmp_path, monkeypatch, changes, message
):
    path = spin_npz_files.write(tmp_path, scenes, **changes)
    with pytest.raises(ValueError, match=rf"some_train.npz.*{message}"):
        read_all(tmp_path, monkeypatch)
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(ValueError, match=r"some_train.npz could not be read"):
        read_all(tmp_path, monkeypatch)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="dataset_extras.tar.gz"):
        read_all(tmp_path, monkeypatch)


def test_records_and_sheet(scenes, tmp_path):
    npz = spin_npz_files.write(tmp_path, scenes)
    out = tmp_path / "out"
    reader.run(reader.Options(root=tmp_path, out=out, npz=npz, workers=1))
    assert doctor.main([str(out), "--limit", "0"]) == 0
    assert len(shards.Records(out, "train")) == 3
    split = records_folder.read_report(out)["splits"]["train"]
    assert "--npz" in split["command"]
    assert (split["reader"], split["reader_version"]) == ("spin-npz", 2)
    assert reader_versions.warning(out) == ""
