"""Records of one's own photos and videos, by fits."""

import contextlib
import dataclasses
import json
from concurrent import futures

import cv2
import numpy as np
import pytest

from tests.support import rendered_groups, walkers
from tests.support.closeness import assert_close
from tf_hmr import joints, recovery, sightings
from tf_hmr.detection import merging
from tf_hmr.geometry import camera
from training.data.prepare import people
from training.data.readers import fitted_people, writing
from training.data.records import records_folder, schema, shards


class Inline(futures.Executor):
    """Runs a task where it is submitted."""

    def submit(self, task, *arguments):
        future = futures.Future()
        future.set_result(task(*arguments))
        return future


@pytest.fixture(scope="module")
def lifted():
    return recovery.Recoverer("lift")


@pytest.fixture(autouse=True)
def _single_process(monkeypatch, lifted):
    """One process, and the lifter's bodies: fits have tests of their own."""
    monkeypatch.setattr(
        writing.processes, "pool", lambda _: contextlib.nullcontext(Inline())
    )
    monkeypatch.setattr(fitted_people, "recoverer", lambda: lifted)


class Seeker:
    """Finds one person in a photo whose middle is not grey."""

    def __call__(self, image):
        height = len(image)
        if (image[height // 2, image.shape[1] // 2] == 128).all():
            return sightings.Sighting({}, [])
        x, top = image.shape[1] / 2, 0.1 * height
        answer = rendered_groups.answer(x, top, 0.8 * height)
        assert merging.size(answer) > 0
        return sightings.Sighting({0: answer}, [])


@pytest.fixture
def seeker(monkeypatch):
    monkeypatch.setattr(fitted_people, "seeker", lambda: Seeker())


def photo(path, colour, size=(240, 320)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), colour, np.uint8))


def stored(folder, split="train"):
    records = shards.Records(folder, split)
    return [schema.decode(records.read(row)) for row in range(len(records))]


def options(root, out, **changes):
    changes = {"max_error_px": 100.0} | changes
    return people.Options(root=root, out=out, **changes)


@pytest.fixture
def holiday(tmp_path):
    root = tmp_path / "holiday"
    for number in range(4):
        photo(root / f"{number}.jpg", 60)
    photo(root / "deep" / "large.png", 90, (1280, 960))
    photo(root / "empty.jpg", 128)
    (root / "broken.jpg").write_text("no photo")
    frames = [np.full((120, 160, 3), 70, np.uint8)] * 40
    walkers.write(root / "film.avi", frames, fps=16)
    return root


def test_labels_are_the_fits_and_causes_are_counted(holiday, tmp_path, seeker):
    people.run(options(holiday, tmp_path / "out"))
    examples = {e.example_id: e for e in stored(tmp_path / "out")}
    frames = [f"film.avi:{n}:0" for n in (0, 16, 32)]
    names = [*(f"{n}.jpg:0" for n in range(4)), "deep/large.png:0", *frames]
    assert sorted(examples) == sorted(names)
    report = records_folder.read_report(tmp_path / "out")["splits"]["train"]
    assert report["skipped"] == {
        "nobody was found": 1,
        "the photo cannot be read": 1,
    }
    assert (tmp_path / "out" / "train.png").exists()
    for example in examples.values():
        check_geometry(example)
    large = examples["deep/large.png:0"]
    assert max(large.width, large.height) <= 640 and large.cut is not None


def check_geometry(example):
    """Joints and camera lead to the keypoints, the box holds the body."""
    rows = example.joints3d[:, 3] > 0
    fx, _, cx, cy = example.intrinsics
    pixels = camera.project_perspective(
        example.joints3d[:, :3] + example.translation, fx, (cx, cy)
    )
    labelled = rows & (example.keypoints[:, 2] > 0)
    distances = np.linalg.norm(pixels - example.keypoints[:, :2], axis=1)
    # The lifter's body of a made-up person in 0.8 of the picture's height.
    assert distances[labelled].mean() < 0.1 * example.box[3]
    low, high = example.box[:2], example.box[:2] + example.box[2:]
    inside = (pixels[rows] > low - 1) & (pixels[rows] < high + 1)
    assert inside.all()
    keypoint_rows = list(joints.select(("nose", "left_hip"), joints.KEYPOINTS))
    landmarks = [joints.BLAZEPOSE33.index(n) for n in ("nose", "left_hip")]
    assert_close(
        "relative_float32",
        example.keypoints[keypoint_rows, :2],
        example.landmarks[landmarks, :2],
    )
    assert example.topology and example.has("pose") and example.has("betas")


def test_fits_far_from_the_landmarks_are_left_out(holiday, tmp_path, seeker):
    with pytest.raises(ValueError, match="over 0.001 px"):
        people.run(options(holiday, tmp_path / "out", max_error_px=0.001))


def test_held_out_files_are_chosen_by_name_and_the_mean_is_told(
    holiday, tmp_path, seeker, capsys
):
    people.run(options(holiday, tmp_path / "out", held_out=0.5))
    summary_line = capsys.readouterr().out.splitlines()[-1]
    assert "The mean pose of 'train' alone is" in summary_line
    # Everybody is the same person: their mean is that person.
    assert float(summary_line.split("alone is ")[1].split(" mm")[0]) < 1
    parts = {
        split: {
            e.example_id.split(":")[0] for e in stored(tmp_path / "out", split)
        }
        for split in ("train", "val")
    }
    assert parts["train"] and parts["val"]
    assert not parts["train"] & parts["val"]
    photo(holiday / "another.jpg", 60)
    people.run(options(holiday, tmp_path / "again", held_out=0.5))
    second_files = {
        e.example_id.split(":")[0] for e in stored(tmp_path / "again")
    }
    assert second_files - {"another.jpg"} == parts["train"]


def test_the_mean_pose_is_as_far_as_people_differ(holiday, tmp_path, seeker):
    """A held-out person who bows is far from those who stand."""
    people.run(options(holiday, tmp_path / "out", held_out=0.5))
    folder = tmp_path / "out"
    bowed_examples = []
    for example in stored(folder, "val"):
        points = example.joints3d.copy()
        is_arm = [n.endswith(("elbow", "wrist")) for n in joints.KEYPOINTS]
        points[is_arm, 1] -= 0.6
        bowed_examples.append(dataclasses.replace(example, joints3d=points))
    writer = records_folder.Writer(folder, "bowed")
    for example in bowed_examples:
        writer.write(example)
    writer.finish()
    text = fitted_people.summary(folder, "bowed")
    assert float(text.split("alone is ")[1].split(" mm")[0]) > 50
    assert json.loads((folder / "report.json").read_text())["topology"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"held_out": 1.0}, "expected a share"),
        ({"max_error_px": -1.0}, "expected pixels"),
        ({"held_out": 1e-9}, "leaves none for 'val'"),
    ],
)
def test_options_without_meaning_are_refused(
    holiday, tmp_path, seeker, changes, words
):
    with pytest.raises(ValueError, match=words):
        people.run(options(holiday, tmp_path / "out", **changes))


def test_a_folder_without_photos_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no photo or video"):
        people.run(options(tmp_path, tmp_path / "out"))
