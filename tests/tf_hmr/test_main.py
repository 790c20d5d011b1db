import json
import logging
import subprocess
import sys

import cv2
import numpy as np
import pytest
import trimesh

from tests.support import box_files, full_disk, photos, rendered_groups
from tests.support.closeness import assert_close
from tf_hmr import __main__ as cli
from tf_hmr import (
    inference,
    joints,
    landmark_files,
    method,
    overlays,
    person_files,
    recovery,
    rendering,
    sightings,
)
from tf_hmr.formats import image_files
from tf_hmr.geometry import camera, crop
from tf_hmr.tasks import photo_reading
from tf_hmr.tasks import photos as task

BOX = (60.0, 30.0, 90.0, 200.0)
OF_ALL = ("_people.png", ".glb", ".html")
ENDINGS = (
    *(".png", "_overlay.png", "_side.png"),
    *(".glb", ".obj", ".npz", ".json"),
)


@pytest.fixture
def run(monkeypatch, model, tmp_path, caplog):
    """Runs the command in this process; returns (status, lines of errors).

    The model is loaded once for all tests.
    """
    monkeypatch.setattr(cli.model_files, "find_folder", lambda path: path)
    monkeypatch.setattr(task.method, "load", lambda *_, **__: model)

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
    """Files of people, named PHOTO_NUMBER, and of their photos."""
    photos_of_people = {stem.rpartition("_")[0] for stem in stems}
    return sorted(
        [stem + ending for stem in stems for ending in ENDINGS]
        + [name + ending for name in photos_of_people for ending in OF_ALL]
    )


@pytest.fixture
def photo(tmp_path):
    image = photos.image(300, 260)
    return photos.write(tmp_path / "street.png", image)


def test_every_file_of_a_person(run, photo, tmp_path, model):
    assert run(photo, box=BOX, focal_px=3e6) == (0, [])
    assert written(tmp_path) == files_of("street_0")
    stem = tmp_path / "out" / "street_0"
    (person,) = inference.recover(model, photo, [BOX])
    record = json.loads((tmp_path / "out" / "street_0.json").read_text())
    assert record["photo"] == "street.png"
    assert record["licence"] == model.body.data.licence
    assert record["box_px"] == list(BOX)
    assert record["image_size_px"] == [300, 260]
    assert set(record["convention"]) >= {"camera", "weak_camera", "axes"}
    # The json alone tells where the joints are seen. From so far away
    # perspective is the weak perspective of the keypoints.
    lens = record["camera"]
    pixels = camera.project_perspective(
        np.array(record["joints_m"]) + lens["translation_m"],
        lens["focal_px"],
        lens["principal_point_px"],
    )
    assert_close("far_camera_px", pixels, record["keypoints_px"])
    arrays = np.load(f"{stem}.npz")
    assert_close("body_metres", arrays["vertices"], person.vertices)
    assert_close("body_metres", arrays["betas"], record["betas"])
    np.testing.assert_array_equal(arrays["faces"], person.faces)


def test_figure_shows_the_crop_the_overlay_and_the_side(
    run, photo, tmp_path, model
):
    run(photo, box=BOX)
    image = image_files.read_photo(photo)
    (person,) = inference.recover(model, image, [BOX])
    size = person_files.FIGURE_HEIGHT
    overlay = overlays.draw(image, [person])
    side = rendering.side_view(person.vertices, person.faces, size)
    photo_crop, overlay_crop = (
        crop.crop_image(panel, person.crop_box, size)
        for panel in (image, overlay)
    )
    out = tmp_path / "out"
    for name, expected in {
        "street_0.png": np.hstack([photo_crop, overlay_crop, side]),
        "street_0_overlay.png": overlay,
        "street_0_side.png": side,
    }.items():
        np.testing.assert_array_equal(
            image_files.read_photo(out / name), expected
        )


@pytest.mark.parametrize("ending", [".glb", ".obj"])
def test_mesh_files_stand_upright_and_face_outward(
    run, photo, tmp_path, model, ending
):
    run(photo, box=BOX)
    mesh = trimesh.load(
        tmp_path / "out" / f"street_0{ending}", force="mesh", process=False
    )
    (person,) = inference.recover(model, photo, [BOX])
    flipped = person.vertices * [1, -1, -1]
    assert_close("mesh_file_metres", mesh.vertices, flipped)
    np.testing.assert_array_equal(mesh.faces, person.faces)
    assert mesh.volume > 0
    head = person.joint_names.index("head_top")
    foot = person.joint_names.index("left_ankle")
    assert person.joints[head, 1] < person.joints[foot, 1]


