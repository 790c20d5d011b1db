"""A user's own photos: COCO's format with names, OpenPose's json, turns."""

import json
import re

import cv2
import numpy as np
import pytest

from tests.support import photos
from tests.support.datasets import coco_files, openpose_photos, people
from tf_hmr import joints
from tf_hmr.formats import openpose_files
from training.data.pipeline import pixels
from training.data.prepare import coco_like
from training.data.readers import writing
from training.data.records import schema, shards

NAMES = ("tail", "left_heel", *reversed(joints.LSP14))


# As CMU-Perceptual-Computing-Lab/openpose: doc/02_output.md spells them.
SPELLED25 = (
    "Nose,Neck,RShoulder,RElbow,RWrist,LShoulder,LElbow,LWrist,MidHip,RHip,"
    "RKnee,RAnkle,LHip,LKnee,LAnkle,REye,LEye,REar,LEar,LBigToe,LSmallToe,"
    "LHeel,RBigToe,RSmallToe,RHeel"
).split(",")


def test_joints_have_the_order_of_openpose():
    def plain(name):
        words = re.findall("[A-Z][a-z]*", name)
        sides = {"R": "right", "L": "left"}
        return "_".join(sides.get(word, word.lower()) for word in words)

    middles = {"neck": "between_shoulders", "mid_hip": "between_hips"}
    names = tuple(middles.get(n, n) for n in map(plain, SPELLED25))
    assert names == openpose_files.BODY25
    # The older model has neither the middle of the hips nor feet.
    older = (name for name in names[:19] if name != "between_hips")
    assert tuple(older) == openpose_files.COCO18


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, 2, (320, 240)) for n in (20, 21)]


def write_coco(root, scenes, names=NAMES):
    """annotations.json with joints of its own, the tail of nobody."""
    content = {"images": [], "annotations": []}
    for number, scene in enumerate(scenes):
        file = f"photo{number}.jpg"
        people.write_image(root / "images" / file, scene.image)
        height, width = scene.image.shape[:2]
        content["images"].append(
            {"id": number, "file_name": file, "width": width, "height": height}
        )
        for index, person in enumerate(scene.people):
            rows = [(*person.keypoints.get(n, (9, 9)), 2) for n in names]
            annotation = coco_files.annotation(
                person, number, 10 * number + index
            )
            annotation["keypoints"] = np.array(rows).ravel().tolist()
            content["annotations"].append(annotation)
    content["categories"] = [{"id": 1, "name": "person", "keypoints": names}]
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def read_all(root, monkeypatch, **changes):
    people_read = []

    def write(name, options, tasks, read):
        people_read.extend(person for task in tasks for person in read(task))

    monkeypatch.setattr(writing, "write", write)
    coco_like.run(coco_like.Options(root, root / "out", **changes))
    return people_read


def people_of(scenes):
    return [person for scene in scenes for person in scene.people]


def check(example, person, names):
    for name, (x, y, flag) in zip(
        joints.KEYPOINTS, example.keypoints, strict=True
    ):
        assert flag == (name in names), name
        if flag:
            assert np.abs(person.keypoints[name] - (x, y)).max() < 0.01


def test_joints_of_coco_are_known_by_their_names(scenes, tmp_path, monkeypatch):
    examples = read_all(write_coco(tmp_path, scenes), monkeypatch)
    for example, person in zip(examples, people_of(scenes), strict=True):
        check(example, person, NAMES)
        np.testing.assert_allclose(example.box, person.box)
        assert example.dataset == "coco-like"


@pytest.mark.parametrize(
    "names", [openpose_files.BODY25, openpose_files.COCO18]
)
def test_openpose_needs_no_annotations(scenes, tmp_path, monkeypatch, names):
    examples = read_all(
        openpose_photos.write_openpose(tmp_path, scenes, names), monkeypatch
    )
    sure = [name for name in names if "elbow" not in name]
    assert examples[1].example_id == "photo0-2"
    for example, person in zip(examples, people_of(scenes), strict=True):
        check(example, person, sure)
        x, y, w, h = example.box
        points = person.points([n for n in sure if n in joints.KEYPOINTS])
        span = np.ptp(points, axis=0).max()
        assert max(w, h) > span, "room around the joints"


@pytest.mark.parametrize("orientation", [3, 6])
def test_photos_are_turned_upright(scenes, tmp_path, monkeypatch, orientation):
    root = write_coco(tmp_path, scenes[:1])
    turn = {3: 2, 6: 1}[orientation]  # what the camera did to the picture
    stored = np.ascontiguousarray(np.rot90(scenes[0].image, turn))
    path = root / "images" / "photo0.jpg"
    path.write_bytes(photos.jpeg_with_orientation(stored, orientation))
    examples = read_all(root, monkeypatch)
    assert len(examples) == 2
    for example, person in zip(examples, scenes[0].people, strict=True):
        check(example, person, NAMES)
        image = pixels.decode_jpeg(
            example.image, (example.width, example.height)
        )
        difference = image.astype(int) - scenes[0].image
        assert np.abs(difference).mean() < 4


def test_some_photos_are_held_out(scenes, tmp_path, monkeypatch):
    root = openpose_photos.write_openpose(tmp_path, scenes * 8)
    parts = [
        {person.example_id for person in read_all(root, monkeypatch, **options)}
        for options in (
            {"held_out": 0.4},
            {"held_out": 0.4, "split": "val"},
            {},
        )
    ]
    assert parts[0] | parts[1] == parts[2]
    assert not parts[0] & parts[1]
    assert 4 <= len(parts[1]) <= 24


