"""Human3.6M: films, positions, rectangles, cameras, fitted bodies."""

import json
import shutil

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.datasets import h36m_files, people
from tf_hmr import joints
from training.data.prepare import h36m
from training.data.readers import h36m_cameras, h36m_smpl, writing
from training.data.records import records_folder, schema, shards

CAMERA = "54138969"


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(number) for number in (21, 22, 23)]


@pytest.fixture(scope="module")
def root(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("h36m")
    h36m_files.write(folder, scenes)
    return folder


def task(root, count=3, fit=None, **changes):
    numbers = range(0, 5 * count, 5)
    whole_task = h36m.Task(
        root, "S1", "Directions 1", CAMERA, numbers, "hmr", fit
    )
    return whole_task._replace(**changes)


def picked(labels, names):
    return labels[list(joints.select(names, joints.KEYPOINTS))]


def test_labels_are_the_truth(root, scenes):
    examples = list(h36m.read(task(root)))
    names = tuple(h36m_files.H36M32_INDICES)
    for number, (example, scene) in enumerate(
        zip(examples, scenes, strict=True)
    ):
        (person,) = scene.people
        points = picked(example.keypoints, names)
        np.testing.assert_allclose(
            points[:, :2], person.points(names), atol=0.01
        )
        joints3d = picked(example.joints3d, names)
        np.testing.assert_allclose(
            joints3d[:, :3], person.points3d(names), atol=1e-5
        )
        for labels in (example.keypoints, example.joints3d):
            assert labels[:, -1].sum() == len(names)
        assert example.pose is None and example.betas is None
        stem = f"S1_Directions_1.{CAMERA}_{5 * number + 1:06d}"
        assert example.example_id == stem
        np.testing.assert_allclose(
            example.intrinsics, scene.intrinsics, rtol=1e-6
        )


def test_each_frame_of_the_film_meets_its_labels(root, scenes):
    """Pictures of neighbouring scenes differ by far more than a codec."""
    for example, scene in zip(h36m.read(task(root)), scenes, strict=True):
        image = cv2.imdecode(np.frombuffer(example.image, np.uint8), 1)
        assert image.shape == scene.image.shape
        difference = np.abs(image[..., ::-1].astype(int) - scene.image)
        assert difference.mean() < 8


@pytest.mark.parametrize("layout", ["spin", "mmhuman3d"])
def test_extracted_pictures_are_stored_as_they_are(tmp_path, scenes, layout):
    h36m_files.write(tmp_path, scenes[:2], pictures=layout)
    first, second = h36m.read(task(tmp_path, 2))
    files = sorted(tmp_path.rglob("*.jpg"))
    assert [first.image, second.image] == [f.read_bytes() for f in files]


def test_box_is_the_rectangle_that_spin_crops(root, scenes):
    examples = h36m.read(task(root, rules="spin"))
    for example, scene in zip(examples, scenes, strict=True):
        x, y, w, h = scene.people[0].box
        margin = h36m_files.MARGIN
        bounds = np.array([x, y, x + w, y + h]) + margin * np.array(
            [-1, -1, 1, 1]
        )
        size = scene.image.shape[1::-1] * 2
        bounds = np.clip(bounds, 0, size)
        side = 0.9 / 1.2 * max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        middle = (bounds[:2] + bounds[2:]) / 2
        expected = [*(middle - side / 2), side, side]
        np.testing.assert_allclose(example.box, expected, atol=1e-4)


def test_box_of_hmr_makes_the_keypoints_150_px(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:1])
    for path in tmp_path.rglob("*.mat"):
        path.unlink()
    (example,) = h36m.read(task(tmp_path, 1))
    points = scenes[0].people[0].points(joints.LSP14)
    diagonal = np.linalg.norm(np.ptp(points, axis=0))
    np.testing.assert_allclose(example.box[2:], diagonal, atol=0.01)


def test_published_cameras_win(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:1])
    matrix = [[1145.0, 0, 512.5], [0, 1143.7, 515.4], [0, 0, 1]]
    content = {"intrinsics": {CAMERA: {"calibration_matrix": matrix}}}
    path = tmp_path / h36m_cameras.FILE
    path.write_text(json.dumps(content))
    (example,) = h36m.read(task(tmp_path, 1))
    expected = [1145.0, 1143.7, 512.5, 515.4]
    np.testing.assert_allclose(example.intrinsics, expected, rtol=1e-6)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"camera-parameters.json is damaged"):
        list(h36m.read(task(tmp_path, 1)))


