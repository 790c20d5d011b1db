"""HMR's TFRecords: three kinds of labels, poses, a parser without TF."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.datasets import hmr_tfrecords_files as files
from tests.support.datasets import people
from tf_hmr import joints
from training import doctor
from training.data.formats import tf_examples
from training.data.prepare import hmr_tfrecords as reader
from training.data.readers import h36m_smpl, writing
from training.data.records import mocap, records_folder, schema, shards

LSP_ROWS = list(joints.select(joints.LSP14, joints.KEYPOINTS))
WRIST = joints.KEYPOINTS.index(files.HIDDEN)


@pytest.fixture(scope="module")
def scene():
    return people.scene(30, size=(220, 200))


def read_all(path):
    offsets = tf_examples.places(path)
    return list(reader.read(reader.Task(path, offsets, 0)))


def test_labels_of_images_are_the_truth(scene, tmp_path):
    (person,) = scene.people
    row = files.features(person, scene)
    (example,) = read_all(files.write(tmp_path / "train_000.tfrecord", [row]))
    labelled_names = [name for name in joints.LSP14 if name != files.HIDDEN]
    labelled_names += [name for name in files.FACE if name != "right_eye"]
    for name, (x, y, flag) in zip(
        joints.KEYPOINTS, example.keypoints, strict=True
    ):
        assert flag == (name in labelled_names), name
        if flag:
            assert np.abs(person.keypoints[name] - (x, y)).max() < 0.01
    assert example.image == row["image/encoded"][0]
    middle = example.box[:2] + example.box[2:] / 2 - 0.5
    np.testing.assert_array_equal(middle, row["image/center"])
    assert example.box[2:].tolist() == [150, 150]
    assert not example.has("pose")
    assert not example.has("joints3d")


@pytest.mark.parametrize("has_3d", [1, 0])
def test_labels_3d_are_the_truth(scene, tmp_path, has_3d):
    (person,) = scene.people
    row = files.features_3d(person, scene, has_3d)
    (example,) = read_all(files.write(tmp_path / "train_000.tfrecord", [row]))
    truth = person.points3d(joints.LSP14)
    np.testing.assert_allclose(example.joints3d[LSP_ROWS, :3], truth, atol=1e-5)
    assert example.joints3d[:, 3].sum() == 14
    # Shrunk to 0.8 of its height in width.
    camera = scene.intrinsics * (0.8, 1, 1, 1)
    np.testing.assert_allclose(example.intrinsics, camera, rtol=1e-5)
    assert example.has("pose") == example.has("betas") == bool(has_3d)
    if has_3d:
        np.testing.assert_allclose(example.pose, person.pose.ravel(), atol=1e-6)
        np.testing.assert_allclose(example.betas, person.betas, atol=1e-6)
        assert example.topology == "smpl"


def on_its_head(person, scene, has_3d=1):
    """A record of Human3.6M as the authors ship it: joints are upright."""
    row = files.features_3d(person, scene, has_3d)
    pose = np.array(row["mosh/pose"], np.float64)
    turn = Rotation.from_rotvec(pose[:3]) * Rotation.from_rotvec([-np.pi, 0, 0])
    pose[:3] = turn.as_rotvec()
    return row | {"mosh/pose": pose}


def matrices(pose):
    return Rotation.from_rotvec(np.reshape(pose, (24, 3))).as_matrix()


@pytest.mark.parametrize("seed", range(6))
def test_bodies_of_human36m_are_turned_upright(seed, tmp_path):
    """As MoSh's .pkl files are; whoever is upright stays, to the bit."""
    scene = people.scene(30 + seed, size=(220, 200))
    (person,) = scene.people
    rows = [on_its_head(person, scene), files.features_3d(person, scene)]
    path = files.write(tmp_path / "train/S1_Eating_0_cam0.tfrecord", rows)
    turned_example, upright = read_all(path)
    truth = matrices(person.pose)
    np.testing.assert_allclose(matrices(turned_example.pose), truth, atol=1e-5)
    np.testing.assert_array_equal(turned_example.pose[3:], upright.pose[3:])
    stored = np.float32(person.pose.ravel())
    np.testing.assert_array_equal(np.float32(upright.pose), stored)
    (by_file,) = h36m_smpl.turn_upright([rows[0]["mosh/pose"]])
    np.testing.assert_allclose(turned_example.pose, by_file, atol=1e-6)


def test_the_original_poses_can_be_kept(scene, tmp_path):
    row = on_its_head(scene.people[0], scene)
    files.write(tmp_path / "raw/train/S1_cam0.tfrecord", [row])
    for choice, is_kept in (("turn", False), ("keep", True)):
        out = tmp_path / choice
        reader.run(
            reader.Options(tmp_path / "raw", out, workers=1, upside_down=choice)
        )
        stored = schema.decode(shards.Records(out, "train").read(0))
        same = np.allclose(
            matrices(stored.pose), matrices(row["mosh/pose"]), atol=1e-5
        )
        assert same is is_kept
        assert doctor.main([str(out), "--limit", "0"]) == int(is_kept)