def test_overlay_draws_the_person_and_nothing_else(photo, model):
    image = image_files.read_photo(photo)
    (person,) = inference.recover(model, image, [BOX])
    overlay = overlays.draw(image, [person])
    changed = (overlay != image).any(axis=-1)
    pixels = camera.project_perspective(
        person.camera_vertices, person.focal_px, person.principal_point
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
    image = image_files.read_photo(photo)
    (person,) = inference.recover(model, image, [(250.0, 200.0, 90.0, 200.0)])
    overlay = overlays.draw(image, [person])
    assert overlay.shape == image.shape
    assert (overlay != image).any()


def test_exif_orientation_reaches_the_results(run, tmp_path):
    path = tmp_path / "turned.jpg"
    jpeg = photos.jpeg_with_orientation(photos.image(300, 260), 6)
    path.write_bytes(jpeg)
    assert run(path, box=BOX) == (0, [])
    overlay = cv2.imread(str(tmp_path / "out" / "turned_0_overlay.png"))
    assert overlay.shape == (300, 260, 3)


def test_what_is_wrong_is_one_line_each_and_the_rest_goes_on(
    run, photo, tmp_path
):
    text = tmp_path / "text.jpg"
    text.write_bytes(b"no image")
    small = photos.write(tmp_path / "small.png", photos.image(40, 40))
    status, lines = run(tmp_path / "gone.jpg", text, small, photo, box=BOX)
    assert status == 1
    messages = [
        "gone.jpg: no such",
        "text.jpg: not a readable",
        "small.png: pers",
    ]
    assert len(lines) == len(messages)
    for line, words in zip(lines, messages, strict=True):
        assert words in line
        assert "\n" not in line
    assert "outside the image of 40 x 40" in lines[2]
    assert written(tmp_path) == files_of("street_0")


def test_an_error_of_many_lines_becomes_one(run, photo, monkeypatch):
    def refuse(path):
        raise ValueError("first line\n  second line")

    monkeypatch.setattr(image_files, "read_photo", refuse)
    assert run(photo, box=BOX) == (1, ["first line second line"])


def test_a_bad_box_leaves_the_others_their_numbers(run, photo, tmp_path):
    path = box_files.save(tmp_path / "b.json", [BOX, (900, 0, 5, 5), BOX])
    status, lines = run(photo, boxes=path)
    assert status == 1
    assert len(lines) == 1
    assert "street.png: person 1: The box (900, 0, 5, 5)" in lines[0]
    assert written(tmp_path) == files_of("street_0", "street_2")


def answers_wrongly(model, monkeypatch, row, field, value):
    """Makes the model's answer to one person of a batch a wrong one."""
    call = type(model).__call__

    def answer(self, images, **values):
        prediction = call(self, images, **values)
        changed = np.array(getattr(prediction, field))
        changed[row] = value
        return prediction._replace(**{field: changed})

    monkeypatch.setattr(type(model), "__call__", answer)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vertices", np.nan, "the model's vertices are not finite"),
        ("rotmats", np.inf, "the model's rotmats are not finite"),
        ("camera", (0.0, 0.0, 0.0), "scale s = 0, which puts the body"),
        ("camera", (-0.5, 0.0, 0.0), "scale s = -0.5, which puts the body"),
        ("camera", (1e-42, 0.0, 0.0), "at infinity"),
    ],
)
def test_an_answer_that_is_no_person_leaves_the_others(
    run, photo, tmp_path, model, monkeypatch, field, value, message
):
    answers_wrongly(model, monkeypatch, 1, field, value)
    path = box_files.save(tmp_path / "b.json", [BOX, BOX, BOX])
    status, lines = run(photo, boxes=path)
    assert status == 1
    assert len(lines) == 1
    assert "street.png: person 1: " in lines[0] and message in lines[0]
    assert written(tmp_path) == files_of("street_0", "street_2")


@pytest.mark.parametrize(
    ("module", "name"),
    [(task.inference, "recover"), (task.person_files, "write")],
)
def test_opencv_s_errors_name_the_photo(
    run, photo, tmp_path, monkeypatch, module, name
):
    other_photo = photos.write(tmp_path / "other.png", photos.image(90, 90))
    original = getattr(module, name)

    def fail(*args, **values):
        monkeypatch.setattr(module, name, original)
        cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))

    monkeypatch.setattr(module, name, fail)
    status, lines = run(photo, other_photo, box=BOX)
    assert status == 1
    assert len(lines) == 1
    assert "street.png: " in lines[0] and "OpenCV" in lines[0]
    assert written(tmp_path) == files_of("other_0")


