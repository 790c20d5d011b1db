"""edge.run --find: the second file alone, the folder, and the page."""

import http.client
import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

from edge import finder, finding, live_page
from edge import run as device
from tests.support import rendered_groups, walkers
from tests.support.paths import ROOT
from tf_hmr import joints, landmark_files
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations

_COUNT = 6
_ALLOWED = {"numpy", "cv2", "ai_edge_litert", "tflite_runtime"}
_ROWS = list(joints.select(joints.COCOPLUS19, joints.KEYPOINTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What edge.finder writes, with the lifter."""
    out = tmp_path_factory.mktemp("find")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "_LIFTER_CROPS", 2)  # Each is rendered.
        assert finder.main(finder.Args(out)) == 0
    return out


@pytest.fixture(scope="module")
def copied(folder, tmp_path_factory):
    """Runs a copy of run.py elsewhere, where little can be imported."""
    device_folder = tmp_path_factory.mktemp("device")
    (device_folder / "run.py").write_bytes(
        (ROOT / "edge" / "run.py").read_bytes()
    )
    allowed = sorted(_ALLOWED)
    code = f"""
import os, runpy, sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in ("tensorflow", "keras", "scipy", "tyro", "tqdm"):
            raise ImportError(f"not on devices: {{name}}; only {allowed}")
sys.meta_path.insert(0, Refusing())
sys.path = [p for p in sys.path if os.path.abspath(p) != {str(ROOT)!r}]
sys.argv = ["run.py", *sys.argv[1:]]
runpy.run_path("run.py", run_name="__main__")
"""

    def command(*words):
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            cwd=device_folder,
            capture_output=True,
            text=True,
        )

    return command


def test_everybody_is_followed_by_two_files_and_the_folder(
    copied, folder, tmp_path
):
    images = [image for image, _ in walkers.frames(_COUNT, 2)]
    video = walkers.write(tmp_path / "two.mp4", images)
    result = copied(video, "--find", folder, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "two.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["track"] for line in lines] == [0, 1] * _COUNT
    assert {line["state"] for line in lines[:2]} == {"start"}
    assert {line["state"] for line in lines[2:]} == {"tracked"}
    for line in lines:
        _, people = walkers.frames(_COUNT, 2)[line["frame"]]
        points = np.array(line["keypoints_px"])[_ROWS]
        distances = [
            np.linalg.norm(points - person.keypoints_px, axis=1).mean()
            for person in people
        ]
        # As in tests/tf_hmr/test_videos.py.
        assert min(distances) < 12
    overlay = cv2.VideoCapture(str(tmp_path / "two_overlay.mp4")).read()[1]
    assert cv2.absdiff(overlay, images[0][..., ::-1]).mean() > 1


def test_a_model_of_pictures_takes_no_find(copied, folder, tmp_path):
    result = copied(
        "0", "--find", folder, "--out", tmp_path, "--boxes", "x.json"
    )
    assert result.returncode == 1
    assert "leave --boxes away" in result.stderr


def test_a_folder_without_networks_is_one_line(copied, tmp_path):
    result = copied("0", "--find", tmp_path, "--out", tmp_path)
    assert result.returncode == 1
    assert "cannot be run here" in result.stderr.splitlines()[-1]


def test_the_zip_is_python_3_8_and_imports_nothing_else(folder):
    with zipfile.ZipFile(folder / finder.CODE) as archive:
        sources = {n: archive.read(n).decode() for n in archive.namelist()}
    assert "tf_hmr/detection/tracking.py" in sources
    tops = set()
    for source in sources.values():
        assert "strict=" not in source
        assert finder.for_python_3_8(source)
        for line in source.splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                tops.add(words[1].split(".")[0])
    ours = {"edge", "tf_hmr", "__future__"}
    assert tops - set(sys.stdlib_module_names) - ours <= _ALLOWED


def test_newer_words_are_refused():
    with pytest.raises(SyntaxError):
        finder.for_python_3_8("match 1:\n    case _:\n        pass\n")
    for source in ("x: list[int] = []\n", '"""A."""\nx: list[int] = []\n'):
        text = finder.for_python_3_8(source)
        assert text.index("from __future__") < text.index("x:")


def test_a_missing_network_is_named(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(landmark_files, "folder", lambda: tmp_path)
    assert finder.main(finder.Args(tmp_path / "out")) == 1
    assert landmark_files.COMMAND in caplog.text
    assert not (tmp_path / "out").exists()


@pytest.fixture
def page():
    page = live_page.Page(0)
    yield page
    page.close()


def get(page, path, host="127.0.0.1"):
    port = int(page.address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    return connection.getresponse()


def test_the_page_shows_frames_as_they_come(page, rng):
    image = np.full((40, 60, 3), (200, 30, 30), np.uint8)
    page(image)
    assert b'<img src="stream"' in get(page, "/").read()
    stream = get(page, "/stream")
    assert stream.headers["Content-Type"].startswith("multipart/x-mixed")
    for colour in ((200, 30, 30), (30, 200, 30)):
        assert stream.readline() == b"--frame\r\n"
        length = int(stream.readline().split()[1])
        assert stream.readline() == b"Content-Type: image/jpeg\r\n"
        assert stream.readline() == b"\r\n"
        streamed = cv2.imdecode(np.frombuffer(stream.read(length), np.uint8), 1)
        assert np.abs(streamed.mean(axis=(0, 1)) - colour).max() < 8
        assert stream.readline() == b"\r\n"
        page(np.full((40, 60, 3), (30, 200, 30), np.uint8))


def test_the_page_is_for_this_machine_alone(page):
    assert page.address.startswith("http://127.0.0.1:")
    assert get(page, "/stream", host="evil.example").status == 403
    assert get(page, "/etc/passwd").status == 404


def test_a_port_that_is_taken_is_an_error(page):
    port = int(page.address.rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        live_page.Page(port)


class Lifter:
    """Answers with a standing body of the landmarks' scale."""

    def __init__(self):
        data = BodyData.load("open")
        self._body = Body(data, joints.COCOPLUS19, jit=False)
        self.outputs = None

    def answer(self, inputs):
        points = inputs["landmarks"]
        assert np.abs(points[:, :2]).max() <= 1, "in the crop"
        pose = np.zeros((1, 24, 3), np.float32)
        pose[0, 0] = np.pi, 0, 0
        rotmats = rotations.rotvec_to_rotmat(pose)
        vertices, posed, _ = self._body(rotmats, np.zeros((1, 10), np.float32))
        weak = np.float32([0.9, 0, 0])
        return {
            "vertices": vertices[0].numpy(),
            "joints": posed[0].numpy(),
            "keypoints": camera.project_weak_perspective(
                posed[0].numpy(), weak
            ),
            "rotmats": rotmats[0].numpy(),
            "betas": np.zeros(10, np.float32),
            "camera": weak,
        }


def test_who_is_lost_is_said_once_and_starts_anew():
    follower = finding._track_class(device, 0.0)
    track = follower(3, smooth=True)
    image = np.zeros((300, 400, 3), np.uint8)
    track.answer = rendered_groups.answer(200, 40, 200)
    model = Lifter()
    states = [track.update(model, image, t / 10)["state"] for t in range(2)]
    track.answer = None
    lost_line = track.update(model, image, 0.3)
    assert states == ["start", "tracked"]
    assert (lost_line["state"], lost_line["reason"]) == ("lost", "out of sight")
    assert track.mesh is None
    track.answer = rendered_groups.answer(200, 40, 200)
    line = track.update(model, image, 0.4)
    assert line["state"] == "start"
    x, y, w, h = line["box_px"]
    assert abs(x + w / 2 - 200.5) < 2 and h < 200
    assert isinstance(line["ms"], dict)
