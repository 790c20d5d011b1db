"""Collections of poses: AMASS, MoSh, the CMU's retargeted."""

import json

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import record_samples
from tests.support.datasets import poses_files
from tf_hmr import joints
from training.data.prepare import poses
from training.data.records import mocap
from training.data.synthetic import people as synthetic

STRAIGHT = ("left_hand", "right_hand")


@pytest.fixture(scope="module")
def bodies():
    """Poses (6, 24, 3), turned somewhere, with straight fingers; betas."""
    rotvecs, betas, _ = synthetic.People(5, "prior").bodies(0, 6)
    rotvecs = rotvecs.astype(np.float64)
    rotvecs[:, 0] = np.random.default_rng(3).normal(0, 1, (6, 3))
    rotvecs[:, list(joints.select(STRAIGHT, joints.SMPL24))] = 0
    return rotvecs, betas


@pytest.fixture(scope="module")
def rest(body_data):
    return body_data.J_regressor @ body_data.v_template


def task(path, root, kind, rest=None, step=None):
    return poses.Task(path, root, kind, step, rest)


def untwisted(rotvecs, rest):
    """Without the wrists' rotation about the hand, which is not told."""
    untwisted_rotvecs = rotvecs.copy()
    for side in ("left", "right"):
        wrist = joints.SMPL24.index(f"{side}_wrist")
        hand = joints.SMPL24.index(f"{side}_hand")
        start = rest[hand] - rest[wrist]
        end = Rotation.from_rotvec(rotvecs[:, wrist]).apply(start)
        for row, end_point in enumerate(end):
            turn = poses_files._between(start, end_point)
            untwisted_rotvecs[row, wrist] = turn.as_rotvec()
    return untwisted_rotvecs


def test_motion_of_the_cmu_becomes_poses(tmp_path, bodies, rest):
    poses_files.write_asf(tmp_path / "07/07.asf")
    # Another subject's, whose name begins alike.
    (tmp_path / "07/0.asf").write_text("nothing")
    path = tmp_path / "07/07_01.amc"
    poses_files.write_amc(path, bodies[0], rest)
    motion = poses.read(task(path, tmp_path, "cmu", rest))
    assert not motion.cause
    expected = untwisted(bodies[0], rest)
    rotations_read = Rotation.from_rotvec(
        motion.pose.reshape(-1, 3).astype(np.float64)
    )
    difference = rotations_read.inv() * Rotation.from_rotvec(
        expected.reshape(-1, 3)
    )
    assert difference.magnitude().max() < 1e-5
    assert not motion.pose.reshape(6, 24, 3)[
        :, list(joints.select(STRAIGHT, joints.SMPL24))
    ].any()
    np.testing.assert_array_equal(motion.betas[0], motion.betas[5])
    every_second = poses.read(task(path, tmp_path, "cmu", rest, step=24))
    np.testing.assert_array_equal(every_second.pose, motion.pose[::2])


@pytest.mark.parametrize("rate", [60, 100, 120, 9])
def test_poses_of_amass(tmp_path, bodies, rate):
    rotvecs, betas = bodies
    path = tmp_path / "CMU/01/01_01_poses.npz"
    poses_files.write_amass(path, rotvecs, betas[0], rate)
    motion = poses.read(task(path, tmp_path, "amass"))
    expected = rotvecs.reshape(6, 72)
    np.testing.assert_allclose(motion.pose, expected, atol=1e-6)
    np.testing.assert_allclose(motion.betas, np.tile(betas[0], (6, 1)))
    assert motion.gender == "female"


def test_newer_poses_of_amass(tmp_path, bodies):
    rotvecs, betas = bodies
    flat = rotvecs.reshape(6, 72)
    path = tmp_path / "walk_stageii.npz"
    np.savez(
        path,
        root_orient=flat[:, :3],
        pose_body=flat[:, 3:66],
        betas=betas[1],
        gender=np.array(b"male"),
        mocap_frame_rate=np.array(10.0),
    )
    motion = poses.read(task(path, tmp_path, "amass"))
    np.testing.assert_allclose(motion.pose, flat, atol=1e-6)
    assert motion.gender == "male"


