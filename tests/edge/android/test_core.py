"""The app's logic, on a JVM: what edge/run.py and tf_hmr.detection answer."""

import json

import cv2
import numpy as np
import pytest

from tests.support import photos
from tests.support.phone_vectors import arrays

pytestmark = pytest.mark.android


@pytest.mark.parametrize(
    "name, part, count",
    [("CropChecks", "crops", 2), ("FinderChecks", "finder", 1)],
)
def test_crops_and_people_are_those_of_python(
    name, part, count, run_checks, phone_vectors_of, checks, core, platform
):
    folder = phone_vectors_of(part)
    measured = run_checks(name, folder, [checks, core, platform])
    assert len(measured) == count


def test_tracks_and_their_lines_are_those_of_run_py(
    tmp_path, run_checks, phone_vectors_of, checks, core, platform
):
    folder, lines = phone_vectors_of("tracks"), tmp_path / "lines.jsonl"
    class_path = [checks, core, platform]
    measured = run_checks("TrackChecks", folder, class_path, lines=lines)
    assert set(measured) == {"tracks", "normals"}
    expected = [
        (number, frame, track["model"]["topology"])
        for track in arrays.load(folder)["tracks"]
        for number, frame in enumerate(track["frames"])
    ]
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    for row, (number, frame, topology) in zip(rows, expected, strict=True):
        record = frame["record"]
        keys = ["frame", "time_s", *record, "ms", "track", "topology"]
        assert list(row) == keys
        assert row["frame"] == number and row["time_s"] == frame["time_s"]
        assert row["track"] == 0 and row["topology"] == topology
        assert list(row["ms"]) == ["crop", "model", "smooth", "draw"]
        assert row["ms"]["draw"] == 1.25
        for key in set(record) - {"state", "reason", "pose_rotvec"}:
            assert np.shape(row[key]) == np.shape(record[key])
            np.testing.assert_allclose(
                row[key], record[key], rtol=3e-6, atol=1e-3, err_msg=key
            )
        assert row["state"] == record["state"]
        assert row.get("reason") == record.get("reason")


def test_the_gate_takes_the_gpu_only_if_it_is_right(
    tmp_path, run_checks, checks, core, platform
):
    measured = run_checks("GateChecks", tmp_path, [checks, core, platform])
    assert set(measured) == {
        "answerOfNoNumbers",
        "deathInTheMiddle",
        "failureLater",
        "missingLibrary",
        "refusal",
        "rightAnswer",
        "wrongAnswer",
    }


def test_files_that_do_not_fit_each_other_are_refused(
    run_checks, phone_vectors_of, checks, core, platform
):
    folder = phone_vectors_of("networks")
    measured = run_checks("FileChecks", folder, [checks, core, platform])
    assert set(measured) == {"exports", "damaged"}


TURNS = {
    0: lambda image: image,
    90: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    180: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    270: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


@pytest.fixture
def camera_frames(tmp_path, rng):
    """A folder of frames as cameras give them, and OpenCV's RGB of them."""
    folder = arrays.Folder(tmp_path)
    cases = []
    for degrees, turn in TURNS.items():
        for mirror in (False, True):
            for full_range in (False, True):
                for layout in ("planar", "padded", "interleaved"):
                    planes = _planes(rng, 36, 28)
                    rgb = turn(_rgb(planes, full_range))
                    rgb = rgb[:, ::-1] if mirror else rgb
                    case = _laid_out(folder, planes, layout)
                    case |= {"degrees": degrees, "mirror": mirror}
                    case |= {"full_range": full_range}
                    case["rgb"] = folder.add("rgb", rgb)
                    cases.append(case)
    folder.finish({"yuv": cases})
    return tmp_path


@pytest.fixture
def photo_files(tmp_path, rng):
    """A folder of pictures in all orientations, and of files of pictures."""
    folder = arrays.Folder(tmp_path)
    cases = []
    for orientation in range(10):  # 0 and 9 are none.
        content = photos.jpeg_with_orientation(
            photos.image(46, 30), orientation
        )
        raw = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        buffer = np.frombuffer(content, np.uint8)
        stored = cv2.imdecode(buffer, raw)
        upright = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)
        assert orientation < 5 or orientation > 8 or upright.shape[1] == 30
        case = {"orientation": orientation}
        case["stored"] = folder.add("stored", stored)
        case["upright"] = folder.add("upright", upright)
        cases.append(case)
    small = rng.integers(0, 256, (41, 23, 3)).astype(np.uint8)
    photos.write(tmp_path / "small.png", small)
    width, height = 2600, 1800  # More than a phone takes whole.
    photos.write(tmp_path / "large.png", photos.image(width, height))
    files = {"small": "small.png", "large": "large.png"}
    files |= {"width": width, "height": height}
    files["pixels"] = folder.add("pixels", small)
    folder.finish({"orientations": cases, "files": files})
    return tmp_path


