"""The device's one file on films: tracks, smoothing, what breaks off."""

import json
import os
import signal

import cv2
import numpy as np
import pytest

from edge import run as device
from tests.support import blob_people as blobs
from tests.support.closeness import assert_close
from tf_hmr import joints
from training.data.synthetic import people as synthetic


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs the command with the model of blocks: status, lines of stderr."""
    handler = signal.getsignal(signal.SIGTERM)
    model = blobs.Model()
    monkeypatch.setattr(device, "Model", lambda *_: model)

    def command(*arguments):
        words = ["m.tflite", *arguments, "--out", tmp_path / "out"]
        status = device.main([str(word) for word in words])
        return status, capsys.readouterr().err.splitlines()

    yield command
    signal.signal(signal.SIGTERM, handler)


def lines_of(tmp_path, name="film"):
    text = (tmp_path / "out" / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def flags(*people):
    return [word for who in people for word in ("--box", *blobs.box(*who))]


def test_track_follows_across_the_frame(run, tmp_path, rng):
    path = [(30 + 3 * k, 80 - 0.2 * k, 60 + 0.5 * k) for k in range(60)]
    frames = [blobs.frame([who], rng) for who in path]
    film = blobs.film(tmp_path / "film.mp4", frames)
    status, errors = run(film, *flags(path[0]))
    assert (status, errors) == (0, [])
    lines = lines_of(tmp_path)
    assert [line["frame"] for line in lines] == list(range(60))
    assert [line["state"] for line in lines] == ["start"] + 59 * ["tracked"]
    assert lines[-1]["time_s"] == pytest.approx(59 / blobs.FPS)
    for line, (x, y, height) in zip(lines, path, strict=True):
        middle = np.mean(line["keypoints_px"], axis=0)
        # A pixel of the crop is 2 of the frame; smoothing lags by one frame.
        assert np.abs(middle - (x, y)).max() < 6
        tall = np.ptp(line["keypoints_px"], axis=0)[1]
        assert abs(tall - height) < 0.15 * height
    overlay = blobs.read(tmp_path / "out" / "film_overlay.mp4")
    assert len(overlay) == 60
    x, y, _ = path[-1]
    assert overlay[-1][round(y), round(x), 0] > 100, "the mesh, not the red"


def test_whole_frame_is_where_a_track_starts_without_a_box(run, tmp_path, rng):
    frames = [blobs.frame([(90, 80, 70)], rng) for _ in range(8)]
    run(blobs.film(tmp_path / "film.mp4", frames))
    lines = lines_of(tmp_path)
    assert lines[0]["box_px"] == [0, 0, *blobs.SIZE]
    x, y, w, h = lines[-1]["box_px"]
    assert abs(x + w / 2 - 90) < 3 and abs(y + h / 2 - 80) < 3
    assert h == pytest.approx(device.ROOM * 70, rel=0.1)


def test_who_vanishes_is_lost_and_found_again_at_home(run, tmp_path, rng):
    people = [(60 + 2 * k, 80, 70) for k in range(20)]
    scenes = [[who] for who in people] + 10 * [[]] + 8 * [[people[0]]]
    frames = [blobs.frame(scene, rng) for scene in scenes]
    film = blobs.film(tmp_path / "film.avi", frames)
    status, _ = run(film, *flags(people[0]))
    lines = lines_of(tmp_path)
    states = [line["state"] for line in lines]
    assert status == 0
    assert states[:20] == ["start"] + 19 * ["tracked"]
    assert states[20:30] == 10 * ["lost"]
    assert states[30:] == ["start"] + 7 * ["tracked"]
    assert "other colours" in lines[25]["reason"]
    assert "pose_rotvec" not in lines[25]
    home = blobs.box(*people[0])
    assert_close("float64", lines[25]["box_px"], home)
    assert_close("float64", lines[30]["box_px"], home)
    overlay = blobs.read(tmp_path / "out" / "film_overlay.mp4")[25]
    assert np.abs(overlay.astype(int) - 110).mean() < 15, "nobody is drawn"


def test_who_is_found_again_is_smoothed_from_there_on(rng):
    """Nothing of what was before the loss: pose, shape, place, box."""
    home = blobs.box(90, 80, 70)
    person_frame, empty = blobs.frame([(90, 80, 70)], rng), blobs.frame([], rng)
    returned_image = blobs.frame([(97, 84, 60)], rng)[..., ::-1]
    track = device.Track(home)
    for number in range(3):
        track.update(
            blobs.Model(noise=0.05), person_frame[..., ::-1], 0.04 * number
        )
    lost_line = track.update(blobs.Model(), empty[..., ::-1], 0.12)
    assert lost_line["state"] == "lost"
    line = track.update(blobs.Model(), returned_image, 0.16)
    expected = device.Track(home).update(blobs.Model(), returned_image, 0.16)
    assert line["state"] == expected["state"] == "start"
    for name in ("pose_rotvec", "betas", "joints_m", "translation_m", "box_px"):
        assert_close("exact", line[name], expected[name])


def test_patience_ends_and_whoever_is_there_is_taken(run, tmp_path, rng):
    count = round(blobs.FPS * device.PATIENCE_S)
    scenes = 5 * [[(60, 80, 70)]] + (count + 4) * [[]]
    frames = [blobs.frame(scene, rng) for scene in scenes]
    run(blobs.film(tmp_path / "film.avi", frames), *flags((60, 80, 70)))
    states = [line["state"] for line in lines_of(tmp_path)]
    assert "tracked" in states[:5]
    assert set(states[5 : 5 + count - 1]) == {"lost"}
    assert states[-1] == "tracked"


def test_who_leaves_the_frame_is_lost(run, tmp_path, rng):
    path = [(150 + 5 * k, 80, 70) for k in range(24)]
    frames = [blobs.frame([who], rng) for who in path]
    run(blobs.film(tmp_path / "film.avi", frames), *flags(path[0]))
    lines = lines_of(tmp_path)
    lost_lines = [line for line in lines if line["state"] == "lost"]
    assert lost_lines and lost_lines[0]["frame"] > 12
    assert lines[5]["state"] == "tracked"


@pytest.mark.parametrize("scale", [0.1, 9.0])
def test_an_absurd_camera_is_lost_unless_it_is_the_start(scale):
    model = blobs.Model()
    image = blobs.frame([(90, 80, 70)], np.random.default_rng(0))[..., ::-1]
    track = device.Track(blobs.box(90, 80, 70))
    assert track.update(model, image, 0.0)["state"] == "start"

    class Absurd(blobs.Model):
        def __call__(self, *crop):
            outputs = super().__call__(*crop)
            return {**outputs, "camera": np.float32([scale, 0, 0])}

    line = track.update(Absurd(), image, 0.04)
    assert line["state"] == "lost"
    assert "camera scale" in line["reason"]
    assert track.update(model, image, 0.08)["state"] == "start"


def test_the_next_box_leaves_room_around_the_joints():
    """1.11 times their extent, in pixel edges; then part of the last box."""
    model = blobs.Model()
    image = blobs.frame([(90, 80, 70)], np.random.default_rng(0))[..., ::-1]
    track = device.Track(smooth=False)
    boxes = [[0.0, 0.0, *image.shape[1::-1]]]
    for share in (1.0, 0.6):  # The whole frame is no person's box.
        square = device.square_box(
            boxes[-1], model.crop_scale if track.box else 1.0
        )
        crop = device.crop_image(image, square, model.size)
        keypoints = model(crop)["keypoints"]
        points = (keypoints + 1) / 2 * square[2] + square[:2]
        low, high = points.min(axis=0), points.max(axis=0)
        middle, sides = (low + high) / 2, 1.11 * (high - low)
        joints_box = np.append(middle - sides / 2, sides)
        track.update(model, image, 0.04 * len(boxes))
        expected = share * joints_box + (1 - share) * np.array(boxes[-1])
        assert track.box == pytest.approx(expected, abs=1e-3)
        boxes.append(track.box)


def test_each_box_is_its_own_track(run, tmp_path, rng):
    scenes = [[(40 + 2 * k, 60, 50), (200 - 2 * k, 110, 70)] for k in range(25)]
    frames = [blobs.frame(scene, rng) for scene in scenes]
    run(blobs.film(tmp_path / "film.mp4", frames), *flags(*scenes[0]))
    lines = lines_of(tmp_path)
    assert [line["track"] for line in lines] == 25 * [0, 1]
    for line in lines[-2:]:
        middle = np.mean(line["keypoints_px"], axis=0)
        x, y, _ = scenes[-1][line["track"]]
        assert np.abs(middle - (x, y)).max() < 6


def paper_one_euro(values, seconds, least_hz, rise):
    """Algorithm 1 of Casiez et al. 2012, a scalar at a time."""

    def alpha(cutoff):
        tau = 1 / (2 * np.pi * cutoff)
        return 1 / (1 + tau / seconds)

    filtered = [values[0]]
    speed = 0.0
    for value in values[1:]:
        raw_speed = (value - filtered[-1]) / seconds
        speed = alpha(1.0) * raw_speed + (1 - alpha(1.0)) * speed
        share = alpha(least_hz + rise * abs(speed))
        filtered.append(share * value + (1 - share) * filtered[-1])
    return filtered


def test_one_euro_is_the_paper_s(rng):
    values = np.cumsum(rng.normal(0, 0.1, 40))
    smooth = device.OneEuro(0.6, 1.5)
    ours = [float(smooth(np.array([v]), 0.04)[0]) for v in values]
    assert_close("float64", ours, paper_one_euro(values, 0.04, 0.6, 1.5))


def recorded(smooth, count=50):
    """Lines of one who walks on the spot before a shaking model."""
    model, rng = blobs.Model(noise=0.05), np.random.default_rng(0)
    track = device.Track(blobs.box(90, 80, 70), smooth)
    image = blobs.frame([(90, 80, 70)], rng)[..., ::-1]
    return [track.update(model, image, k / blobs.FPS) for k in range(count)]


def shake(lines, key):
    values = np.array([line[key] for line in lines[5:]])
    return np.linalg.norm(np.diff(values, 2, axis=0), axis=-1).mean()


def test_smoothing_calms_joints_and_rotations():
    plain, smooth = recorded(False), recorded(True)
    assert shake(smooth, "joints_m") < 0.4 * shake(plain, "joints_m")

    def turns(lines):
        # As matrices: vectors jump at half a turn, which the pelvis is at.
        return [
            {"r": [cv2.Rodrigues(v)[0].ravel() for v in line["pose_rotvec"]]}
            for line in lines
        ]

    assert shake(turns(smooth), "r") < 0.4 * shake(turns(plain), "r")
    last = turns(smooth)[-1]["r"][0].reshape(3, 3)
    assert_close("rounded_rotation", last, np.diag([1.0, -1, -1])[:, :])


def test_betas_are_averaged_since_the_start():
    plain, smooth = recorded(False, 10), recorded(True, 10)
    mean = np.mean([line["betas"] for line in plain], axis=0)
    assert_close("six_decimals", smooth[-1]["betas"], mean)


def test_a_film_that_breaks_off_keeps_what_was_read(run, tmp_path, rng):
    frames = [blobs.frame([(90, 80, 70)], rng) for _ in range(40)]
    film = tmp_path / "film.avi"
    blobs.film(film, frames)
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    status, errors = run(film, *flags((90, 80, 70)))
    errors = [line for line in errors if line.startswith(str(film))]
    lines = lines_of(tmp_path)
    assert status == 1
    assert errors == [f"{film}: broke off after {len(lines)} frames"]
    assert 10 < len(lines) < 30
    overlay = blobs.read(tmp_path / "out" / "film_overlay.mp4")
    assert len(overlay) == len(lines)


def test_time_is_the_video_s_own():
    clock = device.Clock(fps=25.0)
    # A rate that falls, from a start that is not 0.
    positions = [80.0, 120.0, 160.0, 500.0, 1500.0]
    assert [clock(p) for p in positions] == pytest.approx(
        [0, 0.04, 0.08, 0.42, 1.42]
    )


@pytest.mark.parametrize(
    ("positions", "seconds"),
    [
        ([0.0, 0.0, 0.0, 0.0], [0, 0.04, 0.08, 0.12]),
        ([-1.0, -1.0, -1.0], [0, 0.04, 0.08]),
        ([float("nan")] * 3, [0, 0.04, 0.08]),
        ([0.0, float("inf"), 80.0], [0, 0.04, 0.08]),
        # It stops, or goes back: on at the mean pace, until it says more.
        ([0.0, 500.0, 500.0, 90.0, 700.0], [0, 0.5, 0.54, 0.58, 0.7]),
        # Clocks are rounded to milliseconds.
        ([0.0, 40.4, 79.6], [0, 0.04, 0.08]),
    ],
)
def test_where_the_clock_says_nothing_frames_are_counted(positions, seconds):
    clock = device.Clock(fps=25.0)
    times = [clock(position) for position in positions]
    assert times == pytest.approx(seconds)
    assert all(np.diff(times) > 0)


class Uneven:
    """A video whose frames are not evenly spaced, by OpenCV's interface."""

    times_s = (0.0, 0.04, 0.08, 1.0, 3.0)

    def __init__(self, *_):
        self.count = 0

    def get(self, name):
        rate = {cv2.CAP_PROP_FPS: 5 / 3.2, cv2.CAP_PROP_FRAME_COUNT: 5}
        position = {
            cv2.CAP_PROP_POS_MSEC: 1000 * self.times_s[min(self.count, 5) - 1]
        }
        return (rate | position)[name]

    def read(self):
        self.count += 1
        image = np.zeros((160, 240, 3), np.uint8)
        return True, image if self.count <= len(self.times_s) else None


