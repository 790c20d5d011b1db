import base64
import dataclasses
import json
import re

import cv2
import numpy as np
import pytest
import trimesh

from tests.support import photos
from tests.support.closeness import assert_close
from tf_hmr import group_files, inference, overlays, rendering

BOXES = [(60.0, 30.0, 90.0, 200.0), (90.0, 40.0, 90.0, 190.0)]


@pytest.fixture(scope="module")
def image():
    return photos.image(300, 260)


@pytest.fixture(scope="module")
def people(model, image):
    return inference.recover(model, image, BOXES)


def at_depth(person, depth):
    """The same person at another depth, as large in the photo."""
    factor = depth / person.translation[2]
    return dataclasses.replace(
        person,
        translation=(person.translation * factor).astype(np.float32),
    )


def test_near_people_are_drawn_over_far_ones(image, people):
    first, second = people
    far_person, near_person = at_depth(first, 60.0), at_depth(second, 20.0)
    view = rendering.View(300, 260, first.focal_px, first.principal_point)
    covers = [
        rendering.silhouette(person.camera_vertices, person.faces, view)
        for person in (far_person, near_person)
    ]
    overlap = covers[0] & covers[1]
    assert overlap.sum() > 100
    overlay = overlays.draw(image, [far_person, near_person])
    # The colour of the second: more red than blue, unlike the first's.
    red, _, blue = overlay[overlap].astype(int).mean(axis=0)
    assert red > blue
    overlay = overlays.draw(image, [near_person, far_person])
    red, _, blue = overlay[overlap].astype(int).mean(axis=0)
    assert red < blue


def test_nobody_leaves_the_photo(image):
    np.testing.assert_array_equal(overlays.draw(image, []), image)


def test_the_glb_holds_everybody_in_the_photo_s_camera(image, people, tmp_path):
    group_files.write(tmp_path / "a.b", image, people)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.b_people.png", "a.b.glb", "a.b.html"}
    scene = trimesh.load(tmp_path / "a.b.glb", process=False)
    assert set(scene.geometry) == {"person_0", "person_1"}
    for number, person in enumerate(people):
        mesh = scene.geometry[f"person_{number}"]
        expected = person.camera_vertices * [1, -1, -1]
        # Metres at some tens of metres of distance, float32.
        assert_close("relative_float32", mesh.vertices, expected)
        np.testing.assert_array_equal(mesh.faces, person.faces)


def content(page):
    (text,) = re.findall(
        r'<script id="scene" type="application/json">(.*?)</script>', page
    )
    return json.loads(text)


def test_the_page_holds_photo_and_people_and_needs_no_network(image, people):
    page = group_files.page(image, people)
    assert not re.search(r"https?://|src=\"(?!data:)|@import|fetch\(", page)
    scene = content(page)
    header, _, data = scene["photo"].partition(",")
    assert header == "data:image/jpeg;base64"
    jpeg = np.frombuffer(base64.b64decode(data), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == image.shape
    faces = np.frombuffer(base64.b64decode(scene["faces"]), "<u4")
    np.testing.assert_array_equal(faces.reshape(-1, 3), people[0].faces)
    for entry, person in zip(scene["people"], people, strict=True):
        steps = np.frombuffer(base64.b64decode(entry["vertices"]), "<i2")
        vertices = steps.reshape(-1, 3) * entry["step_m"]
        middle = np.array(entry["translation"])
        assert_close(
            "page_metres", vertices + middle - person.translation,
            person.vertices,
        )  # fmt: skip
    assert (scene["width"], scene["height"]) == (300, 260)
    assert scene["focal_px"] == people[0].focal_px


def test_large_photos_are_small_in_the_page(people):
    image = photos.image(2 * group_files.PAGE_PX, 300)
    scene = content(group_files.page(image, people))
    jpeg = np.frombuffer(
        base64.b64decode(scene["photo"].partition(",")[2]), np.uint8
    )
    shape = cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape
    assert max(shape) == group_files.PAGE_PX


def test_nothing_is_written_of_a_person_who_cannot_be_drawn(
    image, people, tmp_path
):
    vertices = people[1].vertices * np.float32(np.nan)
    broken = dataclasses.replace(people[1], vertices=vertices)
    with pytest.raises(ValueError, match="not finite"):
        group_files.write(tmp_path / "a", image, [people[0], broken])
    assert not list(tmp_path.iterdir())