def test_photos_are_upright_and_of_a_size_that_memory_holds(
    photo_files, run_checks, checks, core, platform
):
    class_path = [checks, core, platform]
    measured = run_checks("PhotoChecks", photo_files, class_path)
    assert set(measured) == {
        "files",
        "memory",
        "orientations",
        "refusals",
        "samples",
    }
    assert measured["orientations"] == "10 orientations"


def test_what_is_shared_is_whole_and_nothing_else(
    tmp_path, run_checks, checks, core, platform
):
    class_path = [checks, core, platform]
    measured = run_checks("SharedFilesChecks", tmp_path, class_path)
    assert set(measured) == {"failures", "names", "written"}


def test_the_screen_says_what_happened_and_goes_on(
    tmp_path, run_checks, checks, core, platform
):
    class_path = [checks, core, platform]
    measured = run_checks("SessionChecks", tmp_path, class_path)
    assert set(measured) == {
        "boxOfAFinger",
        "cameraFrames",
        "failures",
        "gpuThatFails",
        "loading",
        "manyLines",
        "nobody",
        "photo",
        "photoBeforeTheNetworks",
        "touches",
    }


def _planes(rng, width, height):
    """Y (H, W), U and V (H / 2, W / 2) of all levels."""
    shapes = [(height, width), *2 * [(height // 2, width // 2)]]
    return [rng.integers(0, 256, s).astype(np.uint8) for s in shapes]


def _rgb(planes, full_range):
    y, u, v = planes
    if not full_range:
        stacked = np.concatenate([plane.ravel() for plane in planes])
        stacked = stacked.reshape(len(y) * 3 // 2, -1)
        return cv2.cvtColor(stacked, cv2.COLOR_YUV2RGB_I420)
    # Each colour is that of four pixels.
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in (u, v))
    return cv2.cvtColor(np.dstack([y, v, u]), cv2.COLOR_YCrCb2RGB)


def _laid_out(folder, planes, layout):
    """The planes in memory: strides, and where each begins."""
    height, width = planes[0].shape
    entries = []
    for number, plane in enumerate(planes):
        pad = 0 if layout == "planar" else 12
        pixel_stride = 1
        padded = np.pad(plane, ((0, 0), (0, pad)), constant_values=77)
        if layout == "interleaved" and number:
            # V and U lie in one buffer, and the last row ends with the frame.
            pixel_stride = 2
            chroma = np.full((*padded.shape, 2), 99, np.uint8)
            chroma[..., 0], padded = padded, chroma
        flat = padded.ravel()
        if layout != "planar":
            flat = flat[: len(flat) - pad * pixel_stride - (pixel_stride - 1)]
        offset = number
        entry = folder.add("plane", np.pad(flat, (offset, 0)))
        entry |= {
            "offset": offset,
            "row_stride": (plane.shape[1] + pad) * pixel_stride,
            "pixel_stride": pixel_stride,
        }
        entries.append(entry)
    return {"planes": entries, "width": width, "height": height}


def test_frames_of_a_camera_have_the_colours_of_opencv(
    camera_frames, run_checks, checks, core, platform
):
    class_path = [checks, core, platform]
    measured = run_checks("YuvChecks", camera_frames, class_path)
    assert measured["frames"].startswith("48 frames")
    assert "refusals" in measured
