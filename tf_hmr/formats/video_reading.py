"""Reads videos frame by frame, with the times that their own clock says.

The rules are those of the device's one file, edge/run.py.
"""

import math
import os
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

SUFFIXES = tuple(
    ".3gp .avi .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ts .webm .wmv".split()
)
"""Endings of files that are videos."""

_FPS = 25.0  # of a video that does not say it
_MOST_FPS = 1000.0
_WHOLE = 0.98  # Headers may count a frame or two that cannot be shown.
_MP4_BOXES = b"ftyp moov mdat free skip wide styp moof mfra sidx uuid".split()


class Reader:
    """One pass through a video file.

    Attributes:
        fps: frames per second, as the file says.
        size: width and height in pixels.
        expected_count: frames, as the file says; None if it does not.
    """

    def __init__(self, path: str | pathlib.Path):
        """Opens a video.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it shows no frame.
        """
        self._path = pathlib.Path(path)
        if not self._path.is_file():
            raise FileNotFoundError(f"{path}: no such video.")
        self._video = cv2.VideoCapture(str(path))
        fps = self._video.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < _MOST_FPS else _FPS
        count = self._video.get(cv2.CAP_PROP_FRAME_COUNT)
        self.expected_count = int(count) if 0 < count < 2**31 else None
        self._image = self._video.read()[1]
        if self._image is None:
            raise ValueError(
                f"{path}: no video that OpenCV reads, or one without frames."
            )
        self.size = self._image.shape[1::-1]

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields each frame once: seconds since the first, (H, W, 3) RGB.

        Raises:
            ValueError: after the last whole frame, if the file is cut off
                there, or its frames have another size from there on.
        """
        clock = Clock(self.fps)
        while self._image is not None:
            image = self._image
            if image.shape[1::-1] != self.size:
                raise ValueError(
                    f"{self._path}: frame {clock.count} has {image.shape[1]} x "
                    f"{image.shape[0]} pixels, the others before "
                    f"{self.size[0]} x {self.size[1]}: the video is read up "
                    "to there. Cut it in two."
                )
            seconds = clock(self._video.get(cv2.CAP_PROP_POS_MSEC))
            yield seconds, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            self._image = self._video.read()[1]
        fewer = clock.count < _WHOLE * (self.expected_count or 0) - 1
        if fewer and is_cut(self._path):
            raise ValueError(
                f"{self._path}: broke off after {clock.count} of "
                f"{self.expected_count} frames: the file is cut short."
            )


class Clock:
    """Seconds of a video's frames since its first, by the video's own clock."""

    def __init__(self, fps: float):
        self.count = 0
        self._fps, self._start_s, self._last_s = fps, None, -1 / fps

    def __call__(self, position_ms: float) -> float:
        """Time of the next frame, of which OpenCV says the position."""
        if self._start_s is None:
            self._start_s = position_ms / 1000
        elapsed = position_ms / 1000 - self._start_s
        if abs(elapsed - self.count / self._fps) < 1e-3:  # Its rounding.
            elapsed = self.count / self._fps
        if not self._last_s < elapsed < math.inf:  # It says nothing.
            elapsed = self._last_s + 1 / self._fps
        self.count, self._last_s = self.count + 1, elapsed
        return elapsed


def is_cut(path: str | pathlib.Path) -> bool:
    """Whether a video file ends before the boxes or chunks that it holds.

    The header's count of frames proves nothing: an edit list hides some. Files
    that are not MP4, AVI or Matroska do not say their length: taken as cut.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        file.seek(max(0, size - 1024))
        if not file.read().strip(b"\0"):  # Room for what never came.
            return True
        file.seek(0)
        head, end = file.read(64), 0
        if head[:4] == b"\x1aE\xdf\xa3":
            return _matroska_length(head) > size
        length = _box_length(head)
        if length is None:
            return True
        while length is not None and end <= size:
            end += length or size - end
            file.seek(min(end, size))
            length = _box_length(file.read(16))
    return end > size + 1


def _box_length(head: bytes) -> int | None:
    """Bytes of an AVI or MP4 box; 0: to the file's end; None: another kind."""
    if head[:4] == b"RIFF":
        return int.from_bytes(head[4:8], "little") + 8
    if head[4:8] not in _MP4_BOXES:
        return None
    length = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if length == 1 else length


def _matroska_length(head: bytes) -> int:
    """Length that a Matroska or WebM file should have; 0 if it is not said."""
    offset = head.find(b"\x18\x53\x80\x67") + 4  # Segment.
    if offset < 4 or not any(head[offset : offset + 1]):
        return 0
    count = 9 - head[offset].bit_length()  # Bytes of the length.
    marker = 1 << 7 * count
    length = int.from_bytes(head[offset : offset + count], "big") - marker
    return 0 if length == marker - 1 else offset + count + length
