"""The device's one file on photos: beside the library, and its errors."""

import json
import pathlib
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
import tensorflow as tf

import tf_hmr
from edge import run as device
from edge.conversion import card as cards
from edge.conversion import tflite as convert
from tests.support import full_disk, photos
from tests.support.closeness import assert_close
from tf_hmr import inference, rendering
from tf_hmr.formats import image_files
from tf_hmr.geometry import camera, crop

BOX = (60.0, 30.0, 90.0, 200.0)


@pytest.fixture
def photo(tmp_path):
    return photos.write(tmp_path / "street.png", photos.image(300, 260))


def run(capsys, *arguments):
    """(status, lines of stdout, lines of errors) of the device's command."""
    status = device.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def copied(tflite, folder, name="m"):
    """A model's three files in another folder."""
    for ending in (".tflite", ".card.json", ".mesh.npz"):
        content = tflite.with_suffix(ending).read_bytes()
        (folder / (name + ending)).write_bytes(content)
    return folder / (name + ".tflite")


def test_device_runs_without_tensorflow_outside_the_project(
    tflite, photo, tmp_path
):
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "run.py").write_text(pathlib.Path(device.__file__).read_text())
    code = (
        "import sys; sys.modules['tensorflow'] = None; import run; "
        "sys.exit(run.main(sys.argv[1:]))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code, tflite, photo, "--out", folder / "out"],
        cwd=folder,
        env={"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    (line,) = lines_of(folder / "out" / "street.jsonl")
    assert list(line["ms"]) == ["crop", "model", "smooth", "draw"]
    assert all(ms > 0 for ms in line["ms"].values())
    assert (folder / "out" / "street_overlay.png").is_file()


@pytest.mark.parametrize("side", [20.0, 63.7, 200.0, 551.3, 900.0, 2000.0])
def test_crop_rule_is_the_library_s(side, rng):
    image = photos.image(640, 480)
    for _ in range(5):
        corner = rng.uniform((-side / 2, -side / 2), (640 - 9, 480 - 9))
        box = (*corner, side * rng.uniform(0.2, 1.0), side)
        ours = device.square_box(box, 1.2)
        assert ours == crop.square_box(box, 1.2)
        for size in (64, 97, 224):
            np.testing.assert_array_equal(
                device.crop_image(image, ours, size),
                crop.crop_image(image, ours, size),
            )


@pytest.fixture
def photo_answers(tmp_path):
    """What the device and the library read of a file: RGB, or the cause."""

    def answers(content, ending=".jpg"):
        path = tmp_path / f"photo{ending}"
        path.write_bytes(content)
        readers = (
            lambda: device.read_photo(str(path))[..., ::-1],
            lambda: image_files.read_photo(path),
        )
        for read in readers:
            try:
                yield read()
            except ValueError as error:
                yield str(error)

    return answers


WHOLE_JPEGS = photos.whole_jpegs(photos.image(160, 200))


@pytest.mark.parametrize("name", WHOLE_JPEGS)
def test_whole_jpegs_are_read_as_the_library_reads_them(
    photo_answers, name, capfd
):
    ours, library_s = photo_answers(WHOLE_JPEGS[name])
    assert ours.shape == (200, 160, 3)
    np.testing.assert_array_equal(ours, library_s)


BAD_JPEGS = photos.bad_jpegs(photos.image(320, 400)) | {
    "a bomb": photos.jpeg_of_size(30_000, 30_000),
    "PNG of billions": photos.png_of_billions(),
    "a smaller bomb": photos.jpeg_of_size(20_000, 10_000),
    "PNG of millions": photos.png_of_size(20_000, 10_000),
    "no picture": b"\xff\xd8\xff\xd9",
    "fill without end": b"\xff\xd8" + b"\xff" * 10**6,
    "empty": b"",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
}


@pytest.mark.parametrize("name", BAD_JPEGS)
def test_bad_photos_are_refused_as_the_library_refuses_them(
    photo_answers, name, capfd
):
    ours, library_s = photo_answers(BAD_JPEGS[name])
    phrases = ("cut short", "damaged", "megapixels", "too few bytes", "HEIC")
    causes = [phrase for phrase in phrases if phrase in ours]
    assert causes == [phrase for phrase in phrases if phrase in library_s]
    assert causes or ours == "not a readable image"
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    ("turn", "is_read"),
    [(b"", True), (b"\0\0\0\x09irot\x01", False), (b"\0\0\0\x09imir\0", False)],
)
def test_avif_is_read_upright_or_not_at_all(photo_answers, turn, is_read):
    image = photos.image(64, 48)
    encoded = cv2.imencode(".avif", image[..., ::-1])[1].tobytes()
    meta = encoded.index(b"meta") - 4
    length = int.from_bytes(encoded[meta : meta + 4], "big")
    # In a box of its own, whose place within the meta box does not matter.
    box = (len(turn) + 8).to_bytes(4, "big") + b"free" + turn if turn else b""
    content = (
        encoded[:meta]
        + (length + len(box)).to_bytes(4, "big")
        + encoded[meta + 4 : meta + length]
        + box
        + encoded[meta + length :]
    )
    ours, library_s = photo_answers(content, ".avif")
    if is_read:
        assert ours.shape == library_s.shape == image.shape
    else:
        assert "AVIF that is to be turned" in ours
        assert "AVIF that is to be turned" in library_s


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".webp", ".ppm"])
def test_other_kinds_are_read_as_the_library_reads_them(photo_answers, ending):
    image = photos.image(64, 48)
    encoded = cv2.imencode(ending, image[..., ::-1])[1].tobytes()
    ours, library_s = photo_answers(encoded, ending)
    np.testing.assert_array_equal(ours, library_s)
    ours, library_s = photo_answers(encoded[: len(encoded) // 2], ending)
    cause = "PNG is cut short" if ending == ".png" else "not a readable image"
    assert ours == cause and cause in library_s


def test_a_turned_tiff_is_upright(photo_answers):
    image = photos.image(64, 48)
    settings = (cv2.IMWRITE_TIFF_COMPRESSION, 1)
    encoded = cv2.imencode(".tif", image[..., ::-1], settings)[1].tobytes()
    start = int.from_bytes(encoded[4:8], "little")
    count = int.from_bytes(encoded[start : start + 2], "little")
    entries = [
        encoded[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)
    ]
    entries = [e for e in entries if e[:2] != b"\x12\x01"]
    entries.append(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0")  # Orientation 6.
    entries.sort(key=lambda e: int.from_bytes(e[:2], "little"))
    directory = len(entries).to_bytes(2, "little") + b"".join(entries)
    content = (
        encoded[:4]
        + len(encoded).to_bytes(4, "little")
        + encoded[8:]
        + directory
        + bytes(4)
    )
    ours, library_s = photo_answers(content, ".tif")
    assert ours.shape == (64, 48, 3)
    np.testing.assert_array_equal(ours, library_s)


def test_constants_are_the_library_s():
    assert device.MAX_PIXELS == tf_hmr.MAX_IMAGE_PIXELS
    assert sorted(device.PHOTOS) == sorted(image_files.SUFFIXES)
    assert device.OTHER_PHOTOS == image_files.OTHER_SUFFIXES
    assert device.CONVERT == image_files.CONVERT
    assert device.FOCAL_OVER_SIDE == inference.FOCAL_OVER_SIDE
    assert set(device.OUTPUTS) == set(convert.OUTPUTS)


def test_device_finds_the_person_that_the_library_finds(
    capsys, tflite, photo, tmp_path, model
):
    status, lines, errors = run(
        capsys, tflite, photo, "--box", *BOX, "--out", tmp_path
    )
    assert (status, errors) == (0, [])
    assert lines == [f"{tmp_path / 'street'}.jsonl: 1 frames"]
    (record,) = lines_of(tmp_path / "street.jsonl")
    (person,) = inference.recover(model, photo, [BOX])
    assert (record["state"], record["track"], record["frame"]) == (
        "start",
        0,
        0,
    )
    assert_close("tflite_metres", record["joints_m"], person.joints)
    # A rotation by nearly pi is the same as one the other way round.
    turns = [cv2.Rodrigues(np.array(v))[0] for v in record["pose_rotvec"]]
    assert_close("tflite_metres", turns, person.rotmats)
    assert_close("tflite_metres", record["betas"], person.betas)
    assert_close("tflite_px", record["keypoints_px"], person.keypoints_px)
    assert_close("same_camera", record["translation_m"], person.translation)
    assert_close("relative_float32", record["focal_px"], person.focal_px)
    assert record["principal_point_px"] == [149.5, 129.5]
    assert_close(
        "relative_float32", record["principal_point_px"], person.principal_point
    )
    assert_close("relative_float32", record["crop_box_px"], person.crop_box)
    assert record["topology"] == person.topology


def test_whole_photo_is_the_default_box(capsys, tflite, photo, tmp_path):
    run(capsys, tflite, photo, "--out", tmp_path)
    (record,) = lines_of(tmp_path / "street.jsonl")
    assert record["box_px"] == [0, 0, 300, 260]
    assert record["crop_box_px"] == [0, -20, 300, 300]


def test_device_draws_where_the_person_is(capsys, tflite, tmp_path, model):
    black = np.zeros((780, 900, 3), np.uint8)
    photo = photos.write(tmp_path / "black.png", black)
    box = [3 * number for number in BOX]
    run(capsys, tflite, photo, "--box", *box, "--out", tmp_path)
    drawn_mask = image_files.read_photo(tmp_path / "black_overlay.png").any(
        axis=-1
    )
    # The device draws the weak perspective: perspective from far away.
    (person,) = inference.recover(model, photo, [box], focal_px=3e6)
    view = rendering.View(900, 780, person.focal_px, person.principal_point)
    data = model.body.data
    faces = data.lite_vertices[data.lite_faces]
    covered = rendering.silhouette(person.camera_vertices, faces, view)
    # OpenCV also fills the pixels that an outline touches.
    around = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3))) > 0
    assert covered.sum() > 10_000
    assert not (drawn_mask & ~around).any()
    assert not (covered & ~drawn_mask).any()