def check_bodies(examples, scenes):
    for example, scene in zip(examples, scenes, strict=True):
        pose = example.pose.reshape(24, 3)
        truth = scene.people[0].pose
        np.testing.assert_allclose(pose[1:], truth[1:], atol=1e-6)
        global_rotation = Rotation.from_rotvec(pose[0])
        difference = global_rotation.inv() * Rotation.from_rotvec(truth[0])
        assert difference.magnitude() < 1e-5
        assert example.topology == "smpl" and example.gender == "neutral"


def test_bodies_of_mosh(tmp_path, root, scenes):
    sequence = ("S1", "Directions 1", CAMERA)
    h36m_files.write_mosh(tmp_path, scenes[:2], *sequence)
    fit = h36m_smpl.mosh(tmp_path, *sequence, range(0, 15, 5))
    examples = list(h36m.read(task(root, fit=fit)))
    check_bodies(examples[:2], scenes[:2])
    betas = scenes[0].people[0].betas
    np.testing.assert_allclose(examples[1].betas, betas, atol=1e-6)
    assert examples[2].pose is None  # shorter than the film
    other_sequence = ("S1", "Directions", CAMERA)
    assert h36m_smpl.mosh(tmp_path, *other_sequence, range(5)) is None


def test_bodies_of_neural_annot(tmp_path, root, scenes):
    h36m_files.write_neural_annot(tmp_path, tmp_path, scenes[:2], CAMERA)
    fitted = h36m_smpl.NeuralAnnot(tmp_path, tmp_path / "metadata.xml", "S1")
    fit = fitted("Directions 1", CAMERA, range(0, 15, 5))
    examples = list(h36m.read(task(root, fit=fit)))
    check_bodies(examples[:2], scenes[:2])
    for example, scene in zip(examples[:2], scenes[:2], strict=True):
        betas = scene.people[0].betas
        np.testing.assert_allclose(example.betas, betas, atol=1e-6)
    assert examples[2].pose is None
    assert not fitted("Directions", CAMERA, range(0, 15, 5)).available.any()


def options(root, out, **changes):
    values = {"root": root, "out": out, "workers": 1}
    return h36m.Options(**(values | changes))


def test_tasks_carry_the_bodies_of_neural_annot(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:2], pictures="spin")
    h36m_files.write_neural_annot(tmp_path, tmp_path, scenes, CAMERA)
    read_options = options(tmp_path, tmp_path, neural_annot=tmp_path)
    (read_task,) = h36m._tasks_of(read_options, "S1")
    check_bodies(h36m.read(read_task), scenes[:2])


def add(root, scenes, subjects):
    for subject in subjects:
        folder = root / subject / "MyPoseFeatures/D3_Positions_mono"
        folder.mkdir(parents=True, exist_ok=True)
        h36m_files.write_cdf(
            folder / f"_ALL.{CAMERA}.cdf", np.zeros((5, 32, 3))
        )


def test_a_dataset_becomes_records(tmp_path, scenes):
    raw = tmp_path / "raw"
    add(raw, scenes, ("S1", "S5", "S6", "S7", "S8"))
    h36m_files.write(raw, scenes[:2], pictures="spin")
    h36m_files.write(raw, scenes[2:], "S8", "Eating", "60457274")
    mosh = tmp_path / "mosh"
    h36m_files.write_mosh(mosh, scenes[:2], "S1", "Directions 1", CAMERA)
    out = tmp_path / "out"
    h36m.run(options(raw, out, mosh=mosh))
    split = records_folder.read_report(out)["splits"]["train"]
    assert split["count"] == 3 and split["labels"]["joints3d"] == 3
    assert split["labels"]["pose"] == 2
    last = schema.decode(shards.Records(out, "train").read(2))
    assert last.example_id == "S8_Eating.60457274_000001"
    assert (out / "train.png").exists()


