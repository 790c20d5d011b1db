"""Pictures are written whole or not at all."""

import cv2
import numpy as np
import pytest

from tests.support import full_disk
from tests.support.paths import ROOT
from tf_hmr.formats import image_writing


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_pixels_are_those_of_the_image(tmp_path, image):
    path = tmp_path / "a.png"
    image_writing.write(path, image)
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], image)
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_picture(tmp_path, image):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with (
        full_disk.files_of_at_most(4000),
        pytest.raises(OSError, match="too large") as caught,
    ):
        image_writing.write(path, image)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a", "a.txt", ".png"])
def test_what_is_no_picture_s_name_is_refused(tmp_path, image, name):
    with pytest.raises(ValueError, match=r"ending of a picture, as \.png"):
        image_writing.write(tmp_path / name, image)


def test_no_picture_is_written_under_its_name_at_once():
    """OpenCV's own writer says nothing of a full disk and leaves a half."""
    files = {
        str(path.relative_to(ROOT))
        for package in ("tf_hmr", "training", "edge")
        for path in (ROOT / package).rglob("*.py")
        if any(word in path.read_text() for word in ("imwrite(", ".tofile("))
    }
    assert files == set()
