"""python -m tf_hmr on videos: rendered walkers, and videos that go wrong."""

import json
import logging
import subprocess
import sys

import cv2
import numpy as np
import pytest
import trimesh

from tests.support import memory, walkers
from tf_hmr import __main__ as cli
from tf_hmr import clip, joints, video_files
from tf_hmr.formats import video_reading
from tf_hmr.tasks import video_fits

_COUNT = 12
_ROWS = list(joints.select(joints.COCOPLUS19, joints.KEYPOINTS))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two walkers, before they cross."""
    images = [image for image, _ in walkers.frames(_COUNT, 2)]
    return walkers.write(tmp_path_factory.mktemp("videos") / "two.mp4", images)


def run(caplog, out, *paths, **values):
    """Runs the command; returns its status and the log's lines."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        status = cli.main(cli.Args(photos=paths, out=out, **values))
    # TensorFlow warns of graphs for each number of people.
    return status, [r.message for r in caplog.records if r.name == "tf_hmr"]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def tracks_of(path):
    """Lines by track, without those of people who are lost."""
    tracks = {}
    for line in lines_of(path):
        if line["state"] != "lost":
            tracks.setdefault(line["track"], []).append(line)
    return tracks


def frames_of(path):
    return [image for _, image in video_reading.Reader(path)]


@pytest.fixture(scope="module")
def fits():
    """Made once: their graphs take seconds."""
    return video_fits.Fits()


@pytest.fixture(autouse=True)
def _same_fits(fits, monkeypatch):
    monkeypatch.setattr(video_fits, "Fits", lambda *_: fits)


@pytest.fixture(scope="module")
def written(video, fits, tmp_path_factory):
    """Folders of results by method."""
    folders = {}
    for method in ("lift", "fit"):
        folders[method] = tmp_path_factory.mktemp(method)
        args = cli.Args(photos=(video,), out=folders[method], method=method)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(video_fits, "Fits", lambda *_: fits)
            assert cli.main(args) == 0
    return folders


@pytest.mark.parametrize("method", ["lift", "fit"])
def test_everybody_is_followed_and_lies_on_the_walkers(written, method):
    tracks = tracks_of(written[method] / "two.jsonl")
    assert sorted(tracks) == [0, 1]
    walkers_of_tracks = set()
    for lines in tracks.values():
        assert [line["frame"] for line in lines] == list(range(_COUNT))
        states = [line["state"] for line in lines]
        assert states == ["start"] + ["tracked"] * (_COUNT - 1)
        distances = []
        for line, (_, people) in zip(
            lines, walkers.frames(_COUNT, 2), strict=True
        ):
            assert line["time_s"] == pytest.approx(line["frame"] / walkers.FPS)
            points = np.array(line["keypoints_px"])[_ROWS]
            distances.append(
                [
                    np.linalg.norm(points - p.keypoints_px, axis=1).mean()
                    for p in people
                ]
            )
        walker = int(np.mean(distances, axis=0).argmin())
        walkers_of_tracks.add(walker)
        # A walker is 150 to 190 pixels tall; landmarks are 3 to 5 away.
        assert np.mean(distances, axis=0)[walker] < 9
    assert walkers_of_tracks == {0, 1}


def test_a_person_has_one_shape_in_fits_over_time(written):
    for lines in tracks_of(written["fit"] / "two.jsonl").values():
        betas = np.array([line["betas"] for line in lines])
        assert np.ptp(betas, axis=0).max() == 0
        errors = [line["reprojection_px_at_224"] for line in lines]
        assert np.mean(errors) < 8


def test_the_overlay_shows_numbered_bodies_on_every_frame(written, video):
    frames, overlays = (
        frames_of(video),
        frames_of(written["lift"] / "two_overlay.mp4"),
    )
    assert len(overlays) == _COUNT
    for lines in tracks_of(written["lift"] / "two.jsonl").values():
        x, y, w, h = (round(v) for v in lines[5]["box_px"])
        change = cv2.absdiff(frames[5], overlays[5])
        assert change[y : y + h, x : x + w].mean() > 10
    unchanged = cv2.absdiff(frames[5], overlays[5])[:60, :60]
    assert unchanged.mean() < 4