def test_without_a_coarse_mesh_all_faces_are_drawn(tflite, tmp_path, body_data):
    model = copied(tflite, tmp_path)
    np.savez(tmp_path / "m.mesh.npz", faces=body_data.faces)
    np.testing.assert_array_equal(device.Model(model).faces, body_data.faces)
    coarse = device.Model(tflite).faces
    assert len(coarse) == len(body_data.lite_faces) < len(body_data.faces)


def test_near_triangles_hide_far_ones():
    # Both face the camera (their normals point to -z); the second is nearer.
    square = [(-1, -1), (1, -1), (1, 1)]
    vertices = np.array(
        [(*xy, 0.5) for xy in square] + [(*xy, -0.5) for xy in square]
    )
    tilt = np.array([0, 0, 0, 0, 0.5, 0.5])  # Else both are equally bright.
    vertices[:, 2] += tilt
    faces = np.array([[0, 2, 1], [3, 5, 4]])

    def middle(order):
        image = np.zeros((40, 40, 3), np.uint8)
        device.draw(image, vertices, 18 * vertices[:, :2] + 20, faces[order])
        return image[12, 28].tolist()

    near_colour = middle([1])
    assert near_colour != middle([0])
    assert near_colour != [0, 0, 0]
    assert middle([0, 1]) == near_colour
    assert middle([1, 0]) == near_colour


