"""UP-3D: fits and cameras in the photo's pixels, flags, damaged files."""

import os
import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.datasets import people, up3d_files
from tf_hmr import joints
from training import doctor
from training.data.prepare import up3d
from training.data.readers import writing
from training.data.records import records_folder, schema, shards

LSP_ROWS = list(joints.select(joints.LSP14, joints.KEYPOINTS))


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, size=(200, 160)) for n in (50, 51)]


def read_all(root, names=("00000", "00001")):
    return list(up3d.read(up3d.Task(root, list(names))))


@pytest.mark.parametrize("is_rotated", [False, True])
def test_labels_are_the_truth(scenes, tmp_path, is_rotated):
    up3d_files.write(tmp_path, scenes, is_rotated)
    for example, scene in zip(read_all(tmp_path), scenes, strict=True):
        (person,) = scene.people
        for name, (x, y, flag) in zip(
            joints.KEYPOINTS, example.keypoints, strict=True
        ):
            expected = name in joints.LSP14 and name != up3d_files.HIDDEN
            assert flag == expected, name
            if flag:
                assert np.abs(person.keypoints[name] - (x, y)).max() < 0.01
        np.testing.assert_array_equal(example.box, person.box)
        pose = example.pose.reshape(24, 3)
        np.testing.assert_allclose(pose[1:], person.pose[1:], atol=1e-6)
        wrong = Rotation.from_rotvec(pose[0]).inv() * Rotation.from_rotvec(
            person.pose[0]
        )
        assert wrong.magnitude() < 1e-6
        np.testing.assert_allclose(example.betas, person.betas, atol=1e-6)
        assert example.topology == "smpl"
        if not is_rotated:
            np.testing.assert_allclose(
                example.translation, person.translation, rtol=1e-6
            )


def test_the_camera_of_the_fit_becomes_that_of_the_photo(scenes, tmp_path):
    up3d_files.write(tmp_path, scenes)
    height, width, top, bottom, left, right = up3d_files.FITTED
    focal = pickle.loads((tmp_path / "00000_body.pkl").read_bytes())["f"]
    point = np.array([0.3, -0.4, 2.5])
    fitted = focal * point[:2] / point[2] + np.array([width, height]) / 2
    # From pixels of the fitted picture to those of the photo, edge to edge.
    share = (fitted + 0.5) / (width, height)
    photo = share * (right - left, bottom - top) + (left, top) - 0.5
    camera = read_all(tmp_path)[0].intrinsics
    projected = camera[:2] * point[:2] / point[2] + camera[2:]
    np.testing.assert_allclose(projected, photo, atol=0.001)


def test_two_rows_of_joints_have_no_flags(scenes, tmp_path):
    up3d_files.write(tmp_path, scenes)
    path = tmp_path / "00000_joints.npy"
    points = np.load(path)[:2]
    points[:, 3] = 0
    np.save(path, points)
    example = read_all(tmp_path)[0]
    assert example.keypoints[:, 2].sum() == 13
    assert example.keypoints[LSP_ROWS[3], 2] == 0


def test_the_box_is_of_the_joints_where_no_body_is_rendered(scenes, tmp_path):
    up3d_files.write(tmp_path, scenes)
    (tmp_path / "00000_render_light.png").unlink()
    example = read_all(tmp_path)[0]
    points = scenes[0].people[0].points(joints.LSP14)
    np.testing.assert_allclose(
        example.box[:2] - 0.5, points.min(axis=0), atol=0.01
    )


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("joints.npy", None, "there is no ..._joints.npy"),
        ("joints.npy", b"\x93NUMPY", "the joints cannot be read"),
        ("body.pkl", None, "there is no ..._body.pkl"),
        ("body.pkl", b"\x80\x02}q", "the body cannot be read"),
        ("body.pkl", pickle.dumps({}), "the body cannot be read"),
        ("body.pkl", pickle.dumps(Harmful()), "the body cannot be read"),
        (
            "fit_crop_info.txt",
            b"1 2 3",
            "the fit's place in the photo cannot be read",
        ),
        (
            "fit_crop_info.txt",
            b"9 9 5 5 0 9",
            "the fit's place in the photo cannot be read",
        ),
        (
            "body.pkl",
            pickle.dumps({"pose": [0.0] * 72, "rt": [0.0] * 3, "betas": [1]}),
            "the body cannot be read",
        ),
        ("image.png", b"", "picture does not decode"),
    ],
)
def test_who_is_left_out_and_why(
    scenes, tmp_path, monkeypatch, name, content, cause
):
    monkeypatch.chdir(tmp_path)
    up3d_files.write(tmp_path, scenes)
    path = tmp_path / f"00000_{name}"
    path.unlink() if content is None else path.write_bytes(content)
    skipped, example = read_all(tmp_path)
    assert skipped == writing.Skipped("00000", cause)
    assert isinstance(example, schema.Example)
    assert not (tmp_path / "harmed").exists()


def test_lists_are_read(scenes, tmp_path, monkeypatch):
    all_tasks = []
    monkeypatch.setattr(
        writing,
        "write",
        lambda name, options, tasks, read: all_tasks.extend(tasks),
    )
    options = up3d.Options(tmp_path, tmp_path / "out", split="val")
    with pytest.raises(FileNotFoundError, match=r"val.txt .*up-3d.zip"):
        up3d.run(options)
    up3d_files.write(tmp_path, scenes)
    up3d.run(options)
    assert all_tasks == [up3d.Task(tmp_path, ["00000"])]
    (tmp_path / "val.txt").write_text("/../../secret_image.png\n")
    with pytest.raises(ValueError, match=r"val.txt does not list"):
        up3d.run(options)


def test_records_and_sheet(scenes, tmp_path):
    root = up3d_files.write(tmp_path / "up-3d", scenes)
    out = tmp_path / "out"
    up3d.run(up3d.Options(root, out, workers=1))
    assert doctor.main([str(out), "--limit", "0"]) == 0
    assert len(shards.Records(out, "train")) == 2
    assert records_folder.read_report(out)["topology"] == "smpl"
