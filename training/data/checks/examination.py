"""Reads records in bulk and looks for faults: how many, and the worst."""

import dataclasses
from collections.abc import Iterator
from concurrent import futures

import cv2
import numpy as np
import tensorflow as tf

from training.data.checks import columns as record_columns
from training.data.checks import faults
from training.data.pipeline import pixels
from training.data.records import parsing, shards
from training.data.records import schema as records

BATCH = 1000
_WORST_COUNT = 4  # worst examples of each fault
_THREADS = 2


@dataclasses.dataclass
class Finding:
    """One fault in a set of records.

    Attributes:
        records: number of records that show it.
        checked: number of records with the labels that can show it.
        worst: (score, number of the record, id), the worst first.
    """

    records: int = 0
    checked: int = 0
    worst: list[tuple[float, int, str]] = dataclasses.field(
        default_factory=list
    )

    def add(self, scores: np.ndarray, numbers: np.ndarray, ids: list) -> None:
        """Counts scores: above 1 is a fault, NaN was not checked."""
        self.checked += int((~np.isnan(scores)).sum())
        rows = np.flatnonzero(scores > 1)
        self.records += len(rows)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:_WORST_COUNT]
        self.worst += [
            (float(scores[row]), int(numbers[row]), ids[row]) for row in rows
        ]
        self.worst.sort(key=lambda entry: -entry[0])
        del self.worst[_WORST_COUNT:]


class Examination:
    """Looks for faults in the records of a split, batch by batch."""

    def __init__(self, stored: shards.Records, images: bool = False):
        """`images` decodes every image, which takes most of the time."""
        self._stored, self._images = stored, images
        self._known_names: set[tuple[str, str]] = set()
        self.findings = {
            name: Finding()
            for name in faults.LOOK
            if images or name != faults.PICTURE
        }

    def run(self) -> Iterator[int]:
        """Yields the number of records of each step."""
        for start in range(0, len(self._stored), BATCH):
            numbers = range(start, min(start + BATCH, len(self._stored)))
            self._examine(*self._read(numbers))
            yield len(numbers)

    def _read(self, numbers: range) -> tuple[list[int], list[bytes]]:
        """Numbers and bytes of the records whose checksums match."""
        readable, serialized, damaged = [], [], []
        for number in numbers:
            try:
                serialized.append(self._stored.read(number))
                readable.append(number)
            except shards.DamagedRecord as error:
                damaged.append((number, str(error)))
        scores = np.array([2.0] * len(damaged) + [0.0] * len(readable))
        all_numbers = np.array(
            [number for number, _ in damaged] + readable, int
        )
        ids = [name for _, name in damaged] + [""] * len(readable)
        self.findings[faults.DAMAGED].add(scores, all_numbers, ids)
        return readable, serialized

    def _examine(self, numbers: list[int], serialized: list[bytes]) -> None:
        if not numbers:
            return
        fields = parsing.parse(tf.constant(serialized))
        fields = {name: value.numpy() for name, value in fields.items()}
        columns = record_columns.of_fields(fields)
        scores = faults.check(columns)
        scores[faults.DUPLICATE] = self._duplicates(columns)
        if self._images:
            scores[faults.PICTURE] = _image_scores(fields)
        ids = [name for _, name in columns.names]
        for name, values in scores.items():
            self.findings[name].add(values, np.array(numbers), ids)

    def _duplicates(self, columns: record_columns.Columns) -> np.ndarray:
        scores = np.zeros(len(columns))
        for row, name in enumerate(columns.names):
            scores[row] = 2.0 * (name in self._known_names)
            self._known_names.add(name)
        return scores


def _image_scores(fields: dict[str, np.ndarray]) -> np.ndarray:
    """2 where an image, or its parts, do not decode to the stored size."""
    names = ("image", "parts", "width", "height")
    rows = zip(*(fields[name] for name in names), strict=True)
    with futures.ThreadPoolExecutor(_THREADS) as pool:
        good = list(pool.map(_decodes, rows))
    return np.where(good, 0.0, 2.0)


def _decodes(row: tuple[bytes, bytes, int, int]) -> bool:
    image, parts, width, height = row
    try:
        pixels.decode_jpeg(image, (int(width), int(height)), undamaged=True)
    except pixels.BadImage:
        return False
    if not parts:
        return True
    decoded = cv2.imdecode(np.frombuffer(parts, np.uint8), cv2.IMREAD_UNCHANGED)
    return decoded is not None and decoded.shape == (height, width)


def drawable(serialized: bytes, name: str) -> records.Example | None:
    """Decodes a record so that it can be drawn with its faults, as `name`."""
    example = records.decode(serialized)
    image = cv2.imdecode(np.frombuffer(example.image or b"0", np.uint8), 1)
    if image is None:
        return None
    height, width = image.shape[:2]
    box = np.nan_to_num(example.box)
    if min(box[2:]) <= 0 or np.abs(box).max() > 10 * max(width, height):
        box = np.array([0, 0, width, height])
    changes = {"box": box, "width": width, "height": height, "parts": b""}
    for label in ("keypoints", "joints3d"):
        value = getattr(example, label)
        if value is not None:
            value = np.nan_to_num(value, posinf=0, neginf=0)
            # OpenCV draws no lines to points that are very far.
            changes[label] = np.clip(value, -1e4, 1e4)
    return dataclasses.replace(example, example_id=name, **changes)
