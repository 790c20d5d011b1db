"""The Python side of the pipeline: bytes, unpaired poses and pixels, by batch.

Called back from tf.data threads, several batches at once; everything here is
read-only after construction except the ledger of bad records.
"""

from collections.abc import Callable

import numpy as np

from tf_hmr import crop
from training import config
from training.data import (
    bad_records,
    order,
    pixels,
    prior,
    records,
    shards,
)

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
        self._blank = records.blank()
        self._prior = None
        if has_prior(data):
            self._prior = prior.read(data.prior)
            self._prior_order = order.Order(
                len(self._prior.pose), (data.seed, _PRIOR_STREAM)
            )

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

    def prior(
        self, step: int, batch: int, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Poses (n, 72) and betas (n, 10): `rows` of the step's `batch`."""
        items = self._prior_order(int(step) * int(batch) + rows)
        return self._prior.pose[items], self._prior.betas[items]


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
    """Turns the image bytes of a batch into crops, whatever their state.

    Each method returns images (B, S, S, 3) uint8, part labels (B, S, S)
    uint8 and (B,) float32: 1, or 0 for an image that gave none.

    Args:
        side: of the crops in pixels.
        bad: the ledger in which broken images are entered.
        parts: whether to decode the part labels; otherwise they are 0.
    """

    def __init__(
        self, side: int, bad: bad_records.BadRecords, parts: bool
    ) -> None:
        self.side = side
        self.bad = bad
        self.parts = parts

    def augmented(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Crops with augmentation: pixels.image_crop.

        Args:
            *arrays: stored images and parts (B,), names (B,), sizes (B, 2),
                to_ndc (B, 2, 3), flips (B,), occluders (B, 4) and their
                colours (B, 3).
        """

        def make(image, parts, size, to_ndc, flip, occluder, rgb):
            picture = pixels.image_crop(image, size, to_ndc, self.side)
            if occluder[2] > 0:
                pixels.occlude(picture, occluder, rgb)
            return picture, self._parts(parts, size, to_ndc, flip > 0)

        return self._each(make, *arrays)

    def plain(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Crops without augmentation, as a photo is cropped: crop.crop_image.

        Args:
            *arrays: stored images and parts (B,), names (B,), sizes (B, 2),
                to_ndc (B, 2, 3), and square boxes (B, 4).
        """

        def make(image, parts, size, to_ndc, box):
            picture = pixels.decode_jpeg(image, size)
            try:
                picture = crop.crop_image(picture, box, self.side)
            except ValueError as error:
                raise pixels.BadImage("box is outside the image") from error
            return picture, self._parts(parts, size, to_ndc, False)

        return self._each(make, *arrays)

    def _parts(self, png, size, to_ndc, mirrored):
        if not (self.parts and png):
            return 0
        return pixels.parts_crop(png, size, to_ndc, self.side, mirrored)

    def _each(
        self,
        make: Callable,
        images: np.ndarray,
        parts: np.ndarray,
        names: np.ndarray,
        *rest: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        shape = (len(images), self.side, self.side)
        pictures = np.zeros((*shape, 3), np.uint8)
        labels = np.zeros(shape, np.uint8)
        good = np.zeros(len(images), np.float32)
        for i, image in enumerate(images):
            if not image:  # a blank; its cause has been entered
                continue
            try:
                arguments = (array[i] for array in rest)
                pictures[i], labels[i] = make(image, parts[i], *arguments)
                good[i] = 1
            except pixels.BadImage as error:
                self.bad.add(names[i].decode(), str(error))
        return pictures, labels, good
