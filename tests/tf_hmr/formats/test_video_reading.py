"""Videos are read as the device's one file reads them."""

import cv2
import numpy as np
import pytest

from edge import run as device
from tests.support import walkers
from tests.support.closeness import assert_close
from tf_hmr.formats import video_reading

_COUNT = 12


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    large = rng.integers(0, 255, (_COUNT, 9, 16, 3), np.uint8)
    return [cv2.resize(image, (320, 180)) for image in large]


@pytest.fixture(params=[".mp4", ".avi"])
def video(request, images, tmp_path):
    return walkers.write(tmp_path / f"video{request.param}", images)


def read(path):
    """Times, images and the complaint of a reader."""
    rows, complaint = [], ""
    try:
        rows.extend(video_reading.Reader(path))
    except ValueError as error:
        complaint = str(error)
    return [seconds for seconds, _ in rows], rows, complaint


def device_read(path):
    rows, complaint = [], ""
    try:
        for row in device.frames(str(path)):
            rows.append(row)
    except ValueError as error:
        complaint = str(error)
    return [row[0] for row in rows], rows, complaint


def test_frames_and_times_are_the_device_s(video):
    seconds, rows, complaint = read(video)
    expected_seconds, expected_rows, _ = device_read(video)
    assert len(rows) == _COUNT and not complaint
    assert_close("exact", seconds, expected_seconds)
    for (_, rgb), (_, bgr, _) in zip(rows, expected_rows, strict=True):
        assert_close("exact", rgb, bgr[..., ::-1])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_cut_file_is_whole_up_to_there(video, share):
    content = video.read_bytes()
    video.write_bytes(content[: int(share * len(content))])
    seconds, _, complaint = read_if_any(video)
    expected_seconds, _, expected = device_read(video)
    assert seconds == expected_seconds
    assert complaint and expected
    if seconds:
        assert f"broke off after {len(seconds)} of {_COUNT} frames" in complaint


def read_if_any(path):
    try:
        return read(path)
    except ValueError as error:
        return [], [], str(error)


def test_files_of_other_kinds_are_no_videos(tmp_path):
    path = tmp_path / "video.mp4"
    with pytest.raises(FileNotFoundError, match="no such video"):
        video_reading.Reader(path)
    path.write_bytes(b"no video at all" * 100)
    with pytest.raises(ValueError, match="without frames"):
        video_reading.Reader(path)


def test_another_size_ends_it(video):
    reader = video_reading.Reader(video)
    frames = []

    def see():
        for _, image in reader:
            frames.append(image)
            if len(frames) == 5:
                reader._video = Resized()

    with pytest.raises(ValueError, match="frame 5 has 10 x 20 pixels"):
        see()
    assert len(frames) == 5


class Resized:
    """A capture whose frames have another size."""

    def read(self):
        return True, np.zeros((20, 10, 3), np.uint8)

    def get(self, _):
        return 0.0


@pytest.mark.parametrize(
    "positions",
    [
        [0, 40, 80, 120],
        [500, 541, 581, 700],
        [0, 0, 0, 0],
        [0, float("nan"), -5, 90],
    ],
)
def test_the_clock_is_the_device_s(positions):
    ours, device_clock = video_reading.Clock(25.0), device.Clock(25.0)
    assert [ours(p) for p in positions] == [device_clock(p) for p in positions]