def test_splits_are_those_of_the_papers(tmp_path, monkeypatch):
    for subject in ("S9", "S11"):
        folder = tmp_path / subject / "MyPoseFeatures/D3_Positions_mono"
        folder.mkdir(parents=True)
        folder.with_name("D2_Positions").mkdir()
        (tmp_path / subject / "Videos").mkdir()
        names = ["Directions 1", "Directions", "SittingDown", "SittingDown 1"]
        names += ["Phoning 3", "Phoning 2", "Phoning 1", "Phoning"]
        for name in names:
            for camera in h36m_smpl.CAMERAS:
                (folder / f"{name}.{camera}.cdf").touch()
    monkeypatch.setattr(h36m.cdf_files, "count", lambda path: 7)
    tasks_of_split = {}
    monkeypatch.setattr(
        h36m.writing,
        "write",
        lambda name, read_options, tasks, read: tasks_of_split.update(
            {read_options.split: tasks}
        ),
    )
    for split in ("p1", "p2_spin", "p2_hmr"):
        h36m.run(options(tmp_path, tmp_path, split=split))
    assert len(tasks_of_split["p1"]) == 2 * 8 * 4
    assert len(tasks_of_split["p2_spin"]) == 2 * 8
    assert all(list(t.numbers) == [0, 5] for t in tasks_of_split["p1"])
    sequences = {(t.subject, t.name) for t in tasks_of_split["p2_hmr"]}
    expected = {("S9", "Phoning 1"), ("S11", "Phoning 3")}
    for subject in ("S9", "S11"):
        expected |= {(subject, "Directions 1"), (subject, "SittingDown")}
    assert sequences == expected
    assert {t.camera for t in tasks_of_split["p2_hmr"]} == {"60457274"}


def test_the_corrupt_film_is_left_out_by_name(root):
    corrupt_task = task(root, 2, subject="S11", name="Directions")
    people = list(h36m.read(corrupt_task))
    assert {person.cause for person in people} == {
        f"the film S11 Directions.{CAMERA} is corrupt"
    }
    assert len(people) == 2


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def test_damaged_positions_are_named(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:1])
    folder = tmp_path / "S1/MyPoseFeatures"
    path = folder / "D2_Positions" / f"Directions 1.{CAMERA}.cdf"
    h36m_files.write_cdf(path, np.zeros((5, 31, 2)))
    with pytest.raises(ValueError, match=r"shape \(1, 5, 62\), expected"):
        list(h36m.read(task(tmp_path, 1)))
    h36m_files.write_cdf(path, np.zeros((5, 32, 2)), name="Position")
    with pytest.raises(ValueError, match="with the variable Pose"):
        list(h36m.read(task(tmp_path, 1)))
    cut(path)
    with pytest.raises(ValueError, match="could not be read as a CDF"):
        list(h36m.read(task(tmp_path, 1)))
    path.unlink()
    (skipped,) = h36m.read(task(tmp_path, 1))
    assert skipped.cause == (
        f"there are no D2_Positions of S1 Directions 1.{CAMERA}"
    )


def test_positions_that_are_no_numbers_cost_their_frame(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:2], pictures="spin")
    points = np.stack([h36m_files.points(s, 3) for s in scenes[:2]])
    points = np.repeat(points, 5, axis=0)
    points[0, 13] = np.nan
    folder = tmp_path / "S1/MyPoseFeatures/D3_Positions_mono"
    h36m_files.write_cdf(folder / f"Directions 1.{CAMERA}.cdf", points)
    first, second = map(writing.checked, h36m.read(task(tmp_path, 2)))
    assert "joints3d is not finite" in first.cause
    assert isinstance(second, schema.Example)


def test_damaged_rectangles_and_films(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:1])
    (film,) = tmp_path.rglob("*.mp4")
    cut(film)
    (skipped,) = h36m.read(task(tmp_path, 1))
    assert skipped.cause == "the video lacks the frame"
    film.unlink()
    (skipped,) = h36m.read(task(tmp_path, 1))
    assert skipped.cause == (
        f"there is neither a video nor images of S1 Directions 1.{CAMERA}"
    )
    h36m_files.write(tmp_path, scenes[:1])
    (path,) = tmp_path.rglob("*.mat")
    boxed_task = task(tmp_path, 2, rules="spin")
    assert list(h36m.read(boxed_task))[1].cause == "no keypoints of the frame"
    cut(path)
    with pytest.raises(ValueError, match=r"Matlab 7.3 file with cells 'Masks'"):
        list(h36m.read(boxed_task))
    h36m_files.write_masks(path, [np.zeros((160, 200), np.uint8)] * 5)
    (skipped, _) = h36m.read(boxed_task)
    assert skipped.cause == "the box is empty or not finite"
    path.unlink()
    assert {person.cause for person in h36m.read(boxed_task)} == {
        f"there are no rectangles of S1 Directions 1.{CAMERA}"
    }


