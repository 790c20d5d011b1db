"""2D people of files: who is read, by which name, and who is left out."""

import json

import numpy as np
import pytest

from tests.support import box_files
from tf_hmr import joints
from tf_hmr.formats import keypoint_files

ORDER = tuple(reversed(joints.COCO17))
POINTS = {name: (10.0 + row, 40.0 - row) for row, name in enumerate(ORDER)}


def flat(names=joints.COCO17, flag=2):
    return [v for name in names for v in (*POINTS[name], flag)]


def save(tmp_path, content, name="k.json"):
    return box_files.save(tmp_path / name, content)


def coco(*annotations, order=ORDER, **more):
    names = {"id": 4, "name": "person", "keypoints": order}
    image = {"id": 1, "file_name": "a.jpg", "width": 160, "height": 200}
    good = {"id": 9, "image_id": 1, "category_id": 4, "keypoints": flat(order)}
    content = {"images": [image], "annotations": [good, *annotations]}
    return content | {"categories": [{"id": 1, "name": "ball"}, names]} | more


def check(person, *missing):
    for name, label in zip(joints.KEYPOINTS, person.keypoints, strict=True):
        expected = (0, 0, 0)
        if name in POINTS and name not in missing:
            expected = (*POINTS[name], 1)
        np.testing.assert_array_equal(label, expected, err_msg=name)


def test_keypoints_are_read_by_the_names_of_the_category(tmp_path, caplog):
    ball = {"image_id": 1, "category_id": 1}
    (person,) = keypoint_files.read(save(tmp_path, coco(ball)))
    check(person)
    assert person.size == (160, 200)
    assert (person.photo, person.file_name) == ("a", "a.jpg")
    assert not caplog.messages


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"keypoints": []}, "it has no keypoints"),
        ({"keypoints": None}, "it has no keypoints"),
        ({"keypoints": [1, 2, 2]}, "1 keypoints, expected 17"),
        ({"keypoints": ["x"] * 51}, "its keypoints are not numbers"),
        ({"keypoints": [float("nan")] * 51}, "its keypoints are not finite"),
        ({"image_id": 77}, "its image is not listed"),
        ({"image_id": None}, "it names no image"),
    ],
)
def test_an_odd_annotation_is_left_out(tmp_path, caplog, change, cause):
    odd = {"id": 5, "image_id": 1, "category_id": 4, "keypoints": flat(ORDER)}
    path = save(tmp_path, coco(odd | change, odd | {"id": 6}))
    people = keypoint_files.read(path)
    assert [person.number for person in people] == [0, 1]
    for person in people:
        check(person)
    (line,) = caplog.messages
    assert f"k.json: 1 left out, {cause}: annotation 5" in line


def test_nulls_are_joints_without_label(tmp_path, caplog):
    hidden = [None, None, 0, *flat(ORDER)[3:]]
    odd = {"image_id": "1", "category_id": 4, "keypoints": hidden}
    _, person = keypoint_files.read(save(tmp_path, coco(odd)))
    check(person, ORDER[0])
    assert not caplog.messages


def test_everybody_left_out_is_an_error(tmp_path):
    path = save(tmp_path, [{"image_id": 1, "keypoints": [1, 2, 3]}, 5])
    with pytest.raises(
        ValueError, match="1 keypoints, expected 17: annotation"
    ):
        keypoint_files.read(path)


@pytest.mark.parametrize(
    ("image_id", "photo"),
    [
        ("p0.jpg", "p0"),
        ("sub/p0.jpg", "p0"),
        (139, "139"),
        ("../../x", "x"),
        ("/etc/..", "etc"),
        ("", "unnamed"),
        ("\x1b[31m", "_[31m"),
        ("a/../\x07", "_"),
    ],
)
def test_photos_of_results_become_safe_names(tmp_path, image_id, photo):
    entry = {"image_id": image_id, "keypoints": flat(flag=1)}
    (person,) = keypoint_files.read(save(tmp_path, [entry]))
    assert (person.photo, person.file_name) == (photo, str(image_id))
    check(person)


def test_photos_of_one_name_stay_apart(tmp_path):
    ids = ["a/1.jpg", "b/1.jpg", "A/1.JPG", "b_1.jpg", "a/1.jpg"]
    entries = [{"image_id": i, "keypoints": flat(flag=1)} for i in ids]
    people = keypoint_files.read(save(tmp_path, entries))
    stems = [f"{person.photo}_{person.number}" for person in people]
    assert stems[0] == "1_0" and stems[-1] == "1_1"
    assert len({stem.casefold() for stem in stems}) == len(ids)


def test_a_folder_is_read_without_its_odd_files_and_people(tmp_path, caplog):
    body = box_files.body25(10, 20, 50, 90)
    good = box_files.openpose(body, [], body)
    save(tmp_path, good, "a_keypoints.json")
    save(tmp_path, {"people": 5}, "b_keypoints.json")
    people = keypoint_files.read(tmp_path)
    assert [(p.photo, p.number) for p in people] == [("a", 0), ("a", 2)]
    assert caplog.messages == [
        f"{tmp_path}: 1 left out, it has no keypoints of the body: person 1 "
        "of a_keypoints.json.",
        f"{tmp_path}: 1 left out, the file is not OpenPose's json: "
        "b_keypoints.json.",
    ]
    (tmp_path / "a_keypoints.json").unlink()
    with pytest.raises(ValueError, match="b_keypoints.json is not OpenPose's"):
        keypoint_files.read(tmp_path)


def test_shares_of_a_picture_become_pixels(tmp_path):
    body = np.reshape(box_files.body25(10, 20, 50, 90), (-1, 3))
    shares = body / (160, 200, 1)
    save(tmp_path, box_files.openpose(shares.ravel().tolist()), "a.json")
    (person,) = keypoint_files.read(tmp_path / "a.json")
    assert person.keypoint_scale == 3
    scaled = keypoint_files.in_pixels(person, (161, 201))
    assert scaled.keypoint_scale == 0
    nose = joints.KEYPOINTS.index("nose")
    np.testing.assert_allclose(scaled.keypoints[nose], body[0], rtol=1e-6)


def test_a_byte_order_mark_changes_nothing(tmp_path):
    path = tmp_path / "k.json"
    path.write_bytes(json.dumps(coco()).encode("utf-8-sig"))
    check(keypoint_files.read(path)[0])
