"""Training batches by TensorFlow's own operations, for other processes.

The local pipeline (pipeline.py) calls back into this process, so a tf.data
service cannot run it. Here everything is an operation of TensorFlow: workers
of the service read, decode and lay out canvases (warp.finish), and the
training process only receives them. What is given up: the order of the
records cannot be repeated, so a run that continues does not see what an
uninterrupted one would; a broken record is dropped, and TensorFlow tells the
cause, not the name, in the log of the worker that met it.
"""

import logging
import os
import socket

import tensorflow as tf

from training import config, warp
from training.data import augment, labels, order, parsing, shards

Batch = dict[str, tf.Tensor]

SHUFFLED = 1000  # records per source among which the next one is drawn
_READERS = 4  # files of a source that are read in turns
# image_crop's: up to this shrinkage pixels are taken as they are.
_SHARP = 1.25
_MARGIN = 2  # pixels around a crop that its interpolation reaches
_log = logging.getLogger(__name__)


def dataset(
    data: config.Data,
    image_size: int,
    crop_scale: float,
    replicas: int = 1,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Endless batches as those of `data.warp` "step", without the prior.

    Args:
        data: its sources' names are paths that the workers see, too. With
            `service` its workers make the batches, else this process.
        image_size: side S of the crops in pixels.
        crop_scale: side of the crop over the longer side of the box.
        replicas: an element is one replica's part of the batch.
        start_step: augmentations are drawn from here on.

    Raises:
        FileNotFoundError, ValueError: see shards.check_shards, order.Layout;
            or part labels are asked for, or no service answers.
    """
    if data.parts:
        raise ValueError(
            "data.parts: a tf.data service gives no part labels. Leave "
            "data.service empty."
        )
    mix = order.Layout([s.share for s in data.sources], data.batch_size)
    block = len(mix.sources)
    counted = tf.data.Dataset.counter(start_step)
    streams = [
        _records(source).batch(count, drop_remainder=True)
        for source, count in zip(data.sources, mix.counts, strict=True)
    ]
    # Rows of a block, which lie source by source, in the order of the mix.
    rows = tf.argsort(tf.argsort(mix.sources, stable=True))
    labelled = tf.constant([s.labels == "all" for s in data.sources])
    has_3d = tf.cast(tf.gather(labelled, mix.sources), tf.float32)

    def prepare(number: tf.Tensor, *serialized: tf.Tensor) -> Batch:
        mixed = tf.gather(tf.concat(serialized, axis=0), rows)
        fields = parsing.parse(tf.ensure_shape(mixed, [block]))
        drawn = augment.draw(data.augment, tf.stack([data.seed, number]), block)
        boxes = augment.square_boxes(fields["box"], crop_scale)
        to_ndc = augment.image_to_ndc(drawn, boxes)
        made = labels.moved(fields, drawn, to_ndc, tf.ones([block]), has_3d)
        made |= labels.colours(data.augment, drawn, tf.ones([block]))
        return made | _places(fields, to_ndc, image_size)

    made = tf.data.Dataset.zip((counted, *streams))
    made = made.map(prepare, tf.data.AUTOTUNE).unbatch()
    made = made.filter(lambda record: record["whole"])
    side = warp.canvas_side(image_size)
    made = made.map(lambda record: _canvas(record, side), tf.data.AUTOTUNE)
    made = made.ignore_errors(log_warning=True)
    made = made.batch(data.batch_size // replicas, drop_remainder=True)
    if data.service:
        check_answers(data.service)
        _log.warning(
            "The batches come from the tf.data service at %s: their order "
            "cannot be repeated, so a run that continues is not bit by bit "
            "what it would have been. Broken records are dropped; the logs "
            "of the workers tell of them.",
            data.service,
        )
        # Each file goes to one worker, or all would read the same.
        made = made.apply(
            tf.data.experimental.service.distribute(
                tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                f"grpc://{data.service}",
                compression=None,
            )
        )
    return made.prefetch(tf.data.AUTOTUNE)


def check_answers(address: str) -> None:
    """Asks whether anybody listens at HOST:PORT; TensorFlow waits for ever.

    Raises:
        ValueError: no; says how to start a service.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"No tf.data service answers at {address!r} ({error}). Expected "
            "HOST:PORT of a dispatcher; start one with: python -m "
            "training.data_service dispatcher --port PORT"
        ) from error