def test_folder_means_its_photos_each_once(run, tmp_path):
    folder = tmp_path / "in"
    for name in ("b.PNG", "a.jpg"):
        photos.write(folder / name, photos.image(90, 90))
    (folder / "notes.txt").write_text("no photo")
    assert run(folder, folder / "a.jpg", box=BOX) == (0, [])
    assert written(tmp_path) == files_of("a_0", "b_0")


def test_photos_of_other_kinds_in_a_folder_are_named(run, tmp_path):
    folder = tmp_path / "in"
    photos.write(folder / "a.jpg", photos.image(90, 90))
    for name in ("a.HEIC", "b.cr2", "._c.heic", "d.mp4"):
        (folder / name).write_bytes(b"no photo that is read")
    status, lines = run(folder, box=BOX)
    assert status == 1
    assert lines == [
        f"{folder / 'a.HEIC'}: a HEIC is not read: convert it to JPEG or PNG.",
        f"{folder / 'b.cr2'}: a CR2 is not read: convert it to JPEG or PNG.",
    ]
    assert written(tmp_path) == files_of("a_0")


def test_links_to_nothing_in_a_folder_are_named(run, tmp_path):
    photos.write(tmp_path / "some" / "a.jpg", photos.image(90, 70))
    (tmp_path / "some" / "b.jpg").symlink_to("nothing.jpg")
    (tmp_path / "some" / "c.jpg").symlink_to("c.jpg")
    status, lines = run(tmp_path / "some", box=BOX)
    assert status == 1 and written(tmp_path) == files_of("a_0")
    assert ["b.jpg" in line for line in lines] == [True, False]
    assert ["c.jpg" in line for line in lines] == [False, True]


def test_a_full_disk_leaves_no_half_of_a_file(run, photo, tmp_path):
    status, _ = run(photo, box=BOX)
    folder = tmp_path / "out"
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    for size in {len(content) - 1 for content in contents.values()}:
        with full_disk.files_of_at_most(size):
            status, lines = run(photo, box=BOX)
        assert status == 1 and len(lines) == 1, size
        assert "too large" in lines[0] and str(folder) in lines[0]
        assert {p: p.read_bytes() for p in folder.iterdir()} == contents


def test_folder_without_photos_is_a_failure(run, tmp_path):
    (tmp_path / "empty").mkdir()
    status, lines = run(tmp_path / "empty")
    assert status == 1
    assert "empty: no photo or video in this folder" in lines[0]


def test_results_of_equal_stems_do_not_collide(run, tmp_path):
    image = photos.image(90, 90)
    paths = [
        photos.write(tmp_path / name, image)
        for name in ("x/a.png", "y/a.png", "y/A.jpg", "y/a-2.png")
    ]
    assert run(*paths, box=BOX) == (0, [])
    assert written(tmp_path) == files_of("a_0", "a-2_0", "a-3_0", "A-4_0")


def test_usage_errors(run, photo, tmp_path):
    assert run() == (1, ["Give at least one photo or folder of photos."])
    result = run(photo, box=BOX, boxes=tmp_path / "b.json")
    assert result == (1, ["Give --box or --boxes, not both."])
    status, lines = run(photo, boxes=tmp_path / "b.json")
    assert status == 1
    assert "b.json: no such file of boxes" in lines[0]


