"""COCO: rules of HMR and SPIN, masks of three kinds, files of two years."""

import copy

import cv2
import numpy as np
import pytest

from tests.support.datasets import coco_files, people
from tf_hmr import joints
from training.data.prepare import coco
from training.data.readers import coco as raw
from training.data.readers import frames, writing
from training.data.records import records_folder, schema, shards

FACE_AND_SHOULDERS = (*joints.FACE5, "left_shoulder", "right_shoulder")
BODY = tuple(n for n in joints.COCO17 if n not in FACE_AND_SHOULDERS)


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, 2, (320, 240)) for n in (1, 2, 4)]


@pytest.fixture(scope="module")
def root(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    coco_files.write(folder, scenes)
    return folder


def task(root, rules="hmr", changed=None):
    path = root / "annotations" / "person_keypoints_train2014.json"
    people_of_it = raw.read(path)
    if changed:
        people_of_it = [people_of_it[0]._replace(annotation=changed)]
    return coco.Task(root / "train2014", rules, people_of_it)


def first(root):
    return task(root).people[0].annotation


def truth(person):
    return np.array([person.keypoints[name] for name in joints.COCO17])


def labels(example):
    rows = joints.select(joints.COCO17, joints.KEYPOINTS)
    return example.keypoints[list(rows)]


def test_labels_are_the_truth(root, scenes):
    examples = list(coco.read(task(root)))
    people = [person for scene in scenes for person in scene.people]
    assert len(examples) == len(people)
    for example, person in zip(examples, people, strict=True):
        np.testing.assert_allclose(
            labels(example)[:, :2], truth(person), atol=0.01
        )
        assert example.keypoints[:, 2].sum() == 17
        assert not example.keypoints[joints.KEYPOINTS.index("neck")].any()
    stored = (root / "train2014/COCO_train2014_000000000001.jpg").read_bytes()
    assert examples[0].image == examples[1].image == stored
    ids = [example.example_id for example in examples]
    assert len(set(ids)) == len(ids)
    assert ids[0] == "COCO_train2014_000000000001-100"


def test_box_of_hmr_makes_the_keypoints_150_px(root, scenes):
    (example, *_), person = coco.read(task(root)), scenes[0].people[0]
    low, high = truth(person).min(axis=0), truth(person).max(axis=0)
    middle = example.box[:2] + example.box[2:] / 2 - 0.5
    np.testing.assert_allclose(middle, (low + high) / 2, atol=0.01)
    diagonal = np.linalg.norm(high - low)
    np.testing.assert_allclose(example.box[2:], diagonal, atol=0.01)


ANKLES = ("left_ankle", "right_ankle")
HIPS = ("left_hip", "right_hip")


@pytest.mark.parametrize("hidden", [ANKLES, ANKLES + HIPS])
def test_people_cut_off_are_judged_by_the_torso(root, scenes, hidden):
    person = scenes[0].people[0]
    changed = coco_files.hide(first(root), *hidden)
    (example,) = coco.read(task(root, changed=changed))
    visible_points = person.points(
        [n for n in joints.COCO17 if n not in hidden]
    )
    expected = 150 / 50 * np.linalg.norm(np.ptp(visible_points, axis=0))
    if hidden == ANKLES:
        pairs = [(hip.replace("hip", "shoulder"), hip) for hip in HIPS]
        torso = [np.subtract(*person.points(pair)) for pair in pairs]
        expected = 150 / 75 * np.linalg.norm(torso, axis=1).mean()
    np.testing.assert_allclose(example.box[2:], expected, rtol=1e-5)


def test_box_of_spin_is_cocos(root, scenes):
    example = next(iter(coco.read(task(root, "spin"))))
    np.testing.assert_allclose(example.box, scenes[0].people[0].box)


@pytest.mark.parametrize("kind", ["polygons", "packed_runs", "runs"])
def test_masks_of_each_kind_give_their_box(scenes, kind):
    for scene in scenes:
        size = scene.image.shape[1::-1]
        for person in scene.people:
            segmentation = getattr(coco_files, kind)(person.mask)
            if kind == "polygons":
                segmentation = [np.array(line) for line in segmentation]
            annotated = raw.Annotated("", size, {"segmentation": segmentation})
            box = raw.mask_box(annotated)
            # A polygon's corners are rounded to whole pixels.
            worst = 1 if kind == "polygons" else 0
            assert np.abs(box - person.box).max() <= worst


def change_of(name, annotation):
    """An annotation that a rule leaves out, or that is malformed."""
    points = list(annotation["keypoints"])
    eleven = [n for n in joints.COCO17 if n not in joints.FACE5][1:]
    all_but_five = [n for n in joints.COCO17 if n not in eleven[:5]]
    small = np.zeros((240, 320), bool)
    small[40:101, 50:80] = True
    return {
        "five": coco_files.hide(annotation, *all_but_five, value=1),
        "face": coco_files.hide(annotation, *BODY),
        "small": annotation | {"segmentation": coco_files.runs(small)},
        "none": annotation | {"keypoints": [0] * 51, "num_keypoints": 0},
        "absent": {k: v for k, v in annotation.items() if k != "keypoints"},
        "short": annotation | {"keypoints": points[:50]},
        "empty": annotation | {"keypoints": []},
        "number": annotation | {"keypoints": 5},
        "text": annotation | {"keypoints": ["x"] * 51},
        "far": annotation | {"segmentation": [np.array([0, 0, 1e12, 0, 5, 5])]},
        "flat": annotation
        | {"segmentation": {"size": [0, 0], "counts": [3, 4, 5]}},
        "unread": annotation | {"segmentation": {"counts": "abc"}},
        "nan": annotation | {"keypoints": [float("nan"), 4, 2] * 17},
        "shares": annotation
        | {"keypoints": [0.1, 0.4, 2] * 8 + [0.8, 0.9, 2] * 9},
    }[name]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("five", "fewer than 6 visible keypoints"),
        ("face", "only face and shoulders"),
        ("small", "not longer than 60 px"),
        ("none", "no keypoints"),
        ("absent", "no keypoints"),
        ("short", "the annotation is malformed"),
        ("empty", "the annotation is malformed"),
        ("number", "the annotation is malformed"),
        ("text", "the annotation is malformed"),
        ("far", "the annotation is malformed"),
        ("flat", "the annotation is malformed"),
        ("unread", "the annotation is malformed"),
        ("nan", "the annotation is malformed"),
        ("shares", "the keypoints are not in pixels"),
    ],
)
def test_who_is_left_out_and_why(root, name, cause):
    changed = change_of(name, first(root))
    (read,) = coco.read(task(root, changed=changed))
    assert writing.checked(read).cause == cause


