"""Whether the bytes of a JPEG hold a whole, undamaged picture.

A file is often longer than its picture: padding, a maker's trailer, the video
of a motion photo or more pictures follow the end marker (EOI). And it may hold
other pictures before it: thumbnails in its APPn segments. So the markers are
followed, one segment after the other (ITU-T T.81, B.1), up to the picture's
own end. Whether the coded data between the markers make sense only a decoder
knows: libjpeg-turbo warns where they do not, and paints what it can.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import simplejpeg

START = b"\xff\xd8"
_END = 0xD9
_SCAN = 0xDA
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
# Kinds of markers among those of frames that are tables and an extension.
_NO_FRAME = (0xC4, 0xC8, 0xCC)
# A marker is 0xff, as often as may be, and its kind. In coded data 0xff 0x00
# is a byte 0xff, and the restart markers 0xd0 to 0xd7 are part of the data.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
# Zeros before the end marker that may belong to the coded data.
_MAX_ZEROS = 2
# What libjpeg-turbo's warnings about wrong data begin with. The others are
# about versions of JFIF's header and the like.
_WARNINGS = ("Corrupt JPEG data", "Premature end")


class BadImage(ValueError):
    """An image that cannot be used; the message is a short cause."""


class _Segment(NamedTuple):
    """A marker and what belongs to it: data[start:end]."""

    kind: int
    start: int
    end: int
    content: int  # offset behind the marker


class Frame(NamedTuple):
    """What a JPEG's header says of its picture."""

    kind: int
    """Marker of the frame, 0xc0 to 0xcf: sequential, progressive..."""
    size_offset: int
    """Offset of the height and width, two bytes each, in the file."""
    width: int
    height: int


def find_frame(data: bytes) -> Frame:
    """Reads a JPEG's header up to the size of its picture.

    Raises:
        BadImage: it is no JPEG, or there is no such header.
    """
    try:
        for segment in _segments(data):
            if 0xC0 <= segment.kind <= 0xCF and segment.kind not in _NO_FRAME:
                offset = segment.content + 3  # behind length and precision
                height, width = struct.unpack_from(">HH", data, offset)
                return Frame(segment.kind, offset, width, height)
    except (BadImage, struct.error):
        pass
    raise BadImage("JPEG does not decode")


def find_end(data: bytes) -> int:
    """Finds where a JPEG's picture ends: the offset behind its end marker.

    Raises:
        BadImage: it is no JPEG, or the picture is cut short.
    """
    end = 0
    for segment in _segments(data):
        end = segment.end
    return end


def check(data: bytes) -> None:
    """Refuses a JPEG whose picture is cut short or damaged.

    Bytes behind the picture's end, zeros before its end marker and bytes
    between the segments of its header are no damage.

    Raises:
        BadImage: cut short; or the decoder warns of wrong data. Damage that
            happens to be valid code cannot be told.
    """
    if any(not _decoder_warns(variant) for variant in _variants(data)):
        return
    raise BadImage("JPEG is damaged")


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments of a JPEG, in order, the end marker last.

    Raises:
        BadImage: it does not begin as a JPEG, or breaks off.
    """
    if data[:2] != START:
        raise BadImage("JPEG does not decode")
    offset, marker = 2, _MARKER
    while match := marker.search(data, offset):
        kind, offset, marker = match[1][0], match.end(), _MARKER
        content = offset
        if kind != _END and kind not in _WITHOUT_LENGTH:
            offset += int.from_bytes(data[offset : offset + 2], "big")
            if kind == _SCAN:
                marker = _MARKER_AFTER_SCAN
        yield _Segment(kind, match.end() - 2, offset, content)
        if kind == _END:
            return
    raise BadImage("JPEG is cut short")


def _variants(data: bytes) -> Iterator[bytes]:
    """The picture alone, with fewer and fewer zeros before its end marker.

    Some cameras pad coded data by zeros, which the decoder would warn of.
    """
    segments = list(_segments(data))
    header, scan = [START], len(data)
    for segment in segments:
        if segment.kind == _SCAN:
            scan = segment.start
            break
        header.append(data[segment.start : segment.end])
    end = segments[-1].start
    coded = data[scan:end]
    start = b"".join(header)
    yield start + coded + b"\xff\xd9"
    shortened = coded.rstrip(b"\x00")
    zeros = len(coded) - len(shortened)
    for count in range(min(zeros, _MAX_ZEROS + 1)):
        yield start + shortened + bytes(count) + b"\xff\xd9"


def _decoder_warns(jpeg: bytes) -> bool:
    """Whether libjpeg-turbo warns of wrong data; decodes at 1/8 of the size."""
    try:
        simplejpeg.decode_jpeg(jpeg, "GRAY", min_height=1, min_width=1)
    except ValueError as error:
        # Other errors are of kinds that OpenCV may decode.
        return str(error).startswith(_WARNINGS)
    return False
