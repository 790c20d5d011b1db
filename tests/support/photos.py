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
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    header = b"IHDR" + struct.pack(">II", 100_000, 100_000) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
