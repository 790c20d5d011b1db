"""Converts a dataset's image or video frame to the form stored in records.

A JPEG no larger than LARGEST_PX is stored byte for byte. A larger image is
cut around the person, with room for augmentation, shrunk to LARGEST_PX and
encoded again; keypoints, box, intrinsics and parts are adjusted. Other image
formats are encoded as JPEG, too.
"""

import dataclasses
import errno
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.formats import image_files, jpeg_data
from tf_hmr.geometry import crop
from training.data.pipeline import pixels
from training.data.readers import writing
from training.data.records import schema

LARGEST_PX = 640
QUALITY = 95
ROOM = 2.2
"""Side of a cut over the longer side of the box. HMR's crop of 224 / 150
sides, enlarged by 1 / 0.8 and moved by 20 px of 224 either way, sees 2.13."""

_MAX_GRABS = 300  # Longer gaps are crossed by seeking, not by grabbing.

# Of names that lead to no file that may be read: links in a circle, folders.
_NO_FILE = (errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.EACCES)


def example(
    source: Path | np.ndarray | None,
    parts: np.ndarray | None = None,
    **fields: Any,
) -> writing.ReadPerson:
    """A person in an image, as records store it.

    Args:
        source: path of the image; or (H, W, 3) uint8 BGR as OpenCV decodes
            it; or None if the video lacks the frame.
        parts: (H, W) uint8, one plus the part14 label, 0 elsewhere.
        **fields: fields of records.Example for the whole image, without
            image, height and width. Keypoints outside the image become
            invisible.

    Returns:
        The example, or Skipped with the cause.

    Raises:
        ValueError: a field has another shape than records.Example says.
    """
    name = fields["example_id"]
    if source is None:
        return writing.Skipped(name, "the video lacks the frame")
    try:
        jpeg, image, (width, height) = _read(source)
    except FileNotFoundError:
        return writing.Skipped(name, "the picture's file is missing")
    except OSError as error:
        if error.errno not in _NO_FILE:  # As of a disk that fails.
            raise
        return writing.Skipped(name, "the picture's file cannot be opened")
    except pixels.BadImage as error:
        return writing.Skipped(name, str(error))
    label = schema.Example(jpeg, height, width, **fields)
    cause = _reject_cause(label, parts)
    if cause:
        return writing.Skipped(name, cause)
    label = _hide_keypoints_outside(label)
    if jpeg and max(width, height) <= LARGEST_PX:
        return dataclasses.replace(label, parts=_png(parts))
    try:
        if image is None:
            image = _decoded(jpeg, (width, height))
    except pixels.BadImage as error:
        return writing.Skipped(name, str(error))
    return _cut(label, image, parts, _window(label), LARGEST_PX)


def cached_crop(label: schema.Example, largest_px: int) -> schema.Example:
    """Cuts a stored example around its person, smaller than readers do.

    Args:
        label: an example with its image.
        largest_px: longest side of the new image in pixels.

    Returns:
        The example with room for augmentation, encoded again.

    Raises:
        pixels.BadImage: the image or its parts do not decode.
    """
    size = (label.width, label.height)
    parts = None
    if label.parts:
        parts = image_files.decode_unchecked(label.parts, cv2.IMREAD_UNCHANGED)
        if parts is None or parts.shape[:2] != size[::-1]:
            raise pixels.BadImage("parts differ in size from the image")
    image = _decoded(label.image, size)
    return _cut(label, image, parts, _around_person(label), largest_px)


