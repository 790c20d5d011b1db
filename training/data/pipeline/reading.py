"""The pipeline's Python callbacks: bytes, unpaired poses and pixels, by batch.

tf.data's threads call them, several batches at once; everything here is
read-only after construction except the ledger of bad records.
"""

import math
from collections.abc import Callable

import numpy as np

from tf_hmr.geometry import crop, crop_pixels
from training import config
from training.data.pipeline import labels, order, pixels, scenery, warp
from training.data.records import bad_records, mocap, schema, shards

# Names of the random streams that a run's seed is split into.
_PRIOR_STREAM, _SOURCE_STREAM = 0, 1


class Feed:
    """Reads any rows of any training step.

    Args:
        data: its sources' and prior's names are paths.

    Attributes:
        layout: the source of each row of a batch.
        shown: (cycle, batch_size) for each of labels.KINDS, whether the row's
            labels may be used, in the steps of the layout's cycle.
        bad: ledger of bad records.
        poses: unpaired poses; None where there are none.
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
            [source.share for source in data.sources],
            data.batch_size,
            data.alternate,
        )
        self.shown = {
            kind: np.array(
                [labels.shows(source.labels, kind) for source in data.sources]
            )[self.layout.sources].reshape(self.layout.cycle, data.batch_size)
            for kind in labels.KINDS
        }
        total = sum(len(source) for source in self._sources)
        self.bad = bad_records.BadRecords(total, data.max_bad_share)
        self._blank = schema.blank()
        self.poses = Poses(data) if has_prior(data) else None

    def read(self, step: int, rows: np.ndarray) -> np.ndarray:
        """Reads serialized records (n,): these rows of the batch of `step`."""
        sources, positions = self.layout.rows(int(step), rows)
        serialized = np.empty(len(rows), object)
        for number, source in enumerate(self._sources):
            slots = np.flatnonzero(sources == number)
            indices = self._orders[number](positions[slots])
            for slot, index in zip(slots, indices, strict=True):
                serialized[slot] = read_or_blank(
                    source, int(index), self.bad, self._blank
                )
        return serialized


class Poses:
    """Reads unpaired poses: any rows of any training step.

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
        self, step: int, batch_size: int, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads these rows of the step's batch of `batch_size` poses.

        Returns:
            Poses (n, 72), betas (n, 10), and genders (n,) by mocap.GENDERS.
        """
        indices = self._order(int(step) * int(batch_size) + rows)
        return (
            self._prior.pose[indices],
            self._prior.betas[indices],
            self._gender[indices],
        )


def has_prior(data: config.Data) -> bool:
    """Whether the batches carry unpaired poses."""
    return bool(data.prior) and data.prior_per_image > 0


def read_or_blank(
    source: shards.Records,
    index: int,
    bad: bad_records.BadRecords,
    blank: bytes,
) -> bytes:
    """Reads a serialized record; `blank` where it is damaged on disk."""
    try:
        return source.read(index)
    except shards.DamagedRecord as error:
        bad.add(str(error), "damaged on disk")
        return blank


class Crops:
    """Decodes the images of a batch; broken ones are left black.

    Each method takes stored images and parts (B,), names (B,), sizes (B, 2),
    broken (B, N) of parsing.parse, to_ndc (B, 2, 3), and its own last
    argument. The last two arrays that it returns are part labels (B, S, S)
    uint8, or (B, 0, 0) without `parts`, and good (B,) float32: 0 for a broken
    image, else 1.

    Args:
        side: of the crops in pixels.
        bad: ledger in which broken records are entered.
        parts: whether to decode the part labels.
        scene: changes what is around and before people, if anything.
    """

    def __init__(
        self,
        side: int,
        bad: bad_records.BadRecords,
        parts: bool,
        scene: scenery.Scenery | None = None,
    ) -> None:
        self.side = side
        self.bad = bad
        self.parts = parts
        self._scene = scene

    def augmented(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Augmented crops (B, S, S, 3); the last arguments: flips, scenery."""
        *stored, flips, draws = arrays
        crops = _zeros(len(flips), self.side, self.side, 3)

        def decode(i: int, image: bytes, size, window) -> None:
            decoded = pixels.decode_window(image, size, window)
            decoded = self._changed(
                decoded, stored[1][i], size, window, draws[i]
            )
            crops[i] = pixels.warp_window(decoded, window, self.side)

        return crops, *self._decode_all(decode, *stored, flips)

    def _changed(self, decoded, parts: bytes, size, window, draws):
        """The pixels of a window with another background, or an object."""
        if self._scene is None or not draws[:2].any():
            return decoded
        mask = scenery.silhouette(parts, size, window)
        return self._scene(decoded, mask, draws)

    def canvases(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """canvas, filled, to_canvas of warp.finish; last: flips, scenery.

        They have the resolution of the crops, but are not yet rotated and
        flipped.
        """
        *stored, flips, draws = arrays
        side = warp.canvas_side(self.side)
        canvas = _zeros(len(flips), side, side, 3)
        filled = np.ones((len(flips), 2), np.float32)
        to_canvas = np.zeros((len(flips), 2, 3), np.float32)

        def decode(i: int, image: bytes, size, window) -> None:
            decoded = pixels.decode_window(image, size, window)
            decoded = self._changed(
                decoded, stored[1][i], size, window, draws[i]
            )
            canvas[i, : decoded.shape[0], : decoded.shape[1]] = decoded
            filled[i], to_canvas[i] = window.size, window.from_crop

        return (
            canvas,
            filled,
            to_canvas,
            *self._decode_all(decode, *stored, flips, side),
        )

    def plain(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Crops (B, S, S, 3) of crop.crop_image, as photos are cropped.

        The last argument: square boxes (B, 4).
        """
        *stored, boxes = arrays
        crops = _zeros(len(boxes), self.side, self.side, 3)

        def decode(i: int, image: bytes, size, window) -> None:
            decoded = pixels.decode_jpeg(image, size)
            try:
                crops[i] = crop.crop_image(decoded, boxes[i], self.side)
            except ValueError as error:
                raise pixels.BadImage(
                    "box is empty or outside the image"
                ) from error

        return crops, *self._decode_all(decode, *stored, np.zeros(len(boxes)))

    def without_images(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """No crops, for methods that see none; last: flips, scenery."""
        *stored, flips, _ = arrays
        return self._decode_all(lambda *_: None, *stored, flips)

    def _decode_all(
        self,
        decode: Callable,
        images: np.ndarray,
        parts: np.ndarray,
        names: np.ndarray,
        sizes: np.ndarray,
        broken: np.ndarray,
        to_ndc: np.ndarray,
        flips: np.ndarray,
        canvas_side: float = math.inf,
    ) -> tuple[np.ndarray, np.ndarray]:
        for i in np.flatnonzero(broken.any(axis=1)):
            bad_arrays = ", ".join(np.array([*schema.ALL_ARRAYS])[broken[i]])
            self.bad.add(names[i].decode(), f"{bad_arrays} not finite")
        with np.errstate(divide="ignore", invalid="ignore"):  # broken boxes
            windows = crop_pixels.visible_window(
                to_ndc, sizes, self.side, canvas_side
            )
        side = self.side if self.parts else 0
        part_labels = _zeros(len(images), side, side)
        good = np.zeros(len(images), np.float32)
        for i, image in enumerate(images):
            if not image:  # a blank record; its cause has been entered
                continue
            try:
                # Parts first: if they are broken, the image must stay black
                # too, as the record's flags will all be 0.
                if self.parts and parts[i]:
                    part_labels[i] = pixels.parts_crop(
                        parts[i], sizes[i], to_ndc[i], side, flips[i] > 0
                    )
                window = crop_pixels.Window(*(field[i] for field in windows))
                decode(i, image, sizes[i], window)
                good[i] = 1
            except pixels.BadImage as error:
                self.bad.add(names[i].decode(), str(error))
        return part_labels, good


def _zeros(*shape: int) -> np.ndarray:
    """Zeros, aligned to 64 bytes: TensorFlow takes them without a copy."""
    data = np.zeros(math.prod(shape) + 64, np.uint8)
    start = -data.ctypes.data % 64
    return data[start : start + math.prod(shape)].reshape(shape)
