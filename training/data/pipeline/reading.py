"""The Python side of the pipeline: bytes, unpaired poses and pixels, by batch.

Called back from tf.data threads, several batches at once; everything here is
read-only after construction except the ledger of bad records.
"""

import math
from collections.abc import Callable

import numpy as np

from tf_hmr.geometry import crop
from training import config
from training.data.pipeline import order, pixels, warp
from training.data.records import bad_records, mocap, schema, shards

# Names of the random streams that a run's seed is split into.
_PRIOR_STREAM, _SOURCE_STREAM = 0, 1


class Feed:
    """Reads any rows of any training step.

    Args:
        data: its sources' and prior's names are paths.

    Attributes:
        layout: which source each row of a batch comes from.
        has_3d: (cycle, batch_size) whether the row's 3D labels may be seen,
            in the steps of the layout's cycle.
        bad: the ledger.
        poses: the unpaired ones; None where there are none.
    """

    def __init__(self, data: config.Data) -> None:
        self._sources = [
            shards.Records(source.records, source.split, source.shards)
            for source in data.sources
        ]
        self._orders = [
            order.Order(len(source), (data.seed, _SOURCE_STREAM, number))
            for number, source in enumerate(self._sources)
        ]
        self.layout = order.Layout(
            [source.share for source in data.sources], data.batch_size
        )
        labelled = [source.labels == "all" for source in data.sources]
        self.has_3d = np.array(labelled)[self.layout.sources].reshape(
            self.layout.cycle, data.batch_size
        )
        total = sum(len(source) for source in self._sources)
        self.bad = bad_records.BadRecords(total, data.max_bad_share)
        self._blank = schema.blank()
        self.poses = Poses(data) if has_prior(data) else None

    def read(self, step: int, rows: np.ndarray) -> np.ndarray:
        """Serialized records (n,) of these rows of the batch of `step`."""
        sources, positions = self.layout.rows(int(step), rows)
        serialized = np.empty(len(rows), object)
        for number, source in enumerate(self._sources):
            places = np.flatnonzero(sources == number)
            items = self._orders[number](positions[places])
            for place, item in zip(places, items, strict=True):
                serialized[place] = read_or_blank(
                    source, int(item), self.bad, self._blank
                )
        return serialized


class Poses:
    """Unpaired poses of any rows of any training step.

    Args:
        data: with a prior (has_prior), whose name is a path.
    """

    def __init__(self, data: config.Data) -> None:
        self._prior = mocap.read(data.prior)
        self._gender = self._prior.gender
        if self._gender is None:
            self._gender = np.zeros(len(self._prior.pose), np.float32)
        self._order = order.Order(
            len(self._prior.pose), (data.seed, _PRIOR_STREAM)
        )

    def read(
        self, step: int, batch: int, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`rows` of the step's `batch`.

        Returns:
            Poses (n, 72), betas (n, 10), and genders (n,) by mocap.GENDERS.
        """
        items = self._order(int(step) * int(batch) + rows)
        return (
            self._prior.pose[items],
            self._prior.betas[items],
            (self._gender[items]),
        )


def has_prior(data: config.Data) -> bool:
    """Whether the batches carry unpaired poses."""
    return bool(data.prior) and data.prior_per_image > 0


def read_or_blank(
    source: shards.Records,
    item: int,
    bad: bad_records.BadRecords,
    blank: bytes,
) -> bytes:
    """A serialized record, or `blank` where it is damaged on disk."""
    try:
        return source.read(item)
    except shards.DamagedRecord as error:
        bad.add(str(error), "damaged on disk")
        return blank


class Crops:
    """Turns the image bytes of a batch into pixels, whatever their state.

    Each method takes stored images and parts (B,), names (B,), sizes (B, 2),
    broken (B, N) of parsing.parse, to_ndc (B, 2, 3), and its own last
    argument. The last two arrays that it returns are part labels (B, S, S)
    uint8, or (B, 0, 0) where they are not asked for, and (B,) float32: 1, or
    0 for an image that gave none.

    Args:
        side: of the crops in pixels.
        bad: the ledger in which what is broken is entered.
        parts: whether to decode the part labels.
    """

    def __init__(
        self, side: int, bad: bad_records.BadRecords, parts: bool
    ) -> None:
        self.side = side
        self.bad = bad
        self.parts = parts

    def augmented(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Crops (B, S, S, 3) with augmentation; the last argument: flips."""
        *stored, flips = arrays
        crops = _zeros(len(flips), self.side, self.side, 3)

        def make(i: int, image: bytes, size, to_ndc) -> None:
            crops[i] = pixels.image_crop(image, size, to_ndc, self.side)

        return crops, *self._each(make, *stored, flips)

    def canvases(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """canvas, filled, to_canvas of warp.finish; the last argument: flips.

        The resolution is the crops', their rotation and flip are yet to come.
        """
        *stored, flips = arrays
        side = warp.canvas_side(self.side)
        canvas = _zeros(len(flips), side, side, 3)
        filled = np.ones((len(flips), 2), np.float32)
        to_canvas = np.zeros((len(flips), 2, 3), np.float32)

        def make(i: int, image: bytes, size, to_ndc) -> None:
            to_canvas[i], filled[i] = pixels.fill_canvas(
                image, size, to_ndc, self.side, canvas[i]
            )

        return canvas, filled, to_canvas, *self._each(make, *stored, flips)

    def plain(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Crops without augmentation, as a photo is cropped: crop.crop_image.

        The last argument: square boxes (B, 4).
        """
        *stored, boxes = arrays
        crops = _zeros(len(boxes), self.side, self.side, 3)

        def make(i: int, image: bytes, size, to_ndc) -> None:
            picture = pixels.decode_jpeg(image, size)
            try:
                crops[i] = crop.crop_image(picture, boxes[i], self.side)
            except ValueError as error:
                raise pixels.BadImage(
                    "box is empty or outside the image"
                ) from error

        return crops, *self._each(make, *stored, np.zeros(len(boxes)))

    def _each(
        self,
        make: Callable,
        images: np.ndarray,
        parts: np.ndarray,
        names: np.ndarray,
        sizes: np.ndarray,
        broken: np.ndarray,
        to_ndc: np.ndarray,
        flips: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        for i in np.flatnonzero(broken.any(axis=1)):
            which = ", ".join(np.array([*schema.ALL_ARRAYS])[broken[i]])
            self.bad.add(names[i].decode(), f"{which} not finite")
        side = self.side if self.parts else 0
        labels = _zeros(len(images), side, side)
        good = np.zeros(len(images), np.float32)
        for i, image in enumerate(images):
            if not image:  # a blank; its cause has been entered
                continue
            try:
                # Parts first: without them there is no picture either, as a
                # record whose flags are all 0 is black.
                if self.parts and parts[i]:
                    labels[i] = pixels.parts_crop(
                        parts[i], sizes[i], to_ndc[i], side, flips[i] > 0
                    )
                make(i, image, sizes[i], to_ndc[i])
                good[i] = 1
            except pixels.BadImage as error:
                self.bad.add(names[i].decode(), str(error))
        return labels, good


def _zeros(*shape: int) -> np.ndarray:
    """Bytes that TensorFlow takes over without a copy: aligned to 64."""
    data = np.zeros(math.prod(shape) + 64, np.uint8)
    start = -data.ctypes.data % 64
    return data[start : start + math.prod(shape)].reshape(shape)
