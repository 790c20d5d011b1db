"""Training batches by TensorFlow's own operations, for a tf.data service.

The local pipeline (batches.py) calls back into this process, so a tf.data
service cannot run it. Here everything is an operation of TensorFlow: workers
of the service read, decode and lay out canvases (warp.finish), and the
training process only receives them. The price: the order of the records cannot
be repeated, so a run that continues does not get the batches of an
uninterrupted one; and a broken record is dropped, with its cause, but not its
name, in the log of the worker that read it.
"""

import logging
import os
import socket

import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from tf_hmr.geometry import crop_pixels
from training import config
from training.data.pipeline import (
    augment,
    labels,
    metric_crops,
    order,
    pixels,
    warp,
)
from training.data.records import parsing, schema, shards

Batch = dict[str, tf.Tensor]

SHUFFLED = 1000  # records per source among which the next one is drawn
_READERS = 4  # files of a source that are read in turns
_MAX_TRIALS = 100  # records of a source among which one has to be intact
_log = logging.getLogger(__name__)


def dataset(
    data: config.Data,
    image_size: int,
    crop_scale: float,
    replicas: int = 1,
    crop_m: float = 0.0,
) -> tf.data.Dataset:
    """Makes endless batches as those of `data.warp` "step", without the prior.

    Args:
        data: its sources' names are paths that the workers can read, too. With
            `service` its workers make the batches, else this process.
        image_size: side S of the crops in pixels.
        crop_scale: side of the crop over the longer side of the box.
        replicas: an element is one replica's part of the batch.
        crop_m: side of the crop in metres, as of batches.train_dataset.

    Raises:
        FileNotFoundError, ValueError: see shards.Records, order.Layout; or
            `data` asks for part labels, or no service answers, or a source
            seems to hold only broken records.
    """
    if data.parts:
        raise ValueError(
            "data.parts: a tf.data service gives no part labels. Leave "
            "data.service empty."
        )
    layout = order.Layout(
        [s.share for s in data.sources], data.batch_size, data.alternate
    )
    streams = [
        _records(source).batch(count, drop_remainder=True)
        for source, count in zip(data.sources, layout.counts, strict=True)
    ]

    crop = crop_scale, crop_m

    def prepare(*serialized: tf.Tensor) -> Batch:
        stored = tf.concat(serialized, axis=0)
        return _prepared(data, layout, stored, crop, image_size)

    side = warp.canvas_side(image_size)

    def draw(record: Batch) -> Batch:
        return _canvas(record, side)

    examples = tf.data.Dataset.zip(tuple(streams))
    examples = _mapped(_mapped(examples, prepare).unbatch(), draw)
    examples = examples.ignore_errors(log_warning=True)
    batches = examples.batch(data.batch_size // replicas, drop_remainder=True)
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
        batches = batches.apply(
            tf.data.experimental.service.distribute(
                tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                f"grpc://{data.service}",
                compression=None,
            )
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def _mapped(dataset: tf.data.Dataset, function) -> tf.data.Dataset:
    # Without autograph, which would spend seconds on reading the function.
    function = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(function, tf.data.AUTOTUNE)


def check_answers(address: str) -> None:
    """Checks that a service listens at HOST:PORT; TensorFlow waits for ever.

    Raises:
        ValueError: none answers; says how to start one.
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
    _check_some_are_intact(stored, source)
    paths = [os.path.abspath(shard.path) for shard in stored.shards]
    records = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths))
    records = records.interleave(
        tf.data.TFRecordDataset, cycle_length=min(_READERS, len(paths))
    )
    # A shard that is cut short ends there.
    records = records.ignore_errors(log_warning=True)
    return records.shuffle(min(SHUFFLED, len(stored))).repeat()


def _check_some_are_intact(
    stored: shards.Records, source: config.Source
) -> None:
    """Checks that a source has records to use: a worker would search for ever.

    Raises:
        ValueError: of records from all over the source none can be used.
    """
    count = min(_MAX_TRIALS, len(stored))
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
    layout: order.Layout,
    stored: tf.Tensor,
    crop: tuple[float, float],
    image_size: int,
) -> Batch:
    """Parses a block of records, source by source, into the layout's order."""
    block = len(layout.sources)
    rows = tf.argsort(tf.argsort(layout.sources, stable=True))
    fields = parsing.parse_in_graph(
        tf.ensure_shape(tf.gather(stored, rows), [block])
    )
    # The seed differs in every process, whatever the run's seed: workers of a
    # service have the same graph, and would all draw the same augmentation.
    low, high = tf.constant(0, tf.int64), tf.constant(tf.int64.max)
    seed = tf.raw_ops.RandomUniformInt(
        shape=[2], minval=low, maxval=high, seed=0, seed2=0
    )
    augmentation = augment.draw(data.augment, seed, block)
    boxes = metric_crops.boxes(fields, *crop)
    to_ndc = augment.image_to_ndc(augmentation, boxes)
    has_3d, has_2d = (
        tf.gather(
            tf.constant(
                [float(labels.shows(s.labels, kind)) for s in data.sources]
            ),
            layout.sources,
        )
        for kind in ("3d", "2d")
    )
    batch = labels.augmented(
        fields, augmentation, to_ndc, tf.ones([block]), has_3d, has_2d
    )
    batch |= labels.colours(data.augment, augmentation, tf.ones([block]))
    size = tf.stack([fields["width"], fields["height"]], axis=1)
    canvas_side = warp.canvas_side(image_size)
    window = crop_pixels.visible_window(
        to_ndc, size, image_size, canvas_side, by_area=True, xp=tnp
    )
    is_finite = tf.reduce_all(tf.math.is_finite(to_ndc), axis=(1, 2))
    return batch | {
        "filled": tf.cast(window.size, tf.float32),
        "to_canvas": tf.cast(window.from_crop, tf.float32),
        "jpeg": fields["image"],
        "window": window,
        "intact": is_finite & ~tf.reduce_any(fields["broken"], axis=1),
        "size": tf.cast(size, tf.int32),
        "name": tf.strings.join([fields["dataset"], fields["example_id"]], "/"),
    }


_JPEG_FIELDS = ("jpeg", "window", "intact", "size", "name")


def _canvas(record: Batch, side: int) -> Batch:
    """Replaces a record's bytes by its canvas.

    Raises:
        tf.errors.InvalidArgumentError: it is broken; gives the cause and,
            unless its bytes do not decode, its name.
    """
    jpeg, window, intact, size, name = (record[k] for k in _JPEG_FIELDS)
    low, high, fitted = (
        tf.cast(xy[::-1], tf.int32)
        for xy in (window.low, window.high, window.size)
    )
    jpeg_size = tf.io.extract_jpeg_shape(jpeg)[1::-1]
    has_stored_size = tf.reduce_all(jpeg_size == size)
    # Checked first: the decoder's error would not name the record.
    checks = [
        tf.debugging.Assert(intact, ["box or labels not finite:", name]),
        tf.debugging.Assert(
            has_stored_size,
            ["JPEG of another size than stored:", name, jpeg_size, size],
        ),
    ]
    with tf.control_dependencies(checks):
        extent = tf.concat([low, high - low], axis=0)
        image = tf.io.decode_and_crop_jpeg(jpeg, extent, channels=3)

    def shrunk() -> tf.Tensor:
        resized = tf.image.resize(image, fitted, method="area")
        return tf.cast(tf.round(resized), tf.uint8)

    fits_canvas = tf.reduce_all(high - low == fitted)
    image = tf.cond(fits_canvas, lambda: image, shrunk)
    padding = side - fitted
    canvas = tf.pad(image, [[0, padding[0]], [0, padding[1]], [0, 0]])
    remaining = {
        k: value for k, value in record.items() if k not in _JPEG_FIELDS
    }
    return remaining | {"canvas": tf.ensure_shape(canvas, [side, side, 3])}
