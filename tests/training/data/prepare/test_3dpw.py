"""3DPW: bodies in the camera's frame, boxes, who is left out."""

import importlib
import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.datasets import people, pw3d_files
from tf_hmr import joints
from training.data.readers import writing
from training.data.records import records_folder, schema, shards

# A name that no import statement can say.
pw3d = importlib.import_module("training.data.prepare.3dpw")
NAMES = tuple(n for n in pw3d_files.COCO18 if n != "neck")


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(number, 2, (320, 240)) for number in (41, 42)]


@pytest.fixture(scope="module")
def root(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("3dpw")
    pw3d_files.write(folder, scenes)
    return folder


def read(root, rules="hmr", name="street_00"):
    path = root / "sequenceFiles/test" / f"{name}.pkl"
    all_tasks = pw3d.tasks_of(path, root / "imageFiles", rules)
    return [person for task in all_tasks for person in pw3d.read(task)]


def test_labels_are_the_truth(root, scenes):
    examples = read(root)
    truth = [
        (scene, scene.people[one], scenes[0].people[one].betas, frame, one)
        for one in (0, 1)
        for frame, scene in enumerate(scenes)
    ]
    for example, (scene, person, betas, frame, one) in zip(
        examples, truth, strict=True
    ):
        assert example.example_id == f"street_00_{one}_{frame:05d}"
        rows = list(joints.select(NAMES, joints.KEYPOINTS))
        points = example.keypoints[rows]
        np.testing.assert_allclose(
            points[:, :2], person.points(NAMES), atol=0.01
        )
        assert example.keypoints[:, 2].sum() == points[:, 2].sum() == 17
        pose = example.pose.reshape(24, 3)
        np.testing.assert_allclose(pose[1:], person.pose[1:], atol=1e-6)
        turn = Rotation.from_rotvec(pose[0])
        difference = turn.inv() * Rotation.from_rotvec(person.pose[0])
        assert difference.magnitude() < 1e-5
        np.testing.assert_allclose(example.betas, betas, atol=1e-6)
        np.testing.assert_allclose(
            example.translation, person.translation, atol=1e-5
        )
        assert example.gender == person.gender
        assert example.topology == "smpl" and example.joints3d is None
        np.testing.assert_allclose(
            example.intrinsics, scene.intrinsics, rtol=1e-6
        )
        path = root / f"imageFiles/street_00/image_{frame:05d}.jpg"
        assert example.image == path.read_bytes()


def test_boxes_are_those_of_the_rules(root, scenes):
    points = scenes[0].people[0].points(NAMES)
    low, high = points.min(axis=0), points.max(axis=0)
    (hmr, *_), (spin, *_) = read(root), read(root, "spin")
    diagonal = np.linalg.norm(high - low)
    np.testing.assert_allclose(hmr.box[2:], diagonal, atol=0.01)
    middle = hmr.box[:2] + hmr.box[2:] / 2 - 0.5
    np.testing.assert_allclose(middle, (low + high) / 2, atol=0.01)
    expected = [*(low + 0.5), *(high - low)]
    np.testing.assert_allclose(spin.box, expected, atol=0.01)


def test_who_is_left_out(tmp_path, scenes):
    def change(content):
        content["campose_valid"][0][0] = 0
        content["poses2d"][0][1] = 0
        content["poses2d"][1][0, 2, 3:] = 0
        content["poses"][1][1, 5] = np.nan

    pw3d_files.write(tmp_path, scenes, change=change)
    unknown, unseen, partly, broken = read(tmp_path)
    assert unknown.cause == "the camera's place is not known"
    assert unseen.cause == "no keypoints"
    assert partly.keypoints[:, 2].sum() == 2  # nose and right shoulder
    assert broken.cause == "pose or camera is not finite"


def options(root, out, **changes):
    values = {"root": root, "out": out, "workers": 1, "split": "test"}
    return pw3d.Options(**(values | changes))


def test_a_dataset_becomes_records(tmp_path, root):
    """In another process, which finds the reader by its name, too."""
    out = tmp_path / "out"
    pw3d.run(options(root, out))
    split = records_folder.read_report(out)["splits"]["test"]
    assert split["count"] == split["labels"]["pose"] == 4
    last = schema.decode(shards.Records(out, "test").read(3))
    assert last.example_id == "street_00_1_00001"
    assert records_folder.read_report(out)["topology"] == "smpl"


def test_damaged_sequences_are_named(tmp_path, scenes):
    faults = {
        "absent": lambda content: content.pop("cam_poses"),
        "shape": lambda content: content.update(
            poses2d=[np.zeros((2, 3, 17))] * 2
        ),
        "gender": lambda content: content.update(genders=["x", "m"]),
        "betas": lambda content: content.update(betas=[np.zeros(3)] * 2),
        "short": lambda content: content["trans"].pop(),
    }
    for name, change in faults.items():
        pw3d_files.write(tmp_path, scenes, name=name, change=change)
        with pytest.raises(ValueError, match=f"{name}.pkl is no sequence of"):
            read(tmp_path, name=name)
    path = pw3d_files.write(tmp_path, scenes)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="could not be read as a pickle"):
        read(tmp_path)


class Danger:
    def __reduce__(self):
        return print, ("run",)


def test_a_pickle_that_runs_code_is_refused(tmp_path, scenes, capsys):
    path = pw3d_files.write(tmp_path, scenes)
    path.write_bytes(pickle.dumps({"poses": Danger()}))
    with pytest.raises(ValueError, match="nothing of the file was run"):
        read(tmp_path)
    assert "run" not in capsys.readouterr().out


def test_what_is_missing_is_named(tmp_path, scenes):
    with pytest.raises(FileNotFoundError, match=r"sequenceFiles.zip"):
        pw3d.run(options(tmp_path, tmp_path))
    (tmp_path / "sequenceFiles/test").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"imageFiles.zip"):
        pw3d.run(options(tmp_path, tmp_path))
    pw3d_files.write(tmp_path, scenes)
    (tmp_path / "imageFiles/street_00/image_00001.jpg").unlink()
    skipped = [
        person for person in read(tmp_path) if type(person) is writing.Skipped
    ]
    assert [person.cause for person in skipped] == (
        ["the picture's file is missing"] * 2
    )