def test_missing_weights_from_the_shell(photo, tmp_path):
    completed = subprocess.run(
        [
            *(sys.executable, "-m", "tf_hmr", photo, tmp_path / "gone.jpg"),
            *("--weights", tmp_path / "none", "--out", tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 1
    assert "Traceback" not in completed.stderr
    lines = [line for line in completed.stderr.splitlines() if "none" in line]
    assert len(lines) == 1
    assert f"No model in {tmp_path / 'none'}" in lines[0]
    assert "gone.jpg: no such photo" in completed.stderr


def test_weights_of_another_body_are_refused(
    photo, model_folder, tmp_path, caplog
):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / method.CONFIG_FILE).read_text())
    config["topology"] = "smpl"
    (folder / method.CONFIG_FILE).write_text(json.dumps(config))
    args = cli.Args((photo,), folder, tmp_path / "out", box=BOX)
    assert cli.main(args) == 1
    assert "topology 'smpl'" in caplog.messages[0]


def test_openpose_folder_gives_each_photo_its_file(run, tmp_path):
    image = photos.image(300, 260)
    paths = [photos.write(tmp_path / f"{n}.png", image) for n in "abc"]
    folder = tmp_path / "openpose"
    folder.mkdir()
    two = box_files.openpose(
        box_files.body25(10, 20, 50, 90), box_files.body25(60, 5, 40, 80)
    )
    box_files.save(folder / "a_keypoints.json", two)
    box_files.save(folder / "b_keypoints.json", box_files.openpose())
    status, lines = run(*paths, boxes=folder)
    assert status == 1
    assert written(tmp_path) == files_of("a_0", "a_1")
    assert len(lines) == 2
    assert "b.png: the boxes name no person" in lines[0]
    assert "c_keypoints.json" in lines[1]


@pytest.fixture
def find(monkeypatch, tmp_path, caplog):
    """Runs the command without weights, as `run` does; lifts only."""
    lift = recovery.Recoverer("lift")
    monkeypatch.setattr(task.recovery, "Recoverer", lambda *_: lift)

    def find(*paths, **values):
        caplog.clear()
        args = cli.Args(paths, out=tmp_path / "out", method="lift", **values)
        with caplog.at_level(logging.WARNING):
            status = cli.main(args)
        return status, caplog.messages

    return find


def test_everybody_in_photos_without_boxes_or_weights(find, tmp_path):
    folder = tmp_path / "in"
    image = rendered_groups.group(0).image
    photos.write(folder / "group.png", image)
    photos.write(folder / "empty.png", photos.image(300, 260))
    single, truth = rendered_groups.person(1)
    photos.write(folder / "one.png", single)
    status, lines = find(folder, max_people=3)
    assert status == 0
    nobody, few = lines
    assert "empty.png: nobody was found in it." in nobody
    assert "group.png: " in few and "3 largest are taken" in few
    stems = ("group_0", "group_1", "group_2", "one_0")
    assert written(tmp_path) == files_of(*stems)
    facts = json.loads((tmp_path / "out" / "one_0.json").read_text())
    assert facts["method"] == "lift" and facts["weights"] == "lifter"
    assert 0 < facts["reprojection_px_at_224"] < recovery.MAX_ERROR_PX
    x, y, visible = facts["landmarks"]["left_hip"]
    row = joints.KEYPOINTS.index("left_hip")
    assert (
        np.hypot(x - truth.keypoints[row, 0], y - truth.keypoints[row, 1]) < 20
    )
    assert 0 <= visible <= 1
    overlay = image_files.read_photo(tmp_path / "out" / "group_people.png")
    assert overlay.shape == image.shape
    assert (overlay != image).any(axis=-1).mean() > 0.02


def test_boxes_without_weights_say_where_to_look(find, tmp_path):
    image, truth = rendered_groups.person(1)
    photo = photos.write(tmp_path / "one.png", image)
    boxes = [(0, 0, 9, 9), rendered_groups.box_of(truth), (-90, 0, 5, 5)]
    path = box_files.save(tmp_path / "b.json", boxes)
    status, lines = find(photo, boxes=path)
    assert status == 1
    assert "one.png: person 2: The box (-90, 0, 5, 5)" in lines[0]
    assert "one.png: person 0: there seems to be nobody" in lines[1]
    assert written(tmp_path) == files_of("one_1")


def test_weights_see_the_boxes_of_those_who_are_found(run, tmp_path):
    image, truth = rendered_groups.person(1)
    photo = photos.write(tmp_path / "one.png", image)
    assert run(photo) == (0, [])
    assert written(tmp_path) == files_of("one_0")
    facts = json.loads((tmp_path / "out" / "one_0.json").read_text())
    x, y, width, height = facts["box_px"]
    low = truth.keypoints[:, :2].min(axis=0)
    high = truth.keypoints[:, :2].max(axis=0)
    assert np.abs(np.array([x, y]) - low).max() < 25
    assert np.abs(np.array([x + width, y + height]) - high).max() < 25


def test_a_missing_network_is_one_line_with_what_to_type(
    photo, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("TF_HMR_CACHE", str(tmp_path / "cache"))
    args = cli.Args((photo,), out=tmp_path / "out")
    with caplog.at_level(logging.WARNING):
        assert cli.main(args) == 1
    (line,) = caplog.messages
    assert landmark_files.LANDMARKS.sha256 in line
    assert "`python -m tf_hmr.landmark_files`" in line


def test_a_photo_named_like_a_person_of_another(tmp_path):
    paths = [tmp_path / name for name in ("a_0.jpg", "a.jpg", "b_1.jpg")]
    names = cli.unique_names(paths)
    assert list(names.values()) == ["a_0-2", "a", "b_1"]


def test_photos_are_taken_together_until_they_are_many():
    def photo(people, side=10):
        sighting = sightings.Sighting(dict.fromkeys(range(people)), [])
        return photo_reading.Photo(
            None, np.zeros((side, side, 0)), None, sighting
        )

    most = task._CHUNK_PEOPLE
    photos_ = [photo(most - 1), photo(1), photo(0), photo(1, 20_000), photo(2)]
    chunks = [len(chunk) for chunk in task._chunks(photos_)]
    assert chunks == [2, 2, 1]
