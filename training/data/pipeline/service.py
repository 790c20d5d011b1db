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

from training import config
from training.data.pipeline import augment, labels, order, pixels, warp
from training.data.records import parsing, schema, shards

Batch = dict[str, tf.Tensor]

SHUFFLED = 1000  # records per source among which the next one is drawn
_READERS = 4  # files of a source that are read in turns
_TRIED = 100  # records of a source among which one has to be whole
# image_crop's: up to this shrinkage pixels are taken as they are.
_SHARP = 1.25
_MARGIN = 2  # pixels around a crop that its interpolation reaches
_log = logging.getLogger(__name__)


def dataset(
    data: config.Data,
    image_size: int,
    crop_scale: float,
    replicas: int = 1,
) -> tf.data.Dataset:
    """Endless batches as those of `data.warp` "step", without the prior.

    Args:
        data: its sources' names are paths that the workers see, too. With
            `service` its workers make the batches, else this process.
        image_size: side S of the crops in pixels.
        crop_scale: side of the crop over the longer side of the box.
        replicas: an element is one replica's part of the batch.

    Raises:
        FileNotFoundError, ValueError: see shards.Records, order.Layout; or
            part labels are asked for, or no service answers, or a source
            seems to hold nothing but broken records.
    """
    if data.parts:
        raise ValueError(
            "data.parts: a tf.data service gives no part labels. Leave "
            "data.service empty."
        )
    mix = order.Layout([s.share for s in data.sources], data.batch_size)
    streams = [
        _records(source).batch(count, drop_remainder=True)
        for source, count in zip(data.sources, mix.counts, strict=True)
    ]

    def prepare(*serialized: tf.Tensor) -> Batch:
        stored = tf.concat(serialized, axis=0)
        return _prepared(data, mix, stored, crop_scale, image_size)

    made = tf.data.Dataset.zip(tuple(streams))
    made = made.map(prepare, tf.data.AUTOTUNE).unbatch()
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
    stored = shards.Records(source.records, source.split, source.shards)
    _check_some_are_whole(stored, source)
    paths = [os.path.abspath(shard.path) for shard in stored.shards]
    read = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths))
    read = read.interleave(
        tf.data.TFRecordDataset, cycle_length=min(_READERS, len(paths))
    )
    # A shard that is cut short ends there.
    read = read.ignore_errors(log_warning=True)
    return read.shuffle(min(SHUFFLED, len(stored))).repeat()


def _check_some_are_whole(
    stored: shards.Records, source: config.Source
) -> None:
    """Where all are dropped, a worker would look for ever for one that is not.

    Raises:
        ValueError: none can be used, of records from all over the source.
    """
    count = min(_TRIED, len(stored))
    for number in range(count):
        try:
            example = schema.decode(stored.read(number * len(stored) // count))
            schema.check(example)
            size = example.width, example.height
            pixels.decode_jpeg(example.image, size)
            return
        except (ValueError, IndexError) as error:
            cause = error
    raise ValueError(
        f"None of {count} records from all over {source.records} "
        f"{source.split!r} can be used; the last one: {cause}. Look at them "
        f"with: python -m training.doctor {source.records}"
    )


def _prepared(
    data: config.Data,
    mix: order.Layout,
    stored: tf.Tensor,
    crop_scale: float,
    image_size: int,
) -> Batch:
    """A block of records, `stored` source by source, in the mix's order."""
    block = len(mix.sources)
    rows = tf.argsort(tf.argsort(mix.sources, stable=True))
    fields = parsing.parse(tf.ensure_shape(tf.gather(stored, rows), [block]))
    # Another one in every process, whatever the run's seed: workers of a
    # service have the same graph, and would all draw the same.
    low, high = tf.constant(0, tf.int64), tf.constant(tf.int64.max)
    seed = tf.raw_ops.RandomUniformInt(
        shape=[2], minval=low, maxval=high, seed=0, seed2=0
    )
    drawn = augment.draw(data.augment, seed, block)
    boxes = augment.square_boxes(fields["box"], crop_scale)
    to_ndc = augment.image_to_ndc(drawn, boxes)
    labelled = tf.constant([s.labels == "all" for s in data.sources])
    has_3d = tf.cast(tf.gather(labelled, mix.sources), tf.float32)
    made = labels.augmented(fields, drawn, to_ndc, tf.ones([block]), has_3d)
    made |= labels.colours(data.augment, drawn, tf.ones([block]))
    size = tf.stack([fields["height"], fields["width"]], axis=1)
    name = tf.strings.join([fields["dataset"], fields["example_id"]], "/")
    made |= {"size": tf.cast(size, tf.int32), "name": name}
    return made | _places(fields, to_ndc, image_size)


def _places(fields: Batch, to_ndc: tf.Tensor, side: int) -> Batch:
    """Which pixels each crop takes up, and where they go on its canvas.

    Returns:
        jpeg (B,), window (B, 4) top, left, height, width, fitted (B, 2) the
        height and width on the canvas, filled and to_canvas of warp.finish,
        whole (B,) whether box and labels make sense.
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
        "whole": whole & ~tf.reduce_any(fields["broken"], axis=1),
    }


_TAKEN = ("jpeg", "window", "fitted", "whole", "size", "name")


def _canvas(record: Batch, side: int) -> Batch:
    """The record with its canvas in the place of its bytes.

    Raises:
        tf.errors.InvalidArgumentError: it is broken; says what and, unless
            its bytes do not decode, of which record.
    """
    jpeg, window, fitted, whole, size, name = (record[k] for k in _TAKEN)
    found = tf.io.extract_jpeg_shape(jpeg)[:2]
    sized = tf.reduce_all(found == size)
    # First of all: else the decoder fails, and does not tell of which record.
    told = [
        tf.debugging.Assert(whole, ["box or labels not finite:", name]),
        tf.debugging.Assert(
            sized, ["JPEG of another size than stored:", name, found, size]
        ),
    ]
    with tf.control_dependencies(told):
        seen = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3)

    def shrunk() -> tf.Tensor:
        found = tf.image.resize(seen, fitted, method="area")
        return tf.cast(tf.round(found), tf.uint8)

    fits = tf.reduce_all(window[2:] == fitted)
    seen = tf.cond(fits, lambda: seen, shrunk)
    room = side - fitted
    canvas = tf.pad(seen, [[0, room[0]], [0, room[1]], [0, 0]])
    kept = {k: value for k, value in record.items() if k not in _TAKEN}
    return kept | {"canvas": tf.ensure_shape(canvas, [side, side, 3])}