def newer(bodies, **changes):
    """Arrays of a newer file of AMASS; a change to None takes one away."""
    rotvecs, betas = bodies
    flat = rotvecs.reshape(len(rotvecs), 72)
    arrays = {
        "root_orient": flat[:, :3],
        "pose_body": flat[:, 3:66],
        "betas": betas[1],
        "gender": np.array("male"),
        "mocap_frame_rate": np.array(10.0),
        "surface_model_type": np.array("smplx"),
        "markers_latent_vids": np.array({"a": [1, 2]}, object),
    } | changes
    return {name: value for name, value in arrays.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "smpls"),
    [
        ({"surface_model_type": np.array("smplh")}, True),
        ({"surface_model_type": np.array(b"SMPL")}, True),
        ({"surface_model_type": None}, True),
        ({}, False),
        ({"surface_model_type": np.array("star")}, False),
        ({"surface_model_type": None, "pose_jaw": np.zeros((6, 3))}, False),
        ({"surface_model_type": None, "poses": np.zeros((6, 165))}, False),
        ({"surface_model_type": None, "betas": np.ones(400)}, False),
        ({"surface_model_type": None, "expression": np.zeros(10)}, False),
    ],
)
def test_betas_of_other_bodies_are_not_taken_for_those_of_smpl(
    tmp_path, bodies, changes, smpls
):
    path = tmp_path / "walk_stageii.npz"
    np.savez(path, **newer(bodies, **changes))
    read = poses.read(task(path, tmp_path, "amass"))
    assert not read.cause
    np.testing.assert_allclose(read.pose, bodies[0].reshape(6, 72), atol=1e-6)
    expected = bodies[1][1] if smpls else np.zeros(10)
    np.testing.assert_allclose(read.betas, np.tile(expected, (6, 1)))
    assert bool(read.zero_betas) is not smpls


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"surface_model_type": np.array("mano")}, "poses of the model 'mano'"),
        ({"gender": np.array("x")}, "the gender 'x' is not known"),
        (
            {"pose_body": np.array([{}] * 6, object)},
            "an array that is read is pickled",
        ),
    ],
)
def test_files_of_amass_that_are_left_out(tmp_path, bodies, changes, cause):
    path = tmp_path / "walk_stageii.npz"
    np.savez(path, **newer(bodies, **changes))
    assert poses.read(task(path, tmp_path, "amass")).cause == cause


def test_the_report_says_whose_betas_are_zeros(tmp_path, bodies):
    (tmp_path / "raw").mkdir()
    np.savez(tmp_path / "raw/a_stageii.npz", **newer(bodies))
    poses.run(options(tmp_path / "raw", tmp_path / "x", "amass"))
    report = json.loads((tmp_path / "x" / poses.REPORT).read_text())
    assert report["zero_betas"] == {"smplx": 6}
    assert report["reader_version"] == 2
    assert report["origin"].startswith("SMPL-X bodies fitted to markers; zeros")
    poses_files.write_amass(tmp_path / "raw/b.npz", bodies[0], bodies[1][0], 10)
    poses.run(options(tmp_path / "raw", tmp_path / "both", "amass"))
    report = json.loads((tmp_path / "both" / poses.REPORT).read_text())
    assert report["count"] == 12 and report["zero_betas"] == {"smplx": 6}
    assert "SMPL-H bodies" in report["origin"]
    assert "SMPL-X bodies" in report["origin"]
    betas = mocap.read(tmp_path / "both").betas
    assert not betas[:6].any() and betas[6:].all()


@pytest.mark.parametrize("key", ["poses", "new_poses"])
def test_poses_of_mosh(tmp_path, bodies, key):
    rotvecs, betas = bodies
    path = tmp_path / "neutrSMPL_H3.6/S1/Walking.pkl"
    poses_files.write_mosh(path, rotvecs, betas[0], key)
    motion = poses.read(task(path, tmp_path, "mosh"))
    np.testing.assert_allclose(motion.pose, rotvecs.reshape(6, 72), atol=1e-6)
    np.testing.assert_allclose(motion.betas[3], betas[0])
    tested = tmp_path / "neutrSMPL_H3.6/S11/Walking.pkl"
    poses_files.write_mosh(tested, rotvecs, betas[0], key)
    motion = poses.read(task(tested, tmp_path, "mosh"))
    assert motion.cause == "a subject of Human3.6M's test"


def options(root, out, kind, **changes):
    return poses.Options(root, out, kind, **({"workers": 1} | changes))


