"""People of COCO's json: their category, its names, and their image."""

import pytest

from tf_hmr import joints
from tf_hmr.formats import coco_annotations

ORDER = tuple(reversed(joints.COCO17))
FEET = joints.FEET6
BALL = {"id": 3, "name": "ball"}


def category(number, name="person", keypoints=joints.COCO17):
    return {"id": number, "name": name, "keypoints": list(keypoints)}


def read(categories, *category_ids, **entry):
    """(id, names, cause) of the people of annotations 0, 1..."""
    annotations = [
        {"id": row, "image_id": 1, "category_id": number} | entry
        for row, number in enumerate(category_ids)
    ]
    content = {"images": [{"id": 1, "file_name": "a.jpg"}]}
    content |= {"annotations": annotations, "categories": categories}
    return [
        (person.entry["id"], person.names, person.cause)
        for person in coco_annotations.people(content)
    ]


@pytest.mark.parametrize("number", [0, 1, 2, 7, "1", "person"])
def test_the_person_may_have_any_number(number):
    categories = [BALL, category(number, keypoints=ORDER)]
    assert read(categories, 3, number) == [(1, ORDER, "")]


@pytest.mark.parametrize(
    "first",
    [
        category(1, "box", []),
        category(1, "box", ["corner", "edge"]),
        category(1, "dog", ["paw"]),
        category(1, keypoints=[]),
        {"id": 1, "name": "box", "keypoints": None},
        {"id": 1, "name": "box", "keypoints": 5},
        None,
    ],
)
def test_categories_without_known_keypoints_are_passed_over(first):
    categories = [first, category(2, "skeleton", ORDER)]
    assert read(categories, 1, 2)[-1] == (1, ORDER, "")
    assert all(entry[0] == 1 for entry in read(categories, 1, 2)) or not first


def test_of_several_the_person_counts():
    categories = [category(1, "doll", ORDER), category(2, "Person", FEET)]
    assert read(categories, 1, 2) == [(1, FEET, "")]


def test_each_annotation_has_the_names_of_its_category():
    categories = [category(4, "man", ORDER), category(5, "woman", FEET)]
    assert read(categories, 4, 5) == [(0, ORDER, ""), (1, FEET, "")]
    assert read(categories, None) == [(0, joints.COCO17, "it has no category")]


def test_names_are_known_in_other_spellings():
    names = ["Left Ankle", "NOSE", "right-knee", "tail"]
    ((_, keypoint_names, _),) = read([category(1, keypoints=names)], 1)
    assert keypoint_names == ("left_ankle", "nose", "right_knee", "tail")


@pytest.mark.parametrize(
    ("categories", "people"),
    [
        (None, [0, 1]),
        ([], [0, 1]),
        ([{"id": 5, "name": "person"}, {"id": 1, "name": "ball"}], [1]),
        ([{"id": 1, "name": "figure"}, {"id": 5, "name": "ball"}], [0]),
        ([{"id": 5, "name": "figure"}], [1]),
    ],
)
def test_without_names_the_order_is_cocos(categories, people):
    rows = read(categories, 1, 5)
    assert rows == [(row, joints.COCO17, "") for row in people]


def test_unknown_names_alone_are_refused():
    with pytest.raises(ValueError, match=r"'paw'.*none is known"):
        read([category(1, "dog", ["paw"])], 1)


def test_a_category_that_is_not_listed_is_said_where_nobody_else_is():
    rows = read([category(1)], 0)
    assert rows == [(0, joints.COCO17, "its category is not listed")]
    assert read([category(1)], 0, 1) == [(1, joints.COCO17, "")]


def test_crowds_are_no_people():
    assert not read([category(1)], 1, iscrowd=1)


IMAGES = [
    {"id": 1, "file_name": "a.jpg", "width": 160, "height": "200"},
    {"id": "000002", "file_name": "b.jpg", "width": None},
    {"id": 3.0, "width": 5},
    {"file_name": "c.jpg"},
    None,
    {"id": 7, "file_name": "d.jpg"},
    {"id": "7", "file_name": "e.jpg"},
]


@pytest.mark.parametrize(
    ("image_id", "image"),
    [
        (1, ("a.jpg", (160, 200))),
        ("1", ("a.jpg", (160, 200))),
        ("01", ("a.jpg", (160, 200))),
        (1.0, ("a.jpg", (160, 200))),
        ("000002", ("b.jpg", None)),
        (2, ("b.jpg", None)),
        (3, ("3", None)),
    ],
)
def test_ids_meet_however_they_are_written(image_id, image):
    assert coco_annotations.Images(IMAGES).find(image_id) == image


@pytest.mark.parametrize(
    ("image_id", "cause"),
    [
        (77, "its image is not listed"),
        ("a.jpg", "its image is not listed"),
        (None, "it names no image"),
        ([1], "it names no image"),
        (True, "it names no image"),
        (7, "its image_id is that of several images"),
    ],
)
def test_images_that_are_not_one_are_said(image_id, cause):
    with pytest.raises(ValueError, match=cause):
        coco_annotations.Images(IMAGES).find(image_id)


def test_odd_entries_have_a_cause():
    entries = [5, None, "text", {"image_id": "p.jpg"}]
    causes = [person.cause for person in coco_annotations.results(entries)]
    assert causes == ["it is not an object"] * 3 + [""]


@pytest.mark.parametrize("key", ["images", "annotations"])
@pytest.mark.parametrize("value", [None, 3, {}])
def test_other_json_is_a_type_error(key, value):
    with pytest.raises(TypeError, match="not a list"):
        coco_annotations.people({"images": [], "annotations": [], key: value})


def test_ids_are_sorted_as_numbers_first():
    ids = ["b", 10, "9", -3, 2.0, None]
    ids.sort(key=coco_annotations.order_key)
    assert ids == [-3, 2.0, "9", 10, None, "b"]
