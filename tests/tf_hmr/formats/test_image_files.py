"""Which image files are read, and what is said of the others."""

import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

import tf_hmr
from tests.support import memory, photos
from tf_hmr.formats import image_files, jpeg_data

IMAGE = photos.image(160, 200)
INTACT_JPEGS = photos.whole_jpegs(IMAGE)
BAD = photos.bad_jpegs(photos.image(320, 400))


@pytest.mark.parametrize("name", INTACT_JPEGS)
def test_whole_jpegs_are_read_as_opencv_reads_them(name):
    encoded = INTACT_JPEGS[name]
    expected = cv2.imdecode(np.frombuffer(encoded, np.uint8), 1)
    np.testing.assert_array_equal(image_files.decode(encoded), expected)


@pytest.mark.parametrize("name", INTACT_JPEGS)
def test_the_end_is_that_of_the_picture(name):
    encoded = INTACT_JPEGS[name]
    end = jpeg_data.find_end(encoded)
    assert encoded[end - 2 : end] == b"\xff\xd9"
    picture = cv2.imdecode(np.frombuffer(encoded[:end], np.uint8), 1)
    assert picture.shape == IMAGE.shape
    frame = jpeg_data.find_frame(encoded)
    assert (frame.width, frame.height) == (160, 200)


@pytest.mark.parametrize("name", BAD)
def test_cut_and_damaged_jpegs_are_refused(name):
    with pytest.raises(image_files.BadImage, match="JPEG is (cut|damaged)"):
        image_files.decode(BAD[name])


def test_flipped_bytes_are_refused_where_the_decoder_can_tell(rng):
    # Of fine detail, so that a lost block is many bytes of code.
    plain = photos.jpeg(rng.integers(0, 256, (96, 128, 3), np.uint8))
    expected = image_files.decode(plain).astype(int)
    wrong = refused = 0
    for share in np.linspace(0.3, 0.9, 60):
        damaged = bytearray(plain)
        damaged[int(len(plain) * share)] ^= 0xFF
        decoded = cv2.imdecode(np.frombuffer(bytes(damaged), np.uint8), 1)
        if decoded is None or np.abs(decoded - expected).max() > 60:
            wrong += 1
            try:
                image_files.decode(bytes(damaged))
            except image_files.BadImage:
                refused += 1
    assert wrong > 15
    assert refused > 0.7 * wrong


@pytest.mark.parametrize(
    ("encoded", "cause"),
    [
        (b"", "picture does not decode"),
        (b"this is no image", "picture does not decode"),
        (b"\xff\xd8\xff\xd9", "JPEG does not decode"),
        (b"\xff\xd8 no more", "JPEG is cut short"),
        (b"\xff\xd8" + bytes(2000), "JPEG is cut short"),
        (photos.jpeg_of_size(30_000, 30_000), "300 megapixels"),
        (photos.png_of_billions(), "300 megapixels"),
        (photos.jpeg_of_size(20_000, 10_000), "too few bytes"),
        (photos.png_of_size(20_000, 10_000), "too few bytes"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC is not read"),
    ],
)
def test_others_are_refused_by_cause(encoded, cause):
    with pytest.raises(image_files.BadImage, match=cause):
        image_files.decode(encoded)


def avif(*properties: bytes) -> bytes:
    """The boxes of an AVIF without pixels, with some item properties."""

    def box(kind: bytes, *contents: bytes) -> bytes:
        content = b"".join(contents)
        return struct.pack(">I", len(content) + 8) + kind + content

    properties_box = box(b"iprp", box(b"ipco", *properties))
    return (
        box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
        + box(b"meta", bytes(4), properties_box)
        + box(b"mdat", b"\0\0\0\x09irot\x01")
    )


@pytest.mark.parametrize(
    ("properties", "rotated"),
    [
        ((), False),
        ((b"\0\0\0\x09irot\x00",), False),
        ((b"\0\0\0\x09irot\x03",), True),
        ((b"\0\0\0\x09imir\x00",), True),
    ],
)
def test_avif_that_would_lie_on_its_side_is_refused(properties, rotated):
    cause = "turned or mirrored" if rotated else "does not decode"
    with pytest.raises(image_files.BadImage, match=cause):
        image_files.decode(avif(*properties))


def tiff_of_size(side: int) -> bytes:
    """A small TIFF, one compressed strip, that claims side x side pixels."""
    strip = zlib.compress(bytes(1000))
    shorts = {258: 8, 259: 8, 262: 1, 277: 1}
    longs = {256: side, 257: side, 273: 8, 278: side, 279: len(strip)}
    entries = [(k, 3, v) for k, v in shorts.items()]
    entries += [(k, 4, v) for k, v in longs.items()]
    packed = b"".join(
        struct.pack("<HHI", k, kind, 1) + struct.pack("<I", v)
        for k, kind, v in sorted(entries)
    )
    start = 8 + len(strip) + len(strip) % 2
    directory = struct.pack("<H", len(entries)) + packed + bytes(4)
    return (
        b"II*\0" + struct.pack("<I", start) + strip.ljust(start - 8, b"\0")
    ) + directory


def test_no_kind_of_image_takes_memory_beyond_the_limit(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of_size(20_000))
    # In a process of its own, as OpenCV reads its limit at its start. The
    # pixels of this file would take 1.2 GB.
    code = (
        "import training, cv2, resource\n"
        "from tf_hmr.formats import image_files\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))\n"
        f"image_files.decode(open({str(path)!r}, 'rb').read())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert "300 megapixels" in completed.stderr.splitlines()[-1]


def test_the_limit_lets_panoramas_pass():
    assert tf_hmr.MAX_IMAGE_PIXELS >= 16_384 * 8_192 * 2
    assert str(tf_hmr.MAX_IMAGE_PIXELS // 10**6) in image_files.TOO_LARGE


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_images_of_one_colour_have_enough_bytes(depth):
    """Nothing is packed more tightly."""
    for shape in ((3000, 4000), (3000, 4000, 3), (1, 1, 3)):
        image = np.zeros(shape, depth)
        settings = [cv2.IMWRITE_PNG_COMPRESSION, 9]
        encoded = cv2.imencode(".png", image, settings)[1].tobytes()
        assert image_files.decode(encoded).shape[:2] == shape[:2]
    settings = [cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    encoded = photos.jpeg(np.zeros((3000, 4000, 3), np.uint8), *settings)
    assert image_files.decode(encoded).shape == (3000, 4000, 3)


def test_a_chunk_beyond_the_end_takes_no_memory():
    png = bytearray(photos.png_of_size(4, 4))
    start = png.index(b"IEND") - 4
    png[start : start + 4] = (2**29).to_bytes(4, "big")

    def refused():
        with pytest.raises(image_files.BadImage, match="PNG is cut short"):
            image_files.decode(bytes(png))

    assert memory.peak_growth(refused) < 2**27
