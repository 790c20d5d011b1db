"""Decoding no further than the crop needs."""

import cv2
import numpy as np
import pytest

from tests.support import photos
from tf_hmr.geometry import crop_pixels
from training.data.pipeline import pixels

SIZE = (210, 190)
KINDS = {
    "420": (),
    "444": (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ),
    "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": (cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "gray": (),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduced", [1, 2, 8])
def test_rows_above_the_cut_are_those_of_the_whole(kind, reduced, capfd):
    picture = photos.image(*SIZE)
    if kind == "gray":
        picture = picture[..., 0]
    jpeg = cv2.imencode(".jpg", picture, KINDS[kind])[1].tobytes()
    full_image = pixels._decode_bgr(jpeg, SIZE, reduced)
    for bottom in (1, 16, 17, 100, 189, 190):
        bottom = -(-bottom // reduced)
        upper_rows = pixels._decode_bgr(jpeg, SIZE, reduced, bottom)
        np.testing.assert_array_equal(upper_rows[:bottom], full_image[:bottom])
        if kind in ("420", "444", "gray"):
            assert len(upper_rows) <= bottom + 32 / reduced + 1
    assert "Corrupt" not in capfd.readouterr().err  # the decoder's complaint


def test_the_crop_does_not_depend_on_where_decoding_stops(monkeypatch):
    picture = photos.image(*SIZE)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    to_ndc = np.array([[0.03, 0.01, -2.0], [-0.01, 0.03, -1.4]])
    window = crop_pixels.visible_window(to_ndc, SIZE, 64)
    cropped = pixels.image_crop(jpeg, SIZE, window, 64)
    decode = pixels._decode_bgr
    monkeypatch.setattr(
        pixels,
        "_decode_bgr",
        lambda data, size, reduced, _: decode(data, size, reduced),
    )
    np.testing.assert_array_equal(
        cropped, pixels.image_crop(jpeg, SIZE, window, 64)
    )