def test_what_is_wrong_with_photos_is_one_line_each(
    capsys, tflite, photo, tmp_path
):
    (tmp_path / "text.jpg").write_bytes(photos.png_of_billions())
    (tmp_path / "empty.jpg").touch()
    small = photos.write(tmp_path / "small.png", photos.image(40, 40))
    sources = [tmp_path / n for n in ("gone.jpg", "text.jpg", "empty.jpg")]
    status, lines, errors = run(
        *(capsys, tflite, *sources, small, photo),
        *("--box", *BOX, "--out", tmp_path / "out"),
    )
    assert status == 1
    assert len(lines) == 1 and "street.jsonl" in lines[0]
    errors = [line for line in errors if "] global " not in line]
    assert len(errors) == 4
    assert "gone.jpg: no such film or camera" in errors[0]
    assert "text.jpg: " in errors[1] and "300 megapixels" in errors[1]
    assert "empty.jpg: not a readable image" in errors[2]
    assert "small.png: box [60.0, 30.0, 90.0, 200.0] lies outside" in errors[3]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vertices", np.nan, "['vertices'] not finite"),
        ("camera", 0.0, "scale of 0 or less"),
        ("camera", -1.0, "scale of 0 or less"),
    ],
)
def test_an_answer_that_is_no_person_is_one_line(
    capsys, tflite, photo, tmp_path, monkeypatch, field, value, message
):
    call = device.Model.__call__

    def answer(self, *crop):
        outputs = call(self, *crop)
        outputs[field] = np.full_like(outputs[field], value)
        return outputs

    monkeypatch.setattr(device.Model, "__call__", answer)
    out = tmp_path / "out"
    status, lines, errors = run(capsys, tflite, photo, "--out", out)
    assert (status, lines, len(errors)) == (1, [], 1)
    assert errors[0].startswith(f"{photo}: ") and message in errors[0]
    (line,) = lines_of(out / "street.jsonl")
    assert line["state"] == "lost" and message in line["reason"]


