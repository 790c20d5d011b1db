"""From a dataset's picture or video frame to what a record stores.

A JPEG that is not larger than LARGEST_PX is stored byte for byte. What is
larger is cut around the person, with the room that augmentation looks into,
made no larger than LARGEST_PX and encoded anew; keypoints, box, intrinsics
and parts move along. What is no JPEG is encoded anew, too.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.geometry import crop
from training.data.pipeline import pixels
from training.data.readers import writing
from training.data.records import schema

LARGEST_PX = 640
QUALITY = 95
ROOM = 2.2
"""Side of a cut over the longer side of the box. HMR's crop of 224 / 150
sides, enlarged by 1 / 0.8 and moved by 20 px of 224 either way, sees 2.13."""

_JPEG = b"\xff\xd8"
_MOST_GRABS = 300  # Frames that are rather passed over than sought.


def example(
    source: Path | np.ndarray | None,
    parts: np.ndarray | None = None,
    **fields: Any,
) -> writing.Found:
    """A person in a picture, as records store it.

    Args:
        source: the picture's file; or (H, W, 3) uint8 BGR as OpenCV decodes
            it; or None, where a video lacks the frame.
        parts: (H, W) uint8, one plus the part14 label, 0 elsewhere.
        **fields: of records.Example for the whole picture, but for image,
            height and width. Keypoints outside the picture become invisible.

    Returns:
        The example, or why there is none.

    Raises:
        ValueError: a field has another shape than records.Example says.
    """
    name = fields["example_id"]
    if source is None:
        return writing.Skipped(name, "the video lacks the frame")
    try:
        jpeg, picture, (width, height) = _read(source)
    except FileNotFoundError:
        return writing.Skipped(name, "the picture's file is missing")
    except pixels.BadImage as error:
        return writing.Skipped(name, str(error))
    label = schema.Example(jpeg, height, width, **fields)
    cause = _unfit(label, parts)
    if cause:
        return writing.Skipped(name, cause)
    label = _with_visible_inside(label)
    if jpeg and max(width, height) <= LARGEST_PX:
        return dataclasses.replace(label, parts=_png(parts))
    try:
        if picture is None:
            picture = _decoded(jpeg, (width, height))
    except pixels.BadImage as error:
        return writing.Skipped(name, str(error))
    return _cut(label, picture, parts)


def of_video(path: Path, numbers: Sequence[int]) -> Iterator[np.ndarray | None]:
    """Frames of a video, one after the other.

    Args:
        path: the video.
        numbers: of the frames, rising, the first frame is 0.

    Yields:
        For each number (H, W, 3) uint8 BGR, or None where the video ends
        before it, or does not open.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        for number in numbers:
            yield _frame(capture, number) if capture.isOpened() else None
    finally:
        capture.release()


def _frame(capture: cv2.VideoCapture, number: int) -> np.ndarray | None:
    start = int(capture.get(cv2.CAP_PROP_POS_FRAMES))
    if number - start > _MOST_GRABS:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        start = int(capture.get(cv2.CAP_PROP_POS_FRAMES))
    for _ in range(number - start):
        if not capture.grab():
            return None
    found, picture = capture.read()
    return picture if found else None


def _read(source: Path | np.ndarray):
    """JPEG bytes or b"", pixels or None, and (W, H)."""
    if isinstance(source, np.ndarray):
        return b"", source, source.shape[1::-1]
    return _read_file(Path(source))


@functools.lru_cache(maxsize=1)  # The next person is often in the same file.
def _read_file(path: Path):
    data = path.read_bytes()
    if data[:2] == _JPEG:
        return data, None, pixels.jpeg_size(data)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # an empty file, or a header that asks for too much
        picture = None
    if picture is None:
        raise pixels.BadImage("picture does not decode")
    return b"", picture, picture.shape[1::-1]


@functools.lru_cache(maxsize=1)
def _decoded(jpeg: bytes, size: tuple[int, int]) -> np.ndarray:
    # A reversed view would be copied channel by channel when it is resized.
    return cv2.cvtColor(pixels.decode_jpeg(jpeg, size), cv2.COLOR_RGB2BGR)


def _unfit(label: schema.Example, parts: np.ndarray | None) -> str:
    """A cause that is the same for all of a kind; records' names numbers."""
    x, y, w, h = label.box.tolist()
    if not np.isfinite(label.box).all() or min(w, h) <= 0:
        return "the box is empty or not finite"
    if x >= label.width or y >= label.height or x + w <= 0 or y + h <= 0:
        return "the box lies outside the picture"
    if parts is not None and parts.shape != (label.height, label.width):
        return "parts differ in size from the picture"
    return ""


