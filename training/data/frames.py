"""From a picture file of a dataset to the JPEG of a record.

A small JPEG is stored byte for byte. A larger picture is cut around the
person, made smaller where it still is large, and encoded again; the labels
move along.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tf_hmr import crop
from training.data import dataset, pixels, records

MOST_PX = 640
"""Longest side of a stored picture."""

ROOM = 2.2
"""Side of a cut over the side of the box. HMR's widest augmentation sees
2.13 sides: a crop of 224 px for 150 px of person, over a scale of 0.8, moved
by 20 px either way (akanazawa/hmr: src/config.py)."""

_QUALITY = 95


def example(path: Path, example_id: str, **labels: Any) -> dataset.Found:
    """One person of a picture file.

    Args:
        path: a JPEG, or another format that OpenCV reads.
        example_id: names the person.
        **labels: of records.Example, in pixels of the whole picture.

    Returns:
        The example, or why there is none.
    """
    try:
        jpeg, size = _read(path)
        picture = None if jpeg else _decoded(path)
        width, height = size or picture.shape[1::-1]
        whole = records.Example(
            jpeg, height, width, example_id=example_id, **labels
        )
        crop.check_box(whole.box, (width, height))
        if max(width, height) > MOST_PX and picture is None:
            picture = _decoded(path)
    except FileNotFoundError:
        return dataset.Skipped(example_id, "the picture file is missing")
    except pixels.BadImage as error:
        return dataset.Skipped(example_id, str(error))
    except ValueError:
        return dataset.Skipped(example_id, "the box is not in the picture")
    return whole if picture is None else cut(whole, picture)


def cut(whole: records.Example, picture: np.ndarray) -> records.Example:
    """An example of a part of its picture, encoded as JPEG.

    Args:
        whole: labels in pixels of the whole picture; its `image` is not read.
        picture: (H, W, 3) uint8 RGB.

    Returns:
        The example of at most MOST_PX; all of the picture if that is small.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    if max(width, height) > MOST_PX:
        x, y, side, _ = crop.square_box(whole.box, ROOM)
        left, top = (max(0, round(edge)) for edge in (x, y))
        right = min(width, max(left + 1, round(x + side)))
        bottom = min(height, max(top + 1, round(y + side)))
    part = picture[top:bottom, left:right]
    shrink = min(1.0, MOST_PX / max(part.shape[:2]))
    size = tuple(max(1, round(n * shrink)) for n in part.shape[1::-1])
    factor = np.divide(size, part.shape[1::-1])
    if shrink < 1:
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    corner = np.array([left, top])
    return _moved(
        dataclasses.replace(
            whole, image=jpeg(part), width=size[0], height=size[1]
        ),
        corner,
        factor,
    )


def jpeg(picture: np.ndarray) -> bytes:
    """Encodes (H, W, 3) uint8 RGB."""
    setting = cv2.IMWRITE_JPEG_QUALITY, _QUALITY
    bgr = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, setting)[1].tobytes()


def _moved(
    found: records.Example, corner: np.ndarray, factor: np.ndarray
) -> records.Example:
    """Labels in pixels of a part that begins at `corner`, resized."""
    # Edges of pixels scale, centres are half a pixel inside.
    box = np.concatenate(
        [(found.box[:2] - corner) * factor, found.box[2:] * factor]
    )
    changes = {"box": box}
    if found.keypoints is not None:
        points = found.keypoints.astype(np.float64)
        points[:, :2] = (points[:, :2] + 0.5 - corner) * factor - 0.5
        points[points[:, 2] == 0] = 0
        changes["keypoints"] = points
    if found.intrinsics is not None:
        focal, centre = np.split(found.intrinsics.astype(np.float64), 2)
        centre = (centre + 0.5 - corner) * factor - 0.5
        changes["intrinsics"] = np.concatenate([focal * factor, centre])
    if found.parts:
        labels = cv2.imdecode(np.frombuffer(found.parts, np.uint8), -1)
        size = found.width, found.height
        right, bottom = np.rint(corner + size / factor).astype(int)
        labels = labels[corner[1] : bottom, corner[0] : right]
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        changes["parts"] = cv2.imencode(".png", labels)[1].tobytes()
    return dataclasses.replace(found, **changes)


def _read(path: Path) -> tuple[bytes, tuple[int, int] | None]:
    """A JPEG file and its (W, H); nothing of a file of another format."""
    content = path.read_bytes()
    if content[:2] != b"\xff\xd8":
        return b"", None
    return content, pixels.jpeg_size(content)


@functools.lru_cache(maxsize=1)
def _decoded(path: Path) -> np.ndarray:
    """The picture as RGB; the last one stays, for its other people."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    content = path.read_bytes()
    if content[:2] == b"\xff\xd8":
        return pixels.decode_jpeg(content, pixels.jpeg_size(content))
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # an empty file, or a header that asks for too much
        picture = None
    if picture is None:
        raise pixels.BadImage("the picture does not decode")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
