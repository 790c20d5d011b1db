"""Photographs for tests, made from numbers."""

import pathlib
import struct
import zlib

import cv2
import numpy as np


def image(width: int, height: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: soft random blots, different at every place."""
    rng = np.random.default_rng(seed)
    small = (max(2, height // 30), max(2, width // 30), 3)
    blots = rng.integers(0, 256, small, dtype=np.uint8)
    return cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)


def write(path: pathlib.Path, image: np.ndarray) -> pathlib.Path:
    """Writes RGB by the path's ending; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(path.suffix, image[..., ::-1])[1]
    path.write_bytes(encoded.tobytes())
    return path


def jpeg_with_orientation(image: np.ndarray, orientation: int) -> bytes:
    """A JPEG whose EXIF block says how to turn it, written by hand.

    APP1 segment: "Exif", two zeros, then a big-endian TIFF with one entry of
    its first directory: tag 0x0112 (Orientation), type 3 (short), count 1.
    """
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation, 0, 0])
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    exif = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    return jpeg[:2] + segment + jpeg[2:]


def png_of_billions() -> bytes:
    """A small PNG whose header claims 100,000 x 100,000 pixels."""
    return png_of_size(100_000, 100_000)


def png_of_size(width: int, height: int) -> bytes:
    """A small PNG whose header claims another size."""
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def jpeg(image: np.ndarray, *settings: int) -> bytes:
    """The bytes of a JPEG of RGB, with settings of cv2.imencode."""
    return cv2.imencode(".jpg", image[..., ::-1], settings)[1].tobytes()


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    content = bytearray(jpeg(np.zeros((8, 8, 3), np.uint8)))
    offset = content.index(b"\xff\xc0") + 5
    content[offset : offset + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def whole_jpegs(image: np.ndarray) -> dict[str, bytes]:
    """JPEGs of one RGB image as cameras and programs write them, by name.

    Each holds the whole picture, and more than a plain JPEG, or less usual
    markers.
    """
    plain = jpeg(image)
    progressive = jpeg(image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    restarts = jpeg(image, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    thumbnail = jpeg(image[:16, :16])
    segment = b"Exif\0\0" + thumbnail
    app1 = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    tables = plain.index(b"\xff\xdb")
    end = b"\xff\xd9"
    return {
        "plain": plain,
        "progressive": progressive,
        "restarts": restarts,
        "thumbnail": plain[:2] + app1 + plain[2:],
        "padding behind the end": plain + bytes(600),
        "a maker's trailer": plain + bytes(40) + b"\x00\x01\x0aSEFT" * 30,
        "a motion photo": plain + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 9,
        "two pictures": plain + thumbnail,
        "fill before a table": plain[:tables] + b"\xff\xff" + plain[tables:],
        "fill before the end": plain[:-2] + b"\xff" * 5 + end,
        "zeros before the end": plain[:-2] + bytes(700) + end,
        "one zero before the end": plain[:-2] + bytes(1) + end,
        "junk in the header": plain[:tables] + b"junk" + plain[tables:],
        "progressive with zeros": progressive[:-2] + bytes(99) + end,
    }


def bad_jpegs(image: np.ndarray) -> dict[str, bytes]:
    """JPEGs whose picture of an RGB image is cut short or damaged, by name."""
    plain = jpeg(image)
    progressive = jpeg(image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    restarts = jpeg(image, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    thumbnail = jpeg(image[:16, :16])
    segment = b"Exif\0\0" + thumbnail
    app1 = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    half = plain[: len(plain) // 2]
    return {
        "half": half,
        "half of a progressive": progressive[: len(progressive) // 2],
        "without its end": plain[:-2],
        "half with a thumbnail": plain[:2] + app1 + half[2:],
        "half with an end": half + b"\xff\xd9",
        "half with zeros": half + bytes(len(plain) - len(half)),
        "zeros to the end": half + bytes(len(half)) + b"\xff\xd9",
        "zeros inside": zeroed(plain, 0.5),
        "zeros in a progressive": zeroed(progressive, 0.5),
        "zeros between restarts": zeroed(restarts, 0.5),
    }


def zeroed(content: bytes, share: float, count: int = 512) -> bytes:
    """The content with zeros from that share of its length on."""
    start = int(len(content) * share)
    return content[:start] + bytes(count) + content[start + count :]
