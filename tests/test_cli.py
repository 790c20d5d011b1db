import json
import logging
import subprocess
import sys

import cv2
import numpy as np
import pytest
import trimesh

from tests import photos
from tests.closeness import assert_close
from tf_hmr import __main__ as cli
from tf_hmr import boxes, camera, crop, method, outputs, people, raster

BOX = (60.0, 30.0, 90.0, 200.0)
ENDINGS = (
    *(".png", "_overlay.png", "_side.png"),
    *(".glb", ".obj", ".npz", ".json"),
)


@pytest.fixture
def run(monkeypatch, model, tmp_path, caplog):
    """Runs the command in this process; returns (status, lines of errors).

    The model is loaded once for all tests.
    """
    monkeypatch.setattr(cli.method, "load", lambda *_, **__: model)

    def run(*paths, **values):
        caplog.clear()
        args = cli.Args(
            photos=paths, weights=tmp_path, out=tmp_path / "out", **values
        )
        with caplog.at_level(logging.WARNING):
            status = cli.main(args)
        return status, caplog.messages

    return run


def written(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def files_of(*stems):
    return sorted(stem + ending for stem in stems for ending in ENDINGS)


@pytest.fixture
def photo(tmp_path):
    image = photos.picture(300, 260)
    return photos.write(tmp_path / "street.png", image)


def save_json(path, content):
    path.write_text(json.dumps(content))
    return path


def openpose(*people_points, key="pose_keypoints_2d"):
    return {"people": [{key: points} for points in people_points]}


def body25(x, y, w, h, confidence=0.9):
    rng = np.random.default_rng(int(x))
    points = rng.uniform(0, 1, (25, 2)) * (w, h) + (x, y)
    points[:2] = (x, y), (x + w, y + h)
    return np.hstack([points, np.full((25, 1), confidence)]).ravel().tolist()


def test_every_file_of_a_person(run, photo, tmp_path, model):
    assert run(photo, box=BOX, focal_px=3e6) == (0, [])
    assert written(tmp_path) == files_of("street_0")
    stem = tmp_path / "out" / "street_0"
    (person,) = people.recover(model, photo, [BOX])
    told = json.loads((tmp_path / "out" / "street_0.json").read_text())
    assert told["photo"] == "street.png"
    assert told["licence"] == model.body.data.licence
    assert told["box_px"] == list(BOX)
    assert told["image_size_px"] == [300, 260]
    assert set(told["convention"]) >= {"camera", "weak_camera", "axes"}
    # The json alone tells where the joints are seen. From so far away
    # perspective is the weak perspective of the keypoints.
    lens = told["camera"]
    seen = camera.project_perspective(
        np.array(told["joints_m"]) + lens["translation_m"],
        lens["focal_px"],
        lens["principal_point_px"],
    )
    assert_close("far_camera_px", seen, told["keypoints_px"])
    arrays = np.load(f"{stem}.npz")
    assert_close("body_metres", arrays["vertices"], person.vertices)
    assert_close("body_metres", arrays["betas"], told["betas"])
    np.testing.assert_array_equal(arrays["faces"], person.faces)


def test_figure_shows_the_crop_the_overlay_and_the_side(
    run, photo, tmp_path, model
):
    run(photo, box=BOX)
    image = people.read_photo(photo)
    (person,) = people.recover(model, image, [BOX])
    size = outputs.FIGURE_HEIGHT
    overlay = outputs.draw_overlay(image, person)
    side = raster.side_view(person.vertices, person.faces, size)
    seen, drawn = (
        crop.crop_image(panel, person.crop_box, size)
        for panel in (image, overlay)
    )
    out = tmp_path / "out"
    for name, expected in {
        "street_0.png": np.hstack([seen, drawn, side]),
        "street_0_overlay.png": overlay,
        "street_0_side.png": side,
    }.items():
        np.testing.assert_array_equal(people.read_photo(out / name), expected)


@pytest.mark.parametrize("ending", [".glb", ".obj"])
def test_mesh_files_stand_upright_and_face_outward(
    run, photo, tmp_path, model, ending
):
    run(photo, box=BOX)
    mesh = trimesh.load(
        tmp_path / "out" / f"street_0{ending}", force="mesh", process=False
    )
    (person,) = people.recover(model, photo, [BOX])
    turned = person.vertices * [1, -1, -1]
    assert_close("mesh_file_metres", mesh.vertices, turned)
    np.testing.assert_array_equal(mesh.faces, person.faces)
    assert mesh.volume > 0
    head = person.joint_names.index("head_top")
    foot = person.joint_names.index("left_ankle")
    assert person.joints[head, 1] < person.joints[foot, 1]


def test_overlay_draws_the_person_and_nothing_else(photo, model):
    image = people.read_photo(photo)
    (person,) = people.recover(model, image, [BOX])
    drawn = outputs.draw_overlay(image, person)
    changed = (drawn != image).any(axis=-1)
    pixels = camera.project_perspective(
        person.placed, person.focal_px, person.principal_point
    )
    low, high = pixels.min(axis=0) - 1, pixels.max(axis=0) + 1
    rows, columns = np.nonzero(changed)
    assert columns.min() >= low[0]
    assert columns.max() <= high[0]
    assert rows.min() >= low[1]
    assert rows.max() <= high[1]
    hips = person.keypoints_px[
        [person.joint_names.index(f"{side}_hip") for side in ("left", "right")]
    ].mean(axis=0)
    assert changed[tuple(np.rint(hips[::-1]).astype(int))]


def test_overlay_of_a_person_past_the_border(photo, model):
    image = people.read_photo(photo)
    (person,) = people.recover(model, image, [(250.0, 200.0, 90.0, 200.0)])
    drawn = outputs.draw_overlay(image, person)
    assert drawn.shape == image.shape
    assert (drawn != image).any()


def test_exif_orientation_reaches_the_results(run, tmp_path):
    path = tmp_path / "turned.jpg"
    turned = photos.jpeg_with_orientation(photos.picture(300, 260), 6)
    path.write_bytes(turned)
    assert run(path, box=BOX) == (0, [])
    overlay = cv2.imread(str(tmp_path / "out" / "turned_0_overlay.png"))
    assert overlay.shape == (300, 260, 3)


def test_what_is_wrong_is_one_line_each_and_the_rest_goes_on(
    run, photo, tmp_path
):
    text = tmp_path / "text.jpg"
    text.write_bytes(b"no image")
    small = photos.write(tmp_path / "small.png", photos.picture(40, 40))
    status, lines = run(tmp_path / "gone.jpg", text, small, photo, box=BOX)
    assert status == 1
    told = ["gone.jpg: no such", "text.jpg: not a readable", "small.png: pers"]
    assert len(lines) == len(told)
    for line, words in zip(lines, told, strict=True):
        assert words in line
        assert "\n" not in line
    assert "outside the image of 40 x 40" in lines[2]
    assert written(tmp_path) == files_of("street_0")


def test_an_error_of_many_lines_becomes_one(run, photo, monkeypatch):
    def refuse(path):
        raise ValueError("first line\n  second line")

    monkeypatch.setattr(cli.people, "read_photo", refuse)
    assert run(photo, box=BOX) == (1, ["first line second line"])


def test_a_bad_box_leaves_the_others_their_numbers(run, photo, tmp_path):
    path = save_json(tmp_path / "b.json", [BOX, (900, 0, 5, 5), BOX])
    status, lines = run(photo, boxes=path)
    assert status == 1
    assert len(lines) == 1
    assert "street.png: person 1: The box (900, 0, 5, 5)" in lines[0]
    assert written(tmp_path) == files_of("street_0", "street_2")


def test_long_photo_warns_and_is_no_failure(run, tmp_path):
    path = photos.write(tmp_path / "wide.png", photos.picture(300, 120))
    status, lines = run(path)
    assert status == 0
    assert len(lines) == 1
    assert "wide.png is 300 x 120, far from square" in lines[0]


def test_folder_means_its_photos_each_once(run, tmp_path):
    folder = tmp_path / "in"
    for name in ("b.PNG", "a.jpg"):
        photos.write(folder / name, photos.picture(90, 90))
    (folder / "notes.txt").write_text("no photo")
    assert run(folder, folder / "a.jpg") == (0, [])
    assert written(tmp_path) == files_of("a_0", "b_0")


def test_folder_without_photos_is_a_failure(run, tmp_path):
    (tmp_path / "empty").mkdir()
    status, lines = run(tmp_path / "empty")
    assert status == 1
    assert "empty: no photo in this folder" in lines[0]


def test_results_of_equal_stems_do_not_collide(run, tmp_path):
    image = photos.picture(90, 90)
    paths = [
        photos.write(tmp_path / name, image)
        for name in ("x/a.png", "y/a.png", "y/A.jpg", "y/a-2.png")
    ]
    assert run(*paths) == (0, [])
    assert written(tmp_path) == files_of("a_0", "a-2_0", "a-3_0", "A-4_0")


def test_usage_errors(run, photo, tmp_path):
    assert run() == (1, ["Give at least one photo or folder of photos."])
    both = run(photo, box=BOX, boxes=tmp_path / "b.json")
    assert both == (1, ["Give --box or --boxes, not both."])
    status, lines = run(photo, boxes=tmp_path / "b.json")
    assert status == 1
    assert "b.json: no such file of boxes" in lines[0]


def test_missing_weights_from_the_shell(photo, tmp_path):
    told = subprocess.run(
        [
            *(sys.executable, "-m", "tf_hmr", photo, tmp_path / "gone.jpg"),
            *("--weights", tmp_path / "none", "--out", tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    about = [line for line in told.stderr.splitlines() if "none" in line]
    assert len(about) == 1
    assert f"No model in {tmp_path / 'none'}" in about[0]
    assert "gone.jpg: no such photo" in told.stderr


def test_weights_of_another_body_are_refused(
    photo, model_folder, tmp_path, caplog
):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / method.CONFIG_FILE).read_text())
    config["topology"] = "smpl"
    save_json(folder / method.CONFIG_FILE, config)
    args = cli.Args((photo,), folder, tmp_path / "out", box=BOX)
    assert cli.main(args) == 1
    assert "topology 'smpl'" in caplog.messages[0]


# Files of boxes.


@pytest.mark.parametrize("key", ["pose_keypoints_2d", "pose_keypoints"])
def test_openpose_people_become_their_keypoints_boxes(tmp_path, photo, key):
    content = openpose(body25(10, 20, 50, 90), body25(60, 5, 40, 80), key=key)
    found = boxes.read(save_json(tmp_path / "b.json", content)).of(photo)
    # Keypoints are pixel centres, boxes are edges: half a pixel apart.
    expected = [(10.5, 20.5, 50, 90), (60.5, 5.5, 40, 80)]
    assert_close("exact", found, expected)


def test_openpose_ignores_what_it_did_not_see(tmp_path, photo, caplog):
    seen = body25(10, 20, 50, 90)
    seen += [0.0, 0.0, 0.0, 299.0, 259.0, boxes.MIN_CONFIDENCE]
    unsure = body25(60, 5, 40, 80, confidence=0.1)
    one_place = [30.0, 40.0, 0.9] * 25
    people_points = (seen, unsure, one_place)
    path = save_json(tmp_path / "b.json", openpose(*people_points))
    assert_close("exact", boxes.read(path).of(photo), [(10.5, 20.5, 50, 90)])
    assert "person 1 is left out, only 0 keypoints" in caplog.text
    assert "person 2 is left out, only 1 keypoints" in caplog.text


def test_openpose_folder_gives_each_photo_its_file(run, tmp_path):
    image = photos.picture(300, 260)
    paths = [photos.write(tmp_path / f"{n}.png", image) for n in "abc"]
    folder = tmp_path / "openpose"
    folder.mkdir()
    two = openpose(body25(10, 20, 50, 90), body25(60, 5, 40, 80))
    save_json(folder / "a_keypoints.json", two)
    save_json(folder / "b_keypoints.json", openpose())
    status, lines = run(*paths, boxes=folder)
    assert status == 1
    assert written(tmp_path) == files_of("a_0", "a_1")
    assert len(lines) == 2
    assert "b.png: the boxes name no person" in lines[0]
    assert "c_keypoints.json" in lines[1]


def coco(names, annotations, **more):
    return {
        "images": [{"id": i, "file_name": name} for i, name in names.items()],
        "annotations": annotations,
        **more,
    }


def test_coco_boxes_find_their_photo_by_file_name(tmp_path):
    content = coco(
        {7: "x/a.png", 8: "y/a.png", 9: "b.png", 10: "none.png"},
        [
            {"image_id": 8, "bbox": [1, 2, 3, 4], "category_id": 1},
            {"image_id": 7, "bbox": [5, 6, 7, 8], "category_id": 1},
            {"image_id": 8, "bbox": [9, 9, 9, 9], "category_id": 3},
            {
                "image_id": 8,
                "bbox": [0, 0, 50, 50],
                "category_id": 1,
                "iscrowd": 1,
            },
            {"image_id": 9, "bbox": [1, 1, 2, 2], "category_id": 1},
            {"image_id": 9, "bbox": [3, 3, 4, 4], "category_id": 1},
        ],
        categories=[{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    )
    found = boxes.read(save_json(tmp_path / "b.json", content), photos=9)
    assert found.of(tmp_path / "x" / "a.png") == [(5, 6, 7, 8)]
    assert found.of(tmp_path / "y" / "a.png") == [(1, 2, 3, 4)]
    assert found.of(tmp_path / "b.png") == [(1, 1, 2, 2), (3, 3, 4, 4)]
    assert found.of(tmp_path / "none.png") == []
    with pytest.raises(ValueError, match="does not name c.png"):
        found.of(tmp_path / "c.png")
    with pytest.raises(ValueError, match="x/a.png.*y/a.png"):
        found.of(tmp_path / "z" / "a.png")


def test_plain_lists(tmp_path, photo):
    path = save_json(tmp_path / "b.json", [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert boxes.read(path).of(photo) == [(1, 2, 3, 4), (5, 6, 7, 8)]
    with pytest.raises(ValueError, match="one photo, but 2 photos"):
        boxes.read(path, photos=2)
    named = [{"file_name": "street.png", "bbox": [1, 2, 3, 4]}]
    path = save_json(tmp_path / "n.json", named)
    assert boxes.read(path, photos=2).of(photo) == [(1, 2, 3, 4)]


@pytest.mark.parametrize(
    "content",
    [
        *({}, 5, "text", [[1, 2, 3]], [{"bbox": [1, 2, 3, 4]}]),
        *({"people": 3}, {"people": [{"pose_keypoints_2d": [1, 2]}]}),
        *({"annotations": []}, {"annotations": [{}], "images": []}),
        {"annotations": [{"image_id": 4, "bbox": []}], "images": []},
        [[1, 2, "x", 4]],
        [[1, 2, None, 4]],
    ],
)
def test_files_that_hold_no_boxes_are_named(tmp_path, content):
    path = save_json(tmp_path / "wrong.json", content)
    with pytest.raises(ValueError, match="wrong.json"):
        boxes.read(path)


def test_text_that_is_no_json_is_named(tmp_path):
    (tmp_path / "wrong.json").write_text("{people")
    with pytest.raises(ValueError, match="wrong.json is not json"):
        boxes.read(tmp_path / "wrong.json")
