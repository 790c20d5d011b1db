"""Decodes people's image files: whole and undamaged ones alone.

All photos and images of datasets go through `decode`, so that one file has one
answer. edge/run.py, which stands alone, gives the same.
"""

import struct
from pathlib import Path

import cv2
import numpy as np

from tf_hmr import MAX_IMAGE_PIXELS
from tf_hmr.formats import jpeg_data
from tf_hmr.formats.jpeg_data import BadImage

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".jfif",
    ".jp2",
    ".jpe",
    ".ppm",
)
"""Endings of image files that are read, in lower case."""

OTHER_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".gif"),
    *(".heic", ".heif", ".hif", ".iiq", ".jxl", ".jxr", ".kdc", ".mef"),
    *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".psd", ".raf"),
    *(".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".tga", ".x3f"),
)
"""Endings of image files that are not read: HEIC, RAW of cameras and others."""

CONVERT = "convert it to JPEG or PNG"
TOO_LARGE = (
    f"picture is larger than {MAX_IMAGE_PIXELS // 10**6} megapixels, the most "
    "that is read"
)

# A block of 8 x 8 has 1 bit at least, and most JPEGs code six for 256 pixels.
_JPEG_EXPANSION = 512  # pixels of a byte
_PNG_EXPANSION = 1032  # bytes of a byte, of zlib
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the kind of colours
_PNG = b"\x89PNG\r\n\x1a\n"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def read_photo(path: str | Path) -> np.ndarray:
    """Reads a photo, upright.

    Args:
        path: an image file of any kind that OpenCV decodes.

    Returns:
        (H, W, 3) uint8 RGB, rotated by its EXIF orientation.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, cut short, damaged or no image, or
            larger than MAX_IMAGE_PIXELS.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such photo.")
    encoded = path.read_bytes()
    try:
        image = decode(encoded)
    except BadImage as error:
        raise ValueError(
            f"{path}: not a readable image: {error} ({len(encoded)} bytes). "
            "Expected a whole JPEG, PNG or other file that OpenCV decodes."
        ) from None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode(encoded: bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Decodes an image of any kind that OpenCV reads.

    Args:
        encoded: the bytes of the file.
        flags: of cv2.imdecode; by default the image is turned as its EXIF
            orientation says.

    Returns:
        The image in OpenCV's form: (H, W, 3) uint8 BGR by default.

    Raises:
        BadImage: it is cut short, damaged, larger than MAX_IMAGE_PIXELS, of a
            kind that is not read, or no image.
    """
    check(encoded)
    image = decode_unchecked(encoded, flags)
    if image is None:
        kind = "JPEG" if encoded[:2] == jpeg_data.START else "picture"
        raise BadImage(f"{kind} does not decode")
    return image


def check(encoded: bytes) -> None:
    """Refuses what OpenCV would read wrongly, or at the cost of all memory.

    Raises:
        BadImage: as `decode`, as far as it can be told without OpenCV.
    """
    if encoded[:2] == jpeg_data.START:
        jpeg_data.find_end(encoded)
        frame = jpeg_data.find_frame(encoded)
        check_size(frame.width, frame.height)
        _check_length(encoded, frame.width * frame.height / _JPEG_EXPANSION)
        jpeg_data.check(encoded)
    elif encoded[:8] == _PNG and len(encoded) >= 26:
        width, height, depth, kind = struct.unpack_from(">IIBB", encoded, 16)
        check_size(width, height)
        size = width * height * depth * _PNG_CHANNELS.get(kind, 1) / 8
        _check_length(encoded, size / _PNG_EXPANSION)
        _check_chunks(encoded)
    elif encoded[4:8] == b"ftyp":
        _check_heif(encoded)


def _check_chunks(png: bytes) -> None:
    """Refuses a PNG with a chunk that ends beyond the file.

    The decoder would take memory for it first (ISO/IEC 15948, 5.3: length,
    kind, content and checksum).

    Raises:
        BadImage: there is one.
    """
    offset, kind = len(_PNG), b""
    while kind != b"IEND" and offset + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, offset)
        offset += 12 + length
    if offset > len(png):
        raise BadImage("PNG is cut short")


def _check_length(encoded: bytes, least: float) -> None:
    """Refuses a file whose header states more pixels than its bytes can hold.

    Raises:
        BadImage: it has fewer than `least` bytes.
    """
    if len(encoded) < least:
        raise BadImage("picture has too few bytes for its size")


def check_size(width: int, height: int) -> None:
    """Refuses a size, in pixels, that would take too much memory.

    Raises:
        BadImage: it is larger than MAX_IMAGE_PIXELS.
    """
    if width * height > MAX_IMAGE_PIXELS:
        raise BadImage(TOO_LARGE)


def decode_unchecked(encoded: bytes, flags: int) -> np.ndarray | None:
    """cv2.imdecode, with None for bytes that it raises for.

    Raises:
        BadImage: the image is larger than MAX_IMAGE_PIXELS.
    """
    if not encoded:
        return None
    try:
        return cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise BadImage(TOO_LARGE) from None
        return None


def _check_heif(encoded: bytes) -> None:
    """Refuses HEIC, and AVIF that a viewer would show turned or mirrored.

    A HEIF file says by the properties irot and imir how it is to be shown
    (ISO/IEC 23008-12, 6.5.10 and 6.5.12), which OpenCV does not read.
    """
    length = int.from_bytes(encoded[:4], "big")
    brands = encoded[8:length]
    if b"avif" not in brands and b"avis" not in brands:
        if any(brand in brands for brand in _HEIF_BRANDS):
            raise BadImage(f"HEIC is not read: {CONVERT}")
        return
    start = encoded.find(b"meta", length)
    header_length = int.from_bytes(encoded[max(start - 4, 0) : start], "big")
    header = encoded[start : start + header_length]
    turn = header.find(b"\0\0\0\x09irot") + 8
    turned = turn >= 8 and header[turn : turn + 1] not in (b"", b"\0")
    if turned or b"\0\0\0\x09imir" in header:
        raise BadImage(
            f"AVIF that is to be turned or mirrored is not read: {CONVERT}"
        )