def test_lines_have_the_times_of_an_uneven_video(run, tmp_path, monkeypatch):
    (tmp_path / "film.mp4").touch()
    monkeypatch.setattr(cv2, "VideoCapture", Uneven)
    status, _ = run(tmp_path / "film.mp4", *flags((90, 80, 70)))
    times = [line["time_s"] for line in lines_of(tmp_path)]
    assert (status, times) == (0, list(Uneven.times_s))
    monkeypatch.undo()
    overlay = blobs.read(tmp_path / "out" / "film_overlay.mp4")
    assert len(overlay) == 5, "each frame once"


def with_count(avi: bytes, count: int) -> bytes:
    """An AVI whose headers say another number of frames."""
    content = bytearray(avi)
    # The whole file's count, behind "avih" and its length, and the stream's.
    for kind, offset in ((b"avih", 24), (b"strh", 40)):
        start = content.index(kind) + offset
        content[start : start + 4] = count.to_bytes(4, "little")
    return bytes(content)


def test_a_wrong_number_of_frames_in_the_header_is_no_fault(
    run, tmp_path, rng, monkeypatch
):
    frames = [blobs.frame([(90, 80, 70)], rng) for _ in range(20)]
    blobs.film(tmp_path / "film.avi", frames)
    content = (tmp_path / "film.avi").read_bytes()
    film = tmp_path / "film.avi"
    film.write_bytes(with_count(content, 77))
    count = cv2.VideoCapture(str(film)).get(cv2.CAP_PROP_FRAME_COUNT)
    assert count == 77
    assert run(film, *flags((90, 80, 70))) == (0, [])
    assert len(lines_of(tmp_path)) == 20
    film.write_bytes(with_count(content, 77)[: len(content) // 2])
    status, errors = run(film, *flags((90, 80, 70)))
    assert status == 1 and "broke off after" in errors[-1]


@pytest.mark.parametrize("ending", [".avi", ".mp4", ".mov", ".mkv"])
def test_a_file_that_is_cut_is_shorter_than_it_says(tmp_path, rng, ending):
    film = tmp_path / f"film{ending}"
    frames = [blobs.frame([(90, 80, 70)], rng) for _ in range(9)]
    blobs.film(film, frames)
    full_content = film.read_bytes()
    assert not device.is_cut(film)
    cut_files = (
        full_content[: len(full_content) // 2],
        full_content[:-20],
        full_content[: len(full_content) // 2] + bytes(len(full_content) // 2),
    )
    for content in cut_files:
        film.write_bytes(content)
        assert device.is_cut(film)


def test_boxes_of_an_mp4_are_followed_to_the_end(tmp_path):
    film = tmp_path / "film.mp4"
    start = b"\0\0\0\x10ftypmp42" + bytes(4)
    large = b"\0\0\0\x01mdat" + (16 + 9).to_bytes(8, "big") + b"123456789"
    to_the_end = b"\0\0\0\0mdat" + b"123456789"
    for content, is_cut in (
        (start + large, False),
        (start + large[:-3], True),
        (start + to_the_end, False),
        (start + large + b"\0\x01a trailer that is no box", False),
        (b"no video at all, of no kind", True),
        (start + b"\0\0\0\x01mdat" + b"\xff" * 8 + b"1", True),
    ):
        film.write_bytes(content)
        assert device.is_cut(film) == is_cut


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_a_stop_leaves_whole_files(run, tmp_path, rng, monkeypatch, how):
    frames = [blobs.frame([(90, 80, 70)], rng) for _ in range(20)]
    film = blobs.film(tmp_path / "film.mp4", frames)
    update = device.Track.update

    def stopping(self, model, image, seconds):
        if seconds > 10.5 / blobs.FPS:
            if how == "ctrl-c":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, model, image, seconds)

    monkeypatch.setattr(device.Track, "update", stopping)
    status, errors = run(film, *flags((90, 80, 70)))
    assert status == 130
    assert errors[-1].startswith(f"{film}: stopped; ")
    assert len(lines_of(tmp_path)) == 11
    assert len(blobs.read(tmp_path / "out" / "film_overlay.mp4")) == 11


def test_without_an_mp4_codec_the_film_is_an_avi(
    run, tmp_path, rng, monkeypatch
):
    film = blobs.film(
        tmp_path / "film.avi", 5 * [blobs.frame([(90, 80, 70)], rng)]
    )

    real = cv2.VideoWriter
    monkeypatch.setattr(cv2, "VideoWriter", lambda *_: real())
    status, errors = run(film, *flags((90, 80, 70)))
    assert (status, errors) == (0, [])
    assert len(blobs.read(tmp_path / "out" / "film_overlay.avi")) == 5


def test_no_overlay_leaves_the_lines_alone(run, tmp_path, rng):
    film = blobs.film(
        tmp_path / "film.avi", 5 * [blobs.frame([(90, 80, 70)], rng)]
    )
    status, errors = run(film, "--no-overlay", *flags((90, 80, 70)))
    assert (status, errors) == (0, [])
    assert len(lines_of(tmp_path)) == 5
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "film.jsonl"
    ]


def test_what_this_opencv_lacks_is_one_line(run, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GStreamer: NO")
    status, errors = run("videotestsrc ! appsink")
    assert status == 1
    assert errors == [
        "videotestsrc ! appsink: this OpenCV is built without GStreamer"
    ]

    def no_window(*_):
        raise cv2.error("Rebuild the library with GTK+")

    monkeypatch.setattr(cv2, "imshow", no_window)
    film = blobs.film(
        tmp_path / "film.avi", 3 * [blobs.frame([(90, 80, 70)], rng)]
    )
    status, errors = run(film, "--show")
    assert (status, errors) == (1, [f"{film}: Rebuild the library with GTK+"])
    assert len(lines_of(tmp_path)) == 1


def test_a_slow_camera_s_film_keeps_time(run, tmp_path, rng, monkeypatch):
    image = blobs.frame([(90, 80, 70)], rng)
    times = (0.0, 0.5, 2.0)  # At 25 frames a second that it promises.
    monkeypatch.setattr(
        device, "frames", lambda _: ((t, image.copy(), 25.0) for t in times)
    )
    run("0", *flags((90, 80, 70)))
    assert len(blobs.read(tmp_path / "out" / "0_overlay.mp4")) == 51
    assert len(lines_of(tmp_path, "0")) == 3


def test_who_is_never_in_the_frame_stops_nobody(run, tmp_path, rng):
    # Half of this box lies outside, and the answer wholly: nobody is there.
    people = [(40 + k, 80, 70) for k in range(12)]
    frames = [blobs.frame([who], rng) for who in people]
    outside = ["--box", -80, 20, 90, 60]
    film = blobs.film(tmp_path / "film.avi", frames)
    original_call = blobs.Model.__call__

    def answer(self, crop, square, size):
        outputs = original_call(self, crop)
        if (crop[:, 0] == crop[:, 5]).all():  # Repeated: outside the frame.
            outputs["keypoints"] = outputs["keypoints"] - (2, 0)
        return outputs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blobs.Model, "__call__", answer)
        status, errors = run(film, *flags(people[0]), *outside)
    assert (status, errors) == (0, [])
    states = [line["state"] for line in lines_of(tmp_path)]
    assert states[::2] == ["start"] + 11 * ["tracked"]
    assert states[1::2] == 12 * ["lost"]


def test_no_camera_and_no_film_are_one_line(run, tmp_path):
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 20)
    for source in ("97", tmp_path / "noise.mp4", tmp_path / "none.mp4"):
        status, errors = run(source)
        assert status == 1
        assert errors[-1].startswith(f"{source}: no such film or camera")


def test_room_around_the_joints_is_that_of_the_training_boxes():
    indices = [joints.KEYPOINTS.index(name) for name in joints.COCOPLUS19]
    rooms = [
        max(example.box[2:]) / np.ptp(example.keypoints[indices, :2], 0).max()
        for example in synthetic.frozen().examples(0, 32)
    ]
    # The mean over 128 people is 1.111, their deviation 0.048.
    assert np.mean(rooms) == pytest.approx(device.ROOM, abs=0.03)


def test_near_people_are_painted_over_far_ones(run, tmp_path, rng, monkeypatch):
    """Whatever the order of their boxes."""
    small, large = (60, 80, 50), (170, 80, 110)
    frames = [blobs.frame([small, large], rng) for _ in range(3)]
    film = blobs.film(tmp_path / "film.mp4", frames)
    heights = []

    def draw(canvas, vertices, pixels, faces):
        heights.append(np.ptp(pixels[:, 1]))

    monkeypatch.setattr(device, "draw", draw)
    for boxes in ((small, large), (large, small)):
        assert run(film, *flags(*boxes)) == (0, [])
    assert len(heights) == 12
    for far_height, near_height in zip(
        heights[::2], heights[1::2], strict=True
    ):
        assert far_height < 70 < near_height


def test_a_video_that_changes_size_ends_there(run, tmp_path, rng, monkeypatch):
    people = [(60 + 2 * k, 80, 70) for k in range(6)]
    frames = [blobs.frame([who], rng) for who in people]
    film = blobs.film(tmp_path / "film.avi", frames)
    monkeypatch.setattr(cv2, "VideoCapture", changing(cv2.VideoCapture, 4))
    status, (line,) = run(film, *flags(people[0]))
    monkeypatch.undo()
    assert status == 1 and "after 4 frames: its size changed" in line
    assert [row["frame"] for row in lines_of(tmp_path)] == [0, 1, 2, 3]
    assert len(blobs.read(tmp_path / "out" / "film_overlay.mp4")) == 4


def changing(capture, count):
    """A capture whose frames are smaller from frame `count` on."""

    class Changing:
        def __init__(self, *words):
            self._video, self._read = capture(*words), 0

        def read(self):
            success, image = self._video.read()
            self._read += 1
            return success, image[:40] if self._read > count else image

        def get(self, property_id):
            return self._video.get(property_id)

    return Changing