def _with_visible_inside(label: schema.Example) -> schema.Example:
    if label.keypoints is None:
        return label
    keypoints = label.keypoints.copy()
    size = np.array([label.width, label.height])
    # Pixel centres are integers, so a picture reaches from -0.5.
    inside = (keypoints[:, :2] >= -0.5) & (keypoints[:, :2] <= size - 0.5)
    keypoints[:, 2] *= inside.all(axis=1)
    return dataclasses.replace(label, keypoints=keypoints)


def _cut(label, picture, parts) -> schema.Example:
    """What is kept of the picture, encoded anew, and its labels."""
    left, top, right, bottom = _window(label)
    picture = picture[top:bottom, left:right]
    size = np.array([right - left, bottom - top])
    shrunk = np.rint(size * min(1, LARGEST_PX / size.max())).astype(int)
    shrunk = np.maximum(shrunk, 1)
    if (shrunk != size).any():
        picture = cv2.resize(
            picture, shrunk.tolist(), interpolation=cv2.INTER_AREA
        )
    if parts is not None:
        parts = cv2.resize(
            parts[top:bottom, left:right],
            shrunk.tolist(),
            interpolation=cv2.INTER_NEAREST_EXACT,
        )
    kept = dataclasses.replace(
        label,
        image=_jpeg(picture),
        original_size=np.array([label.width, label.height]),
        cut=np.array([left, top, right - left, bottom - top]),
        width=int(shrunk[0]),
        height=int(shrunk[1]),
        parts=_png(parts),
    )
    return _moved(kept, np.array([left, top], float), shrunk / size)


def _window(label: schema.Example) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is kept of a picture."""
    if max(label.width, label.height) <= LARGEST_PX:
        return 0, 0, label.width, label.height
    x, y, side, _ = crop.square_box(label.box, ROOM)
    right = min(math.ceil(x + side), label.width)
    bottom = min(math.ceil(y + side), label.height)
    return max(math.floor(x), 0), max(math.floor(y), 0), right, bottom


def _moved(label, corner: np.ndarray, scale: np.ndarray) -> schema.Example:
    """Labels in a cut that starts at `corner` and is scaled."""

    def centres(xy: np.ndarray) -> np.ndarray:
        # Edges of pixels coincide, centres are half a pixel inside.
        return (xy - corner + 0.5) * scale - 0.5

    box = label.box.astype(np.float64)
    moved = {"box": [*((box[:2] - corner) * scale), *(box[2:] * scale)]}
    if label.keypoints is not None:
        keypoints = label.keypoints.astype(np.float64)
        keypoints[:, :2] = centres(keypoints[:, :2])
        moved["keypoints"] = keypoints
    if label.landmarks is not None:
        landmarks = label.landmarks.astype(np.float64)
        landmarks[:, :2] = centres(landmarks[:, :2])
        moved["landmarks"] = landmarks
    if label.intrinsics is not None:
        camera = label.intrinsics.astype(np.float64)
        moved["intrinsics"] = [*(camera[:2] * scale), *centres(camera[2:])]
    return dataclasses.replace(label, **moved)


def _jpeg(picture: np.ndarray) -> bytes:
    settings = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
    return cv2.imencode(".jpg", picture, settings)[1].tobytes()


def _png(parts: np.ndarray | None) -> bytes:
    if parts is None:
        return b""
    # Few labels in large areas: the quickest setting is small enough.
    settings = (cv2.IMWRITE_PNG_COMPRESSION, 1)
    return cv2.imencode(".png", parts, settings)[1].tobytes()


def by_name(
    names: Sequence[str], points: np.ndarray, known: Any = 1
) -> np.ndarray:
    """A dataset's points in the order of joints.KEYPOINTS.

    Args:
        names: of the points; those that are no KEYPOINTS are dropped.
        points: (n, 2) pixels or (n, 3) metres.
        known: (n,) 0 or 1, or one for all.

    Returns:
        (K, 3) or (K, 4): the points and 1, or 0 where there is none.
    """
    found = np.zeros((len(joints.KEYPOINTS), points.shape[1] + 1))
    flags = np.broadcast_to(known, len(names))
    for name, point, flag in zip(names, points, flags, strict=True):
        if name in joints.KEYPOINTS and flag:
            found[joints.KEYPOINTS.index(name)] = [*point, 1]
    return found