def test_a_full_disk_leaves_the_old_picture(capsys, tflite, photo, tmp_path):
    old = tmp_path / "out" / f"{photo.stem}_overlay.png"
    old.parent.mkdir()
    old.write_bytes(b"old")
    with full_disk.files_of_at_most(30_000):
        status, _, (line,) = run(capsys, tflite, photo, "--out", old.parent)
    assert status == 1 and line.startswith(f"{photo}: ")
    assert old.read_bytes() == b"old"
    names = {path.name for path in old.parent.iterdir()}
    assert names == {old.name, f"{photo.stem}.jsonl"}


def test_a_folder_is_its_photos_and_equal_stems_do_not_collide(
    capsys, tflite, tmp_path
):
    image = photos.image(90, 90)
    for name in ("x/a.png", "x/b.jpg", "y/a.png"):
        photos.write(tmp_path / name, image)
    (tmp_path / "x" / "notes.txt").touch()
    (tmp_path / "x" / "._a.png").touch()  # of macOS
    out = tmp_path / "out"
    status, _, errors = run(
        capsys, tflite, tmp_path / "x", tmp_path / "y", "--out", out
    )
    assert (status, errors) == (0, [])
    names = sorted(path.name for path in out.glob("*.jsonl"))
    assert names == ["a-2.jsonl", "a.jsonl", "b.jsonl"]
    photos.write(tmp_path / "x" / "a-2.png", image)
    sources = [tmp_path / name for name in ("x/a.png", "y/a.png", "x/a-2.png")]
    run(capsys, tflite, *sources, "--out", tmp_path / "three")
    assert len(list((tmp_path / "three").glob("*.jsonl"))) == 3


def test_sources_and_folders_that_cannot_be_are_one_line(
    capsys, tflite, photo, tmp_path
):
    (tmp_path / "bare").mkdir()
    pipeline = "videotestsrc ! appsink" + 300 * " "
    existing_file = tmp_path / "taken"
    existing_file.touch()
    for source, out, message in (
        (tmp_path / "bare", tmp_path, "no photos"),
        (pipeline, tmp_path, "GStreamer"),
        (photo, existing_file, f"File exists: '{existing_file}'"),
    ):
        status, _, errors = run(capsys, tflite, source, "--out", out)
        assert (status, len(errors)) == (1, 1)
        assert message in errors[0]


@pytest.mark.parametrize("focal", ["nan", "inf", "-5", "1e999"])
def test_a_focal_length_that_is_none_is_one_line(capsys, tflite, photo, focal):
    status, _, errors = run(capsys, tflite, photo, f"--focal={focal}")
    assert (status, len(errors)) == (1, 1)
    assert errors[0].startswith("--focal ") and "expected" in errors[0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"faces": [[0, 1, -2]]}, "faces of its .mesh.npz are no indices"),
        ({"faces": [[0.0, 1.0, 2.0]]}, "faces of its .mesh.npz are no indices"),
        ({"faces": [0, 1, 2]}, "no triangles"),
        ({"faces": np.zeros((0, 3), int)}, "no triangles"),
        (b"noise" * 9, "its .mesh.npz is damaged"),
        (
            {"faces": [[0, 1, 2]], "lite_faces": [[0, 0, -1]]},
            "lite_faces of its .mesh.npz are no indices",
        ),
    ],
)
def test_faces_that_are_no_indices_are_one_line(
    capsys, tflite, photo, tmp_path, arrays, words
):
    model = copied(tflite, tmp_path)
    if isinstance(arrays, bytes):
        (tmp_path / "m.mesh.npz").write_bytes(arrays)
    else:
        np.savez(tmp_path / "m.mesh.npz", **arrays)
    status, _, errors = run(capsys, model, photo, "--out", tmp_path)
    assert (status, len(errors)) == (1, 1)
    assert words in errors[0]