def test_who_is_left_out_and_why(scenes, tmp_path, monkeypatch):
    root = openpose_photos.write_openpose(tmp_path, scenes[:1])
    read_people = read_all(root, monkeypatch, least=40)
    assert {person.cause for person in read_people} == {
        "fewer than 40 labelled keypoints"
    }
    path = root / "images" / "photo0_keypoints.json"
    content = json.loads(path.read_text())
    content["people"][0]["pose_keypoints_2d"] = [5.0, 5.0, 1.0] * 25
    path.write_text(json.dumps(content))
    read_people = read_all(root, monkeypatch)
    assert read_people[0].cause == "all keypoints in one place"
    assert isinstance(read_people[1], schema.Example)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "photo0_keypoints.json is not OpenPose's"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "is not OpenPose's"),
        ('{"people": [{}]}', "is not OpenPose's"),
        ('{"people": 7}', "is not OpenPose's"),
    ],
)
def test_damaged_files_are_named(scenes, tmp_path, monkeypatch, text, message):
    root = openpose_photos.write_openpose(tmp_path, scenes[:1])
    (root / "images" / "photo0_keypoints.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_all(root, monkeypatch)


def test_what_is_missing_is_explained(scenes, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"images does not.*--help"):
        read_all(tmp_path, monkeypatch)
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match=r"nobody is labelled"):
        read_all(tmp_path, monkeypatch)
    write_coco(tmp_path, scenes[:1], ("paw", "tail"))
    with pytest.raises(ValueError, match=r"'paw', 'tail'.*none is known"):
        read_all(tmp_path, monkeypatch)


def test_records_and_sheet(scenes, tmp_path):
    root = openpose_photos.write_openpose(tmp_path / "photos", scenes)
    out = tmp_path / "out"
    coco_like.run(coco_like.Options(root, out, workers=1))
    assert len(shards.Records(out, "train")) == 4
    assert cv2.imread(str(out / "train.png")).std() > 20


def changed(root, change):
    """Rewrites annotations.json."""
    path = root / "annotations.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("number", [0, 2, "1"])
def test_people_are_of_any_category(scenes, tmp_path, monkeypatch, number):
    def change(content):
        content["categories"][0]["id"] = number
        box = {"id": 9, "name": "box", "keypoints": []}
        content["categories"].insert(0, box)
        for annotation in content["annotations"]:
            annotation["category_id"] = number
        ball = {"id": 99, "image_id": 0, "category_id": 9, "bbox": [1, 2, 3, 4]}
        content["annotations"].append(ball)

    root = changed(write_coco(tmp_path, scenes), change)
    examples = read_all(root, monkeypatch)
    for example, person in zip(examples, people_of(scenes), strict=True):
        check(example, person, NAMES)


def test_each_category_has_its_order(scenes, tmp_path, monkeypatch):
    def change(content):
        (man,) = content["categories"]
        man["name"] = "man"
        woman = {"id": 2, "name": "woman", "keypoints": man["keypoints"][::-1]}
        content["categories"].insert(0, woman)
        for annotation in content["annotations"][::2]:
            annotation["category_id"] = 2
            rows = np.reshape(annotation["keypoints"], (-1, 3))[::-1]
            annotation["keypoints"] = rows.ravel().tolist()

    root = changed(write_coco(tmp_path, scenes), change)
    examples = read_all(root, monkeypatch)
    for example, person in zip(examples, people_of(scenes), strict=True):
        check(example, person, NAMES)


def test_an_odd_person_of_openpose_leaves_the_others(
    scenes, tmp_path, monkeypatch, caplog
):
    root = openpose_photos.write_openpose(tmp_path, scenes)
    path = root / "images" / "photo0_keypoints.json"
    content = json.loads(path.read_text())
    content["people"][0]["pose_keypoints_2d"] = []
    content["people"].append(None)
    path.write_text(json.dumps(content))
    (root / "images" / "photo1_keypoints.json").write_text("{")
    read_people = read_all(root, monkeypatch)
    assert [
        (person.example_id, getattr(person, "cause", ""))
        for person in read_people
    ] == [
        ("photo0-1", "it has no keypoints of the body"),
        ("photo0-2", ""),
        ("photo0-3", "it is not an object"),
        ("photo1-1", "the file is not OpenPose's json"),
    ]
    assert "person 0 of photo0_keypoints.json" in caplog.text


@pytest.mark.parametrize("keypoint_scale", [3, 4])
def test_shares_of_openpose_become_pixels(
    scenes, tmp_path, monkeypatch, keypoint_scale
):
    root = openpose_photos.write_openpose(tmp_path, scenes)
    for path in (root / "images").glob("*.json"):
        content = json.loads(path.read_text())
        for person in content["people"]:
            rows = np.reshape(person["pose_keypoints_2d"], (-1, 3))
            rows[:, :2] /= (319, 239)
            if keypoint_scale == 4:
                rows[:, :2] = 2 * rows[:, :2] - 1
            person["pose_keypoints_2d"] = rows.ravel().tolist()
        path.write_text(json.dumps(content))
    names = [n for n in openpose_files.BODY25 if "elbow" not in n]
    examples = read_all(root, monkeypatch)
    for example, person in zip(examples, people_of(scenes), strict=True):
        check(example, person, names)
    (root / "images" / "photo0.jpg").write_bytes(b"")
    causes = [getattr(r, "cause", "") for r in read_all(root, monkeypatch)]
    assert causes == ["picture does not decode"] * 2 + [""] * 2