def read_video(
    path: Path, numbers: Sequence[int]
) -> Iterator[np.ndarray | None]:
    """Reads frames of a video in order.

    Args:
        path: path of the video.
        numbers: ascending frame numbers; the first frame is 0.

    Yields:
        (H, W, 3) uint8 BGR for each number; None if the video ends before it
        or does not open.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        for number in numbers:
            yield _frame(capture, number) if capture.isOpened() else None
    finally:
        capture.release()


def _frame(capture: cv2.VideoCapture, number: int) -> np.ndarray | None:
    start = int(capture.get(cv2.CAP_PROP_POS_FRAMES))
    if number - start > _MAX_GRABS:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        start = int(capture.get(cv2.CAP_PROP_POS_FRAMES))
    for _ in range(number - start):
        if not capture.grab():
            return None
    success, image = capture.read()
    return image if success else None


def _read(source: Path | np.ndarray):
    """JPEG bytes or b"", pixels or None, and (W, H)."""
    if isinstance(source, np.ndarray):
        return b"", source, source.shape[1::-1]
    return _read_file(Path(source))


@functools.lru_cache(maxsize=1)  # The next person is often in the same file.
def _read_file(path: Path):
    encoded = path.read_bytes()
    if encoded[:2] == jpeg_data.START:
        frame = jpeg_data.find_frame(encoded)
        return encoded, None, (frame.width, frame.height)
    image = image_files.decode(encoded)
    return b"", image, image.shape[1::-1]


@functools.lru_cache(maxsize=1)
def _decoded(jpeg: bytes, size: tuple[int, int]) -> np.ndarray:
    image = pixels.decode_jpeg(jpeg, size, undamaged=True)
    # A reversed view would be copied channel by channel when it is resized.
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def _reject_cause(label: schema.Example, parts: np.ndarray | None) -> str:
    """Cause of skipping an example, or an empty string.

    Without numbers, unlike messages of schema.check, so that equal causes are
    counted together.
    """
    x, y, w, h = label.box.tolist()
    if not np.isfinite(label.box).all() or min(w, h) <= 0:
        return "the box is empty or not finite"
    if x >= label.width or y >= label.height or x + w <= 0 or y + h <= 0:
        return "the box lies outside the picture"
    if parts is not None and parts.shape != (label.height, label.width):
        return "parts differ in size from the picture"
    return ""


def _hide_keypoints_outside(label: schema.Example) -> schema.Example:
    if label.keypoints is None:
        return label
    keypoints = label.keypoints.copy()
    size = np.array([label.width, label.height])
    # Pixel centres are integers, so an image starts at -0.5.
    inside = (keypoints[:, :2] >= -0.5) & (keypoints[:, :2] <= size - 0.5)
    keypoints[:, 2] *= inside.all(axis=1)
    return dataclasses.replace(label, keypoints=keypoints)


def _cut(label, image, parts, window, largest_px) -> schema.Example:
    """Cuts and shrinks the image, encodes it and adjusts the labels."""
    left, top, right, bottom = window
    image = image[top:bottom, left:right]
    size = np.array([right - left, bottom - top])
    shrunk = np.rint(size * min(1, largest_px / size.max())).astype(int)
    shrunk = np.maximum(shrunk, 1)
    if (shrunk != size).any():
        image = cv2.resize(image, shrunk.tolist(), interpolation=cv2.INTER_AREA)
    if parts is not None:
        parts = cv2.resize(
            parts[top:bottom, left:right],
            shrunk.tolist(),
            interpolation=cv2.INTER_NEAREST_EXACT,
        )
    original_size = np.array([label.width, label.height])
    cut = np.array([left, top, right - left, bottom - top], float)
    if label.cut is not None:  # The image is a cut already.
        scale = label.cut[2:] / original_size
        original_size = label.original_size
        cut = np.concatenate([label.cut[:2] + cut[:2] * scale, cut[2:] * scale])
    cut_example = dataclasses.replace(
        label,
        image=_jpeg(image),
        original_size=original_size,
        cut=cut,
        width=int(shrunk[0]),
        height=int(shrunk[1]),
        parts=_png(parts),
    )
    return _with_labels_cut(
        cut_example, np.array([left, top], float), shrunk / size
    )


def _window(label: schema.Example) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the stored part of the image."""
    if max(label.width, label.height) <= LARGEST_PX:
        return 0, 0, label.width, label.height
    return _around_person(label)


def _around_person(label: schema.Example) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the person with room for augmentation."""
    x, y, side, _ = crop.square_box(label.box, ROOM)
    right = min(math.ceil(x + side), label.width)
    bottom = min(math.ceil(y + side), label.height)
    return max(math.floor(x), 0), max(math.floor(y), 0), right, bottom


def _with_labels_cut(
    label, corner: np.ndarray, scale: np.ndarray
) -> schema.Example:
    """The example with labels in pixels of the cut.

    Args:
        label: example with labels in pixels of the whole image.
        corner: (2,) left and top of the cut.
        scale: (2,) pixels of the stored image per pixel of the cut.
    """

    def pixel_centres(xy: np.ndarray) -> np.ndarray:
        # Pixel edges scale; centres lie half a pixel inside.
        return (xy - corner + 0.5) * scale - 0.5

    box = label.box.astype(np.float64)
    labels = {"box": [*((box[:2] - corner) * scale), *(box[2:] * scale)]}
    if label.keypoints is not None:
        keypoints = label.keypoints.astype(np.float64)
        keypoints[:, :2] = pixel_centres(keypoints[:, :2])
        labels["keypoints"] = keypoints
    for name in ("landmarks", "openpose"):
        if getattr(label, name) is not None:
            points = getattr(label, name).astype(np.float64)
            points[:, :2] = pixel_centres(points[:, :2])
            labels[name] = points
    if label.intrinsics is not None:
        camera = label.intrinsics.astype(np.float64)
        labels["intrinsics"] = [
            *(camera[:2] * scale),
            *pixel_centres(camera[2:]),
        ]
    return dataclasses.replace(label, **labels)


def _jpeg(image: np.ndarray) -> bytes:
    settings = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
    return cv2.imencode(".jpg", image, settings)[1].tobytes()


def _png(parts: np.ndarray | None) -> bytes:
    if parts is None:
        return b""
    # Few labels in large areas: the quickest setting is small enough.
    settings = (cv2.IMWRITE_PNG_COMPRESSION, 1)
    return cv2.imencode(".png", parts, settings)[1].tobytes()


def by_name(
    names: Sequence[str], points: np.ndarray, flags: Any = 1
) -> np.ndarray:
    """A dataset's points in the order of joints.KEYPOINTS.

    Args:
        names: names of the points; those not in KEYPOINTS are dropped.
        points: (n, 2) pixels or (n, 3) metres.
        flags: (n,) 0 or 1, or one flag for all.

    Returns:
        (K, 3) or (K, 4): the points and 1; all 0 for a missing point.
    """
    ordered = np.zeros((len(joints.KEYPOINTS), points.shape[1] + 1))
    point_flags = np.broadcast_to(flags, len(names))
    for name, point, flag in zip(names, points, point_flags, strict=True):
        if name in joints.KEYPOINTS and flag:
            ordered[joints.KEYPOINTS.index(name)] = [*point, 1]
    return ordered