def test_a_collection_becomes_a_prior(tmp_path, bodies):
    rotvecs, betas = bodies
    root, out = tmp_path / "raw", tmp_path / "out"
    for name, gender in (("a", "female"), ("b", "male")):
        path = root / name / "x_poses.npz"
        poses_files.write_amass(path, rotvecs[:3], betas[0], gender=gender)
    np.savez(root / "a/shape.npz", betas=betas[0], gender="female")
    (root / "a/broken_poses.npz").write_bytes(path.read_bytes()[:3000])
    poses.run(options(root, out, "amass"))
    prior = mocap.read(out)
    assert prior.topology == "smpl"
    expected = np.tile(rotvecs[:3].reshape(3, 72), (2, 1))
    np.testing.assert_allclose(prior.pose, expected, atol=1e-6)
    report = json.loads((out / poses.REPORT).read_text())
    assert report["genders"] == {"female": 3, "male": 3}
    assert report["skipped"] == {
        "the file is damaged": 1,
        "the file holds no poses": 1,
    }
    assert report["skipped_files"] == ["a/broken_poses.npz", "a/shape.npz"]
    assert "training.prepare poses" in report["command"]
    assert cv2.imread(str(out / "prior.png")).std() > 5


def test_retargeted_poses_say_so_and_belong_to_their_body(
    tmp_path, bodies, rest, monkeypatch
):
    poses_files.write_asf(tmp_path / "raw/01.asf")
    poses_files.write_amc(tmp_path / "raw/01_01.amc", bodies[0], rest)
    out = record_samples.folder(tmp_path / "out", 2)  # of the open body
    poses.run(options(tmp_path / "raw", out, "cmu"))
    assert mocap.read(out).topology == "open-v1"
    report = json.loads((out / poses.REPORT).read_text())
    assert "retargeted" in report["origin"]
    assert "drawn" in report["origin"]
    poses_files.write_mosh(tmp_path / "raw/a.pkl", *bodies)
    with pytest.raises(ValueError, match=r"'open-v1', these poses are of"):
        poses.run(options(tmp_path / "raw", out, "mosh"))


@pytest.mark.parametrize(
    ("kind", "change", "cause"),
    [
        ("amass", {"poses": np.zeros((8, 30))}, "the file is damaged"),
        ("amass", {"poses": np.full((8, 156), np.nan)}, "not finite"),
        ("amass", {"betas": np.zeros(4)}, "the file is damaged"),
        ("amass", {"mocap_framerate": np.array("x")}, "the file is damaged"),
        ("mosh", {"poses": np.zeros((8, 69))}, "the file is damaged"),
        ("mosh", {"poses": np.zeros((24, 165))}, "the file is damaged"),
        ("amass", {"poses": np.zeros((66, 48))}, "the file is damaged"),
        ("mosh", {"poses": np.zeros((8, 72)), "betas": 3}, "damaged"),
        ("mosh", {"betas": np.zeros(10)}, "the file holds no poses"),
    ],
)
def test_damaged_files_are_counted(tmp_path, bodies, kind, change, cause):
    rotvecs, betas = bodies
    path = tmp_path / "x"
    if kind == "amass":
        path = path.with_suffix(".npz")
        poses_files.write_amass(path, rotvecs, betas[0], change=change)
    else:
        poses_files.smpl_files.write_pickle(path, change)
    assert cause in poses.read(task(path, tmp_path, kind)).cause


def replaced(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("01_01.amc", "\nltibia ", "\nltail "),
        ("01_01.amc", "\nltibia ", "\nltibia 4 "),
        ("01_01.amc", "\nltibia ", "\nltibia x "),
        ("01_01.amc", "\nltibia ", "\nltibia nan\n# "),
        ("01.asf", "    lfemur ltibia\n", ""),
        ("01.asf", "lfemur ltibia", "lthigh ltibia"),
        ("01.asf", ":hierarchy", ":tree"),
        ("01.asf", "direction 1 0 0", "direction 0 0 0"),
        ("01.asf", "dof rx ry rz", "dof rx ry tz"),
    ],
)
def test_damaged_motion_is_counted(tmp_path, bodies, rest, file, old, new):
    poses_files.write_asf(tmp_path / "01.asf")
    path = poses_files.write_amc(tmp_path / "01_01.amc", bodies[0][:2], rest)
    assert not poses.read(task(path, tmp_path, "cmu", rest)).cause
    damaged = tmp_path / file
    damaged.write_text(replaced(damaged.read_text(), old, new))
    motion = poses.read(task(path, tmp_path, "cmu", rest))
    assert motion.cause == "the file is damaged"
    (tmp_path / "01.asf").unlink()
    motion = poses.read(task(path, tmp_path, "cmu", rest))
    assert motion.cause == "no skeleton (.asf) lies beside it"


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mocap.cs.cmu.edu"):
        poses.run(options(tmp_path, tmp_path, "cmu"))
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="gave a pose: .*damaged"):
        poses.run(options(tmp_path, tmp_path, "amass"))