def test_a_card_of_a_crop_that_is_none_is_one_line(
    capsys, tflite, photo, tmp_path
):
    model = copied(tflite, tmp_path)
    path = model.with_suffix(".card.json")
    card = json.loads(path.read_text())
    for scale in (-1.0, 0, float("nan")):
        path.write_text(json.dumps(card | {"crop": {"scale": scale}}))
        status, _, errors = run(capsys, model, photo, "--out", tmp_path)
        assert (status, len(errors)) == (1, 1)
        assert "crop scale" in errors[0]


def test_photos_of_other_kinds_in_a_folder_are_named(capsys, tflite, tmp_path):
    folder = tmp_path / "in"
    photos.write(folder / "a.jpg", photos.image(90, 90))
    for name in ("a.HEIC", "b.cr2", "._c.heic", "d.txt"):
        (folder / name).write_bytes(b"no photo that is read")
    status, lines, errors = run(capsys, tflite, folder, "--out", tmp_path)
    assert (status, len(lines)) == (1, 1)
    assert errors == [
        f"{folder / 'a.HEIC'}: a HEIC is not read: convert it to JPEG or PNG",
        f"{folder / 'b.cr2'}: a CR2 is not read: convert it to JPEG or PNG",
    ]


def test_a_mesh_of_another_body_is_one_line(capsys, tflite, photo, tmp_path):
    model = copied(tflite, tmp_path)
    np.savez(tmp_path / "m.mesh.npz", faces=[[0, 1, 10**5]])
    status, _, errors = run(capsys, model, photo, "--out", tmp_path)
    assert (status, len(errors)) == (1, 1)
    assert "another body" in errors[0]


def test_boxes_of_several_people_come_from_json(capsys, tflite, tmp_path):
    photo = photos.write(tmp_path / "two.png", photos.image(300, 260))
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([BOX, [150, 20, 100, 220]]))
    run(capsys, tflite, photo, "--boxes", boxes, "--out", tmp_path)
    lines = lines_of(tmp_path / "two.jsonl")
    assert [line["track"] for line in lines] == [0, 1]
    assert [line["box_px"][0] for line in lines] == [60, 150]
    for content in (
        *("{", '["x"]', "[[1, 2, 3]]", "[[1, 2, -3, 4]]", "5", "null", "{}"),
        *("[]", "[[0, 0, Infinity, Infinity]]", '[["a", 1, 2, 3]]'),
        *("[[0, 0, 1e-300, 9]]", "[[0, 0, 1e300, 9]]", "[" * 100_000),
        f"[[0, 0, {10**400}, 9]]",
    ):
        boxes.write_text(content)
        status, _, errors = run(
            capsys, tflite, photo, "--boxes", boxes, "--out", tmp_path
        )
        assert (status, len(errors)) == (1, 1)
        assert errors[0].startswith(f"{photo}: ")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_odd_box_leaves_the_others(capsys, tflite, tmp_path, encoding):
    photo = photos.write(tmp_path / "two.png", photos.image(300, 260))
    odd = (
        [1, 2, 3],
        None,
        "1234",
        [1, 2, 0, 4],
        [0.1, 0.1, 0.5, 0.5],
        [None] * 4,
    )
    boxes = tmp_path / "boxes.json"
    content = json.dumps([BOX, *odd, [150, 20, 100, 220]])
    boxes.write_bytes(content.encode(encoding))
    status, _, errors = run(
        capsys, tflite, photo, "--boxes", boxes, "--out", tmp_path
    )
    assert status == 0
    (line,) = errors
    assert line.startswith(f"{photo}: boxes [1, 2, 3, 4, 5, 6] are left out")
    lines = lines_of(tmp_path / "two.jsonl")
    assert [line["box_px"][0] for line in lines] == [60, 150]
    for text in (json.dumps(odd), "[" * 10**5):
        boxes.write_text(text)
        status, _, errors = run(
            capsys, tflite, photo, "--boxes", boxes, "--out", tmp_path
        )
        assert (status, len(errors)) == (1, 1)