@pytest.mark.parametrize("pictures", ["video", "spin"])
def test_one_missing_video_does_not_stop_the_reader(tmp_path, scenes, pictures):
    raw = tmp_path / "raw"
    add(raw, scenes, ("S1", "S5", "S6", "S7", "S8"))
    kind = {} if pictures == "video" else {"pictures": pictures}
    h36m_files.write(raw, scenes[:2], **kind)
    h36m_files.write(raw, scenes[2:], "S1", "Eating", "60457274", **kind)
    ending = "mp4" if pictures == "video" else "jpg"
    for path in raw.rglob(f"*Directions*.{ending}"):
        path.unlink()
    out = tmp_path / "out"
    h36m.run(options(raw, out))
    split = records_folder.read_report(out)["splits"]["train"]
    assert split["count"] == 1
    assert split["skipped"] == {
        f"there is neither a video nor images of S1 Directions 1.{CAMERA}": 2
    }


def test_files_that_are_no_sequence_are_passed_over_or_named(tmp_path, scenes):
    h36m_files.write(tmp_path, scenes[:1])
    folder = tmp_path / "S1/MyPoseFeatures/D3_Positions_mono"
    (path,) = folder.iterdir()
    for name in (f"_ALL 1.{CAMERA}", f"_ALL.{CAMERA}", f"._{path.stem}"):
        (folder / f"{name}.cdf").write_bytes(path.read_bytes())
    (whole_task,) = h36m._tasks_of(options(tmp_path, tmp_path), "S1")
    assert whole_task.name == "Directions 1"
    (folder / "Directions.cdf").write_bytes(path.read_bytes())
    _, odd = h36m._tasks_of(options(tmp_path, tmp_path), "S1")
    (skipped,) = h36m.read(odd)
    assert skipped.cause == "S1 Directions.cdf is not named ACTION.CAMERA.cdf"


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("S1/Videos", "videos of S1, which are not extracted either"),
        ("S1/MyPoseFeatures/D2_Positions", "positions in pixels of S1"),
        ("S1/MySegmentsMat", "rectangles of S1, for the boxes of --rules spin"),
    ],
)
def test_a_kind_of_files_that_is_missing_as_a_whole_is_refused(
    tmp_path, scenes, folder, words
):
    h36m_files.write(tmp_path, scenes[:1])
    shutil.rmtree(tmp_path / folder)
    with pytest.raises(FileNotFoundError, match=f"{words}. Request it from"):
        list(h36m._tasks_of(options(tmp_path, "out", rules="spin"), "S1"))


def test_damaged_bodies_are_named(tmp_path, scenes):
    sequence = ("S1", "Directions 1", CAMERA)
    path = h36m_files.write_mosh(tmp_path, scenes, *sequence)
    h36m_files.smpl_files.write_pickle(path, {"new_poses": np.zeros((3, 69))})
    with pytest.raises(ValueError, match=r"new_poses \(3, 69\)"):
        h36m_smpl.mosh(tmp_path, *sequence, range(5))
    h36m_files.write_neural_annot(tmp_path, tmp_path, scenes, CAMERA)
    metadata = tmp_path / "metadata.xml"
    fits = tmp_path / "Human36M_subject1_SMPL_NeuralAnnot.json"
    fits.write_text('{"2": {"1": {"0": {"pose": [1, 2]}}}}')
    fitted = h36m_smpl.NeuralAnnot(tmp_path, metadata, "S1")
    with pytest.raises(ValueError, match="unexpected form"):
        fitted("Directions 1", CAMERA, range(0, 5, 5))
    fits.write_text('{"2":')
    with pytest.raises(ValueError, match="is damaged"):
        h36m_smpl.NeuralAnnot(tmp_path, metadata, "S1")
    h36m_files.write_neural_annot(tmp_path, tmp_path, scenes, CAMERA)
    metadata.write_text("<a/>")
    with pytest.raises(ValueError, match="table `mapping`"):
        h36m_smpl.NeuralAnnot(tmp_path, metadata, "S1")
    metadata.unlink()
    with pytest.raises(FileNotFoundError, match=r"metadata.xml does not exist"):
        h36m_smpl.NeuralAnnot(tmp_path, metadata, "S1")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="D3_Positions_mono"):
        h36m.run(options(tmp_path, tmp_path))
    both_sources = {"mosh": tmp_path, "neural_annot": tmp_path}
    with pytest.raises(ValueError, match="not both"):
        h36m.run(options(tmp_path, tmp_path, **both_sources))