def _records(source: config.Source) -> tf.data.Dataset:
    """The serialized records of a source, endless, each pass shuffled."""
    start, step = source.shards
    every = shards.check_shards(source.records, source.split)[start::step]
    paths = [os.path.abspath(shard.path) for shard in every]
    read = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths))
    read = read.interleave(
        tf.data.TFRecordDataset, cycle_length=min(_READERS, len(paths))
    )
    # A shard that is cut short ends there.
    read = read.ignore_errors(log_warning=True)
    count = sum(shard.count for shard in every)
    return read.shuffle(min(SHUFFLED, count)).repeat()


def _places(fields: Batch, to_ndc: tf.Tensor, side: int) -> Batch:
    """Which pixels each crop takes up, and where they go on its canvas.

    Returns:
        jpeg (B,), window (B, 4) top, left, height, width, fitted (B, 2) the
        height and width on the canvas, filled and to_canvas of warp.finish,
        whole (B,) whether the box makes sense.
    """
    linear, offset = to_ndc[:, :, :2], to_ndc[:, :, 2]
    whole = tf.reduce_all(tf.math.is_finite(to_ndc), axis=(1, 2))
    linear = tf.where(whole[:, None, None], linear, tf.eye(2))
    back = tf.linalg.inv(linear)  # ndc to pixels
    centre = -tf.linalg.matvec(back, tf.where(whole[:, None], offset, 0.0))
    reach = tf.reduce_sum(tf.abs(back), axis=2) + _MARGIN
    size = tf.cast(
        tf.stack([fields["width"], fields["height"]], axis=1), tf.float32
    )
    low = tf.clip_by_value(tf.floor(centre - reach), 0.0, size - 1.0)
    high = tf.clip_by_value(tf.math.ceil(centre + reach) + 1, low + 1.0, size)
    shrinkage = tf.norm(back[:, :, 0], axis=1) * (2.0 / side)
    most = tf.reduce_max(high - low, axis=1) / warp.canvas_side(side)
    factor = tf.maximum(tf.maximum(shrinkage / _SHARP, most), 1.0)
    filled = tf.maximum(tf.round((high - low) / factor[:, None]), 1.0)
    # Edges of pixels coincide, centres are half a pixel inside.
    per_pixel = (filled / (high - low))[:, :, None]
    across = back * (2.0 / side) * per_pixel
    first = tf.linalg.matvec(back, tf.fill([2], 1.0 / side - 1.0))
    start = (centre + first - low + 0.5)[:, :, None] * per_pixel - 0.5
    window = tf.concat([low[:, ::-1], (high - low)[:, ::-1]], axis=1)
    return {
        "jpeg": fields["image"],
        "window": tf.cast(window, tf.int32),
        "fitted": tf.cast(filled[:, ::-1], tf.int32),
        "filled": filled,
        "to_canvas": tf.concat([across, start], axis=2),
        "whole": whole,
    }


def _canvas(record: Batch, side: int) -> Batch:
    """The record with its canvas in the place of its bytes."""
    jpeg, window, fitted = (
        record.pop(name) for name in ("jpeg", "window", "fitted")
    )
    record.pop("whole")
    pixels = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3)

    def shrunk() -> tf.Tensor:
        found = tf.image.resize(pixels, fitted, method="area")
        return tf.cast(tf.round(found), tf.uint8)

    fits = tf.reduce_all(window[2:] == fitted)
    pixels = tf.cond(fits, lambda: pixels, shrunk)
    room = side - fitted
    canvas = tf.pad(pixels, [[0, room[0]], [0, room[1]], [0, 0]])
    return record | {"canvas": tf.ensure_shape(canvas, [side, side, 3])}