def test_records_without_a_body_have_nothing_to_turn(scene, tmp_path):
    """MPI-INF-3DHP's hold -1 for the pose, and has_3d 0."""
    row = files.features_3d(scene.people[0], scene, 0)
    (example,) = read_all(files.write(tmp_path / "train_000.tfrecord", [row]))
    assert not example.has("pose")


@pytest.mark.parametrize(
    "harm",
    [
        lambda row: row.pop("image/x"),
        lambda row: row.update({"image/x": [1.0, 2.0]}),
        lambda row: row.update({"image/encoded": [7]}),
        lambda row: row.update({"mosh/gt3d": [1.0] * 5}),
        lambda row: row.pop("mosh/pose"),
        lambda row: row.update({"image/center": [b"x"]}),
    ],
)
def test_malformed_records_are_left_out(scene, tmp_path, harm):
    row = files.features_3d(scene.people[0], scene)
    harm(row)
    path = files.write(tmp_path / "train_000.tfrecord", [row, b"\x0a\xff"])
    causes = [writing.checked(person).cause for person in read_all(path)]
    assert causes == ["the record is malformed"] * 2


def test_not_finite_labels_are_left_out(scene, tmp_path):
    row = files.features_3d(scene.people[0], scene)
    row["mosh/pose"] = np.full(72, np.nan)
    (example,) = read_all(files.write(tmp_path / "train_000.tfrecord", [row]))
    assert "pose is not finite" in writing.checked(example).cause


def test_cut_files_are_named(scene, tmp_path):
    rows = [files.features(scene.people[0], scene)] * 3
    path = files.write(tmp_path / "train_000.tfrecord", rows)
    intact_bytes = path.read_bytes()
    for size in (len(intact_bytes) - 1, len(intact_bytes) * 2 // 3 + 5):
        path.write_bytes(intact_bytes[:size])
        with pytest.raises(ValueError, match="cut short after 2 records"):
            reader.run(reader.Options(tmp_path, tmp_path / "out"))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"train_000.*Request it from"):
        reader.run(reader.Options(tmp_path, tmp_path / "out"))


def test_parser_reads_what_tensorflow_writes(rng):
    row = {
        "floats": rng.normal(size=300).astype(np.float32),
        "none": np.zeros(0),
        "integers": np.array([0, 1, -1, 127, 128, 2**62, -(2**63)]),
        "bytes": [b"", b"\x00\xff" * 200],
        "": [b"no name"],
    }
    del row["none"]
    parsed = tf_examples.parse(files.serialize(row))
    assert parsed.keys() == row.keys()
    for name, values in row.items():
        assert list(parsed[name]) == list(values), name
    assert tf_examples.parse(b"") == {}


def test_poses_become_a_prior(tmp_path, rng):
    root = tmp_path / "mocap_neutrMosh"
    truth = rng.normal(size=(7, 82)).astype(np.float32)
    rows = [{"pose": row[:72], "shape": row[72:]} for row in truth]
    rows.insert(3, {"pose": [1.0]})
    files.write(root / "neutrSMPL_CMU_000.tfrecord", rows[:5])
    files.write(root / "neutrSMPL_H3.6_000.tfrecord", rows[5:])
    reader.run(reader.Options(root, tmp_path / "out", workers=1))
    prior = mocap.read(tmp_path / "out")
    np.testing.assert_array_equal(prior.pose, truth[:, :72])
    np.testing.assert_array_equal(prior.betas, truth[:, 72:])
    assert prior.topology == "smpl"


def test_records_and_sheet(scene, tmp_path):
    rows = [files.features_3d(scene.people[0], scene)] * 2
    files.write(tmp_path / "raw/train/S1_cam0.tfrecord", rows)
    out = tmp_path / "out"
    reader.run(reader.Options(tmp_path / "raw", out, workers=1))
    assert doctor.main([str(out), "--limit", "0"]) == 0
    assert len(shards.Records(out, "train")) == 2
    report = records_folder.read_report(out)
    assert report["topology"] == "smpl"
    assert report["splits"]["train"]["labels"]["pose"] == 2


def test_no_tensorflow_in_the_readers_of_this_package():
    code = (
        "import sys\n"
        "from training.data.prepare import coco, coco_like, hmr_tfrecords\n"
        "from training.data.prepare import hr_lspet, lsp, lsp_ext, mpii\n"
        "from training.data.prepare import spin_npz, up3d\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert not subprocess.run(
        [sys.executable, "-c", code], check=False
    ).returncode