@pytest.mark.parametrize("length", [0, 4, 100, 0.5, 0.99])
@pytest.mark.parametrize("ending", [".tflite", ".card.json", ".mesh.npz"])
def test_what_is_cut_off_is_one_line(
    capsys, tflite, photo, tmp_path, length, ending
):
    model = copied(tflite, tmp_path)
    content = tflite.with_suffix(ending).read_bytes()
    length = int(length * len(content) if length < 1 else length)
    model.with_suffix(ending).write_bytes(content[:length])
    # tflite-runtime 2.14 does not raise on a cut model, it kills the process.
    status, lines, errors = run(capsys, model, photo, "--out", tmp_path)
    assert (status, lines, len(errors)) == (1, [], 1)
    assert errors[0].startswith(f"{model} cannot be run here: ")
    assert ".tflite, .card.json, .mesh.npz whole" in errors[0]


@pytest.mark.parametrize("kind", ["bit", "zeros"])
def test_a_damaged_model_of_the_right_size_is_one_line(
    capsys, tflite, photo, tmp_path, kind
):
    model = copied(tflite, tmp_path)
    content = bytearray(tflite.read_bytes())
    middle = len(content) // 2
    if kind == "bit":
        content[middle] ^= 1
    else:
        content[middle : middle + 4096] = bytes(4096)
    model.write_bytes(content)
    status, output, errors = run(capsys, model, photo, "--out", tmp_path)
    assert (status, output, len(errors)) == (1, [], 1)
    assert f"{model} cannot be run here: " in errors[0]
    assert "sha256" in errors[0]
    with pytest.raises(ValueError, match=f"{model} is damaged"):
        cards.check_content(model, bytes(content), cards.read(model))


def test_a_model_of_an_older_card_is_run(capsys, tflite, photo, tmp_path):
    model = copied(tflite, tmp_path)
    path = model.with_suffix(".card.json")
    card = json.loads(path.read_text())
    del card["sha256"]
    path.write_text(json.dumps(card))
    status, _, errors = run(capsys, model, photo, "--out", tmp_path)
    assert (status, errors) == (0, [])
    cards.check_content(model, model.read_bytes(), cards.read(model))


def test_missing_and_foreign_models_are_one_line(capsys, tflite, tmp_path):
    status, _, errors = run(capsys, tmp_path / "none.tflite")
    assert (status, len(errors)) == (1, 1)
    assert "none.card.json" in errors[0]

    class Doubler(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
        def __call__(self, x):
            return {"y": 2 * x}

    module = Doubler()
    tf.saved_model.save(module, str(tmp_path / "m"), module.__call__)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m"))
    foreign = copied(tflite, tmp_path, "foreign")
    foreign.write_bytes(converter.convert())
    card = json.loads(tflite.with_suffix(".card.json").read_text())
    card |= cards.of_content(foreign.read_bytes())
    foreign.with_suffix(".card.json").write_text(json.dumps(card))
    status, _, errors = run(capsys, foreign)
    assert (status, len(errors)) == (1, 1)
    assert f"{foreign} cannot be run here: " in errors[0]


@pytest.mark.parametrize("focal_px", [None, 333.0])
def test_inputs_of_a_crop_are_those_of_recover(focal_px):
    """Box, image_size and intrinsics, whether the focal length is known."""
    image = photos.image(300, 260)
    square = device.square_box((40.0, 30.0, 90.0, 150.0), 1.2)
    reader = types.SimpleNamespace(input_names=device.INPUTS, image_size=64)
    intrinsics = camera.default_intrinsics((300, 260))
    if focal_px:
        intrinsics[:2] = focal_px
    expected = inference.crop_inputs(reader, image, [square], intrinsics)
    crop = device.crop_image(image, square, 64)
    inputs = device.inputs_of(crop, square, (300, 260), focal_px or 0.0)
    assert set(inputs) == set(expected)
    for name in ("box", "image_size", "intrinsics"):
        assert_close("relative_float32", inputs[name], expected[name][0])