@pytest.mark.parametrize("box", [[1, 2, 3], "text", None, [{}] * 4])
def test_a_malformed_box_is_counted(root, box):
    changed = first(root) | {"bbox": box}
    (read,) = coco.read(task(root, "spin", changed))
    assert read.cause == "the annotation is malformed"


def test_hidden_joints_count_as_labels_but_not_for_the_rule(root):
    hidden = coco_files.hide(first(root), *joints.COCO17[:11], value=1)
    (example,) = coco.read(task(root, changed=hidden))
    assert example.keypoints[:, 2].sum() == 17


def test_spin_wants_all_twelve_joints_of_the_body(root):
    body = [name for name in joints.COCO17 if name not in joints.FACE5]
    cases = [(joints.FACE5, True), *(((name,), False) for name in body)]
    for names, is_stored in cases:
        changed = coco_files.hide(first(root), *names)
        (read,) = coco.read(task(root, "spin", changed))
        assert isinstance(read, schema.Example) == is_stored


def test_crowds_and_other_things_are_not_people(tmp_path, scenes):
    def change(content):
        first = content["annotations"][0]
        for more in ({"iscrowd": 1}, {"category_id": 3}):
            content["annotations"].append(copy.deepcopy(first) | more)

    path = coco_files.write(tmp_path, scenes[:1], "val", 2017, change)
    annotated = raw.read(path)
    assert len(annotated) == 2
    assert annotated[0].file == "000000000001.jpg"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"images": 3}', '{"images": [{}]}']
)
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "person_keypoints_train2014.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"train2014.json is not in COCO's"):
        raw.read(path)


def test_what_is_missing_is_asked_for(tmp_path, scenes):
    options = coco.Options(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="annotations_trainval2014"):
        coco.run(options)
    coco_files.write(tmp_path, scenes[:1])
    (tmp_path / "train2014").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"pictures, of train2014.zip"):
        coco.run(options)


def test_records_and_sheet(root, tmp_path):
    coco.run(coco.Options(root, tmp_path, workers=1))
    stored = shards.Records(tmp_path, "train")
    assert len(stored) == 6
    report = records_folder.read_report(tmp_path)["splits"]["train"]
    assert report["labels"] == {
        "keypoints": 6,
        "joints3d": 0,
        "pose": 0,
        "betas": 0,
        "parts": 0,
    }
    assert cv2.imread(str(tmp_path / "train.png")).std() > 20
    assert frames.ROOM > 2.13, "HMR's augmentation sees that much"


def test_a_joint_that_is_not_finite_is_not_labelled(root):
    points = first(root)["keypoints"]
    changed = first(root) | {"keypoints": [np.nan, 4, 2, *points[3:]]}
    (example,) = coco.read(task(root, changed=changed))
    assert list(labels(example)[:, 2]) == [0] + [1] * 16


def test_an_odd_entry_is_counted_and_the_others_are_read(
    tmp_path, scenes, caplog
):
    def change(content):
        good = content["annotations"][0]
        content["annotations"] += [
            good | {"id": 7, "image_id": 77},
            good | {"id": 8, "image_id": None},
            None,
            {k: v for k, v in good.items() if k != "id"},
        ]
        content["images"] += [{"id": 9, "width": None}, {}, 5]

    path = coco_files.write(tmp_path, scenes[:1], change=change)
    text = path.read_text()
    path.write_bytes(text.encode("utf-8-sig"))
    read_people = list(coco.read(task(tmp_path)))
    causes = sorted(
        r.cause for r in read_people if isinstance(r, writing.Skipped)
    )
    assert causes == [
        "it is not an object",
        "it names no image",
        "its image is not listed",
    ]
    assert len(read_people) == 6
    assert "1 left out, its image is not listed: annotation '7'." in caplog.text


def test_images_are_found_by_numbers_and_other_folders(tmp_path, scenes):
    def change(content):
        image = content["images"][0]
        image["file_name"] = "data\\train2014\\" + image["file_name"]
        image["id"] = "000001"

    coco_files.write(tmp_path, scenes[:1], change=change)
    examples = list(coco.read(task(tmp_path)))
    assert [example.example_id for example in examples] == [
        "COCO_train2014_000000000001-100",
        "COCO_train2014_000000000001-101",
    ]
    (tmp_path / "train2014/COCO_train2014_000000000001.jpg").unlink()
    missing = list(coco.read(task(tmp_path)))
    assert {r.cause for r in missing} == {"the picture's file is missing"}