def test_clip_makes_meshes_and_motion_of_the_lines(written, tmp_path):
    glb, bvh = tmp_path / "two.glb", tmp_path / "two.bvh"
    clip.write(clip.Args(written["fit"] / "two.jsonl", glb, bvh))
    scene = trimesh.load_scene(glb)
    assert len(scene.geometry) == 2
    for path in (bvh, tmp_path / "two-1.bvh"):
        text = path.read_text()
        assert text.startswith("HIERARCHY") and f"Frames: {_COUNT}" in text


def test_a_video_that_breaks_off_is_written_up_to_there(
    video, tmp_path, caplog
):
    images = frames_of(video)
    cut = walkers.write(tmp_path / "cut.avi", images)
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    status, (line,) = run(caplog, tmp_path / "out", cut, method="lift")
    assert status == 1 and "broke off after" in line
    frames = {line["frame"] for line in lines_of(tmp_path / "out/cut.jsonl")}
    overlay = frames_of(tmp_path / "out" / "cut_overlay.mp4")
    assert 0 < len(overlay) < _COUNT and frames == set(range(len(overlay)))


def test_frames_before_a_break_are_fitted(video, tmp_path, caplog, monkeypatch):
    """Both passes end where the video does; then it is said."""
    monkeypatch.setattr(video_reading.Reader, "__iter__", broken(5))
    status, (line,) = run(caplog, tmp_path, video)
    assert status == 1 and line == "broke here"
    for lines in tracks_of(tmp_path / "two.jsonl").values():
        assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]


def broken(count):
    original = video_reading.Reader.__iter__

    def frames(reader):
        for number, row in enumerate(original(reader)):
            if number == count:
                raise ValueError("broke here")
            yield row

    return frames


def test_a_video_of_nobody_is_one_line_and_no_error(tmp_path, caplog):
    grey = [np.full((90, 160, 3), 120, np.uint8)] * 4
    video = walkers.write(tmp_path / "grey.mp4", grey)
    for method in ("lift", "fit"):
        status, lines = run(caplog, tmp_path / "out", video, method=method)
        assert status == 0
        assert lines == [f"{video}: nobody was found in it."]
        assert (tmp_path / "out" / "grey.jsonl").read_text() == ""
        assert len(frames_of(tmp_path / "out" / "grey_overlay.mp4")) == 4


def test_a_file_without_frames_is_one_line(tmp_path, caplog):
    video = tmp_path / "text.mp4"
    video.write_text("no video")
    status, (line,) = run(caplog, tmp_path / "out", video, method="lift")
    assert status == 1 and "without frames" in line


def test_options_of_photos_are_refused_before_tensorflow(tmp_path):
    video = tmp_path / "v.mp4"
    video.write_bytes(b"")
    code = (
        "import sys; from tf_hmr import __main__ as m; import pathlib as p\n"
        f"s = m.main(m.Args((p.Path({str(video)!r}),), box=(1, 2, 3, 4)))\n"
        "sys.exit(s + 10 * ('tensorflow' in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "in a video everybody is found" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lift", "fit"])
def test_memory_and_pace_of_frame_5000_are_those_of_frame_500(
    tmp_path, monkeypatch, method
):
    """A walker of a few pixels who goes to and fro."""
    images = [
        cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
        for image, _ in walkers.frames(30, 1)
    ]
    loop = images + images[::-1]
    video = walkers.write(tmp_path / "long.mp4", [*loop] * 84)
    sizes = []
    write = video_files.Writer.write

    def measured(self, frame, *rest):
        if frame % 500 == 0:
            sizes.append(memory.start() / 2**20)
        write(self, frame, *rest)

    monkeypatch.setattr(video_files.Writer, "write", measured)
    args = cli.Args(photos=(video,), out=tmp_path / "out", method=method)
    assert cli.main(args) == 0
    assert len(sizes) == 11
    # Allocators keep a little; 4,500 frames of images are 780 MB.
    assert sizes[-1] - sizes[1] < 60, sizes
