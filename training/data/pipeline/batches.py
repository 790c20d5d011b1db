"""Batches for training and evaluation from record folders.

Read train_dataset first. Its `load` makes one batch: it draws the augmentation
(augment.py), reads and parses the records (reading.py, parsing.py), decodes
their images (reading.Crops, pixels.py) and computes the labels (labels.py,
views.py). eval_dataset does the same without augmentation, prior_dataset gives
unpaired poses alone, and _streamed batches of a tf.data service (service.py).

A training batch is a function of its step: the order comes from arithmetic
(order.py), the augmentation from (seed, step). So a run that continues at
step k gets the batches of an uninterrupted one, at no cost, and several
devices or hosts read disjoint parts of the same global batch.

Reading and decoding run in Python callbacks, a batch at a time; OpenCV works
outside the interpreter lock, so the callbacks of several batches run at once.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_hmr import method
from tf_hmr.geometry import rotations
from training import config
from training.data.pipeline import (
    augment,
    labels,
    metric_crops,
    reading,
    scenery,
    service,
    warp,
)
from training.data.records import (
    bad_records,
    mocap,
    parsing,
    records_folder,
    schema,
    shards,
)

Batch = dict[str, tf.Tensor]

# Fields that an evaluation gets as the record stores them.
_STORED_FIELDS = (
    "dataset",
    "translation",
    "width",
    "height",
    "part_set",
    "facts",
)


def topology(data: config.Data) -> str:
    """Tag of the body of the 3D labels and unpaired poses; "" if none.

    Raises:
        ValueError: they belong to different bodies.
    """
    tags = {
        source.records: records_folder.read_report(source.records)["topology"]
        for source in data.sources
        if source.labels == "all"
    }
    if reading.has_prior(data):
        tags[f"{data.prior} (prior)"] = mocap.read(data.prior).topology
    different = sorted({tag for tag in tags.values() if tag})
    if len(different) > 1:
        raise ValueError(
            f"The records belong to different bodies: {tags}. Their betas and "
            "parts cannot be mixed; use sources of one body, or labels='2d'."
        )
    return different[0] if different else ""


def check_inputs(source: config.Source, names: Sequence[str]) -> None:
    """Refuses records that lack inputs of a method.

    All inputs but landmarks, depth and the global rotation follow from fields
    that every record has. One record stands for its folder: a person without
    landmarks has zeros.

    Args:
        source: `records` is the path of a records folder.
        names: of method_inputs.INPUTS.

    Raises:
        FileNotFoundError, ValueError: see shards.Records; or the first
            stored record has no landmarks, pose, or distance from a known
            camera, or the source hides poses.
    """
    needed = {"landmarks", "global_rotation", "depth"} & set(names)
    if not needed:
        return
    stored = shards.Records(source.records, source.split, source.shards)
    first = schema.decode(stored.read(0))
    if "depth" in needed and not metric_crops.has_distance(first):
        raise ValueError(
            "The method reads the labelled distance of a person, but the "
            f"records of {source.records} {source.split!r} have no translation "
            "and no joints before the camera, or no focal length (the first "
            "was looked at). Take records that "
            "have both, or a method that reads the image alone "
            "(crop='estimated')."
        )
    if "global_rotation" in needed and (
        source.labels != "all" or first.pose is None
    ):
        raise ValueError(
            "The method reads the labelled global rotation, but the source "
            f"{source.records} {source.split!r} (labels={source.labels!r}) has "
            "no poses. Take labels='all' of records with poses, or a method "
            "that reads the image alone (true_root=False)."
        )
    if "landmarks" in needed and first.landmarks is None:
        raise ValueError(
            f"The method reads landmarks, but the records of {source.records} "
            f"{source.split!r} have none (the first was looked at). Prepare "
            "them with landmarks, or choose a method that reads the image."
        )


def train_dataset(
    sources: Sequence[config.Source],
    data: config.Data,
    image_size: int,
    input_context: tf.distribute.InputContext | None = None,
    start_step: int = 0,
    crop_scale: float = method.Config.crop_scale,
    images: bool = True,
    crop_m: float = 0.0,
) -> tf.data.Dataset:
    """Makes an endless dataset of augmented, mixed batches.

    Args:
        sources: the mix; `records` of each is the path of a records folder.
        data: batch size (over all devices), augmentation, prior, seed.
        image_size: side S of the crops in pixels.
        input_context: the part of the global batch to yield: one element per
            replica of this input pipeline and step. Without it an element is
            the whole batch.
        start_step: the first step to yield.
        crop_scale: side of the crop over the longer side of the box, before
            augmentation.
        images: whether to decode them; those of a data.service come anyway.
        crop_m: side of the crop in metres where distance and focal length are
            known, before augmentation; 0: crop_scale everywhere.

    Returns:
        Dictionaries: with `images`, fields that warp.finish turns into image
        (B, S, S, 3) float32 0..255 in the step; keypoints (B, K, 3) ndc and
        visibility; openpose (B, 25, 3) ndc and confidence, 0 where not
        detected; joints3d (B, K, 4) metres, camera frame, and valid; rotmats
        (B, 24, 3, 3); betas (B, 10); gender (B,) by mocap.GENDERS; has_pose,
        has_betas, has_joints3d (B,) float32; example_id (B,) strings and
        example_key (B,) int64 of parsing.example_key; flip and rotation_rad
        (B,) of the crop's augmentation; box, image_size, intrinsics, landmarks
        and depth of views.of_crops; and, with data.prior, prior_rotmats
        (P, 24, 3, 3) with the identity as global rotation, prior_betas
        (P, 10) and prior_gender (P,), P = B * data.prior_per_image. Where a
        has_* is 0 the label is 0, or the identity rotation.

    Raises:
        FileNotFoundError, ValueError: see shards.Records, order.Layout,
            topology; or the batch does not divide among the replicas.
    """
    data = dataclasses.replace(data, sources=tuple(sources))
    topology(data)
    replicas, local_replicas, first = _replicas(input_context)
    if data.batch_size % replicas:
        raise ValueError(
            f"batch_size {data.batch_size} does not divide among {replicas} "
            "devices. Choose a multiple."
        )
    if data.service:
        if scenery.is_on(data.augment):
            raise ValueError(
                "data.augment.background and .objects change pictures in this "
                "process, and those of data.service are made elsewhere. Leave "
                "one of them out."
            )
        return _streamed(
            *(data, image_size, input_context, start_step, crop_scale),
            crop_m,
        )
    share = data.batch_size // replicas
    feed = reading.Feed(data)
    scene = None
    if images and scenery.is_on(data.augment):
        scene = scenery.Scenery(data.augment)
    crops = reading.Crops(image_size, feed.bad, data.parts, scene)
    decode = {"host": crops.augmented, "step": crops.canvases}[data.warp]
    if not images:
        decode = crops.without_images

    def load(element: tf.Tensor) -> Batch:
        step, part = element // local_replicas, first + element % local_replicas
        rows = part * share + tf.range(share, dtype=tf.int64)
        batch_augmentation = augment.draw(
            data.augment, tf.stack([data.seed, step]), data.batch_size
        )
        augmentation = augment.Augmentation(
            *(tf.gather(x, rows) for x in batch_augmentation)
        )
        serialized = tf.numpy_function(feed.read, [step, rows], tf.string)
        fields = parsing.parse_in_graph(tf.ensure_shape(serialized, [share]))
        boxes = metric_crops.boxes(fields, crop_scale, crop_m)
        to_ndc = augment.image_to_ndc(augmentation, boxes)
        arrays = [to_ndc, augmentation.flip, augmentation.scenery]
        decoded, good = _decoded_images(decode, crops, fields, arrays, share)
        parts = decoded.pop("parts")
        shown = {
            kind: good
            * tf.gather(tf.constant(flags, tf.float32)[step % len(flags)], rows)
            for kind, flags in feed.shown.items()
        }
        batch = labels.augmented(
            fields, augmentation, to_ndc, good, shown["3d"], shown["2d"]
        )
        if decoded:
            batch |= decoded
            batch |= labels.colours(data.augment, augmentation, good)
        if data.parts:
            batch |= labels.part_labels(fields, parts, shown["parts"])
        if reading.has_prior(data):
            batch |= _prior(feed.poses, step, rows, data)
        return batch

    dataset = tf.data.Dataset.counter(start_step * local_replicas)
    return _mapped(dataset, load)


def prior_dataset(
    data: config.Data,
    input_context: tf.distribute.InputContext | None = None,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Makes an endless dataset of unpaired poses alone; opens no record.

    Args:
        data: `prior` is a path; a step has data.batch_size *
            data.prior_per_image poses, over all devices.
        input_context: as in train_dataset.
        start_step: the first step to yield.

    Returns:
        Dictionaries of prior_rotmats, prior_betas and prior_gender as from
        train_dataset.

    Raises:
        ValueError: `data` has no unpaired poses.
    """
    if not reading.has_prior(data):
        raise ValueError(
            "A stage trains on unpaired poses, but there are none: data.prior "
            f"is {data.prior!r}, data.prior_per_image "
            f"{data.prior_per_image}. Name a folder with a prior.npz, or "
            "leave the stage out."
        )
    replicas, local_replicas, first = _replicas(input_context)
    share = data.batch_size // replicas
    poses = reading.Poses(data)

    def load(element: tf.Tensor) -> Batch:
        step, part = element // local_replicas, first + element % local_replicas
        rows = part * share + tf.range(share, dtype=tf.int64)
        return _prior(poses, step, rows, data)

    return _mapped(tf.data.Dataset.counter(start_step * local_replicas), load)


def eval_dataset(
    source: config.Source,
    batch_size: int,
    image_size: int,
    crop_scale: float = method.Config.crop_scale,
    max_bad_share: float = config.Data.max_bad_share,
    rows: Sequence[int] | None = None,
    crop_m: float = 0.0,
) -> tf.data.Dataset:
    """Makes a dataset of every record once, in stored order, not augmented.

    Args:
        source: `records` is the path of a records folder; its share and
            labels are not used.
        batch_size: the last batch may be smaller.
        image_size: side S of the crops in pixels.
        crop_scale: side of the crop over the longer side of the box.
        max_bad_share: as config.Data.max_bad_share.
        rows: numbers of the records, in the order to read; all by default.
        crop_m: as of train_dataset.

    Returns:
        Dictionaries as from train_dataset, without the prior, with image (B,
        S, S, 3) float32 0..255, and with parts (B, S, S) uint8, 0 background,
        else 1 + part14 label; has_parts (B,). In pixels of the stored image:
        stored_box (B, 4), the crop's square, and stored_intrinsics (B, 4), 0
        where not known. As stored: translation (B, 3); width and height of the
        image (B,) int64; stored_gender, dataset, part_set, facts and
        parts_png (B,) strings. A bad record has zeros and every has_* 0.

    Raises:
        FileNotFoundError, ValueError: see shards.Records.
    """
    stored = shards.Records(source.records, source.split, source.shards)
    rows = range(len(stored)) if rows is None else rows
    bad = bad_records.BadRecords(len(rows), max_bad_share)
    crops = reading.Crops(image_size, bad, parts=True)
    blank = schema.blank()

    def read(start: np.int64) -> np.ndarray:
        numbers = rows[start : start + batch_size]
        return np.array(
            [
                reading.read_or_blank(stored, int(number), bad, blank)
                for number in numbers
            ],
            object,
        )

    def load(start: tf.Tensor) -> Batch:
        serialized = tf.numpy_function(read, [start], tf.string)
        fields = parsing.parse_in_graph(tf.ensure_shape(serialized, [None]))
        boxes = metric_crops.boxes(fields, crop_scale, crop_m)
        augmentation = augment.identity(tf.shape(boxes)[0])
        to_ndc = augment.image_to_ndc(augmentation, boxes)
        images, good = _decoded_images(
            crops.plain, crops, fields, [to_ndc, boxes], None
        )
        batch = labels.augmented(fields, augmentation, to_ndc, good, good, good)
        batch |= labels.part_labels(fields, images["parts"], good)
        for name in _STORED_FIELDS:
            batch[name] = fields[name]
        batch["parts_png"] = fields["parts"]
        batch["stored_gender"] = fields["gender"]
        batch["stored_box"] = boxes
        batch["stored_intrinsics"] = fields["intrinsics"]
        image = tf.cast(images["image"], tf.float32)
        return batch | {"image": image}

    return _mapped(tf.data.Dataset.range(0, len(rows), batch_size), load)


def _streamed(
    data: config.Data,
    image_size: int,
    input_context: tf.distribute.InputContext | None,
    start_step: int,
    crop_scale: float,
    crop_m: float,
) -> tf.data.Dataset:
    """Batches of a tf.data service, and unpaired poses of this process."""
    replicas, local_replicas, _ = _replicas(input_context)
    if local_replicas != replicas:
        raise ValueError(
            "data.service feeds one training process: several would be given "
            "the same records. Leave it empty; each process then reads its "
            "own part of every batch."
        )
    batches = service.dataset(data, image_size, crop_scale, replicas, crop_m)
    if not reading.has_prior(data):
        return batches
    poses, share = reading.Poses(data), data.batch_size // replicas

    def load(element: tf.Tensor, batch: Batch) -> Batch:
        step, part = element // replicas, element % replicas
        rows = part * share + tf.range(share, dtype=tf.int64)
        return batch | _prior(poses, step, rows, data)

    counter = tf.data.Dataset.counter(start_step * replicas)
    numbered_batches = tf.data.Dataset.zip(counter, batches)
    return numbered_batches.map(load).prefetch(tf.data.AUTOTUNE)


def _replicas(
    context: tf.distribute.InputContext | None,
) -> tuple[int, int, int]:
    """Replicas of all pipelines; those of this one, and the first's index."""
    if context is None:
        return 1, 1, 0
    local_replicas = context.num_replicas_in_sync // context.num_input_pipelines
    return (
        context.num_replicas_in_sync,
        local_replicas,
        context.input_pipeline_id * local_replicas,
    )


def _mapped(
    dataset: tf.data.Dataset, load: Callable[[tf.Tensor], Batch]
) -> tf.data.Dataset:
    # Without autograph, which would spend seconds on reading `load`.
    dataset = dataset.map(
        tf.autograph.experimental.do_not_convert(load),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # tf.data's rewrites find nothing in a counter, a map and a prefetch, and
    # looking for them takes half of an iterator's start.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def _decoded_images(
    decode: Callable,
    crops: reading.Crops,
    fields: Batch,
    arrays: list[tf.Tensor],
    count: int | None,
) -> tuple[Batch, tf.Tensor]:
    """Calls `decode`, a method of `crops`, on B = `count` records.

    Returns:
        The arrays by name: `image`, or those of warp.finish; and `parts`. And
        good (B,), 0 where a record is broken.
    """
    side, part_side = crops.side, crops.side if crops.parts else 0
    shapes = {"image": ((side, side, 3), tf.uint8)}
    if decode == crops.canvases:
        canvas_side = warp.canvas_side(side)
        shapes = {
            "canvas": ((canvas_side, canvas_side, 3), tf.uint8),
            "filled": ((2,), tf.float32),
            "to_canvas": ((2, 3), tf.float32),
        }
    if decode == crops.without_images:
        shapes = {}
    shapes["parts"] = ((part_side, part_side), tf.uint8)
    shapes["good"] = ((), tf.float32)
    values = tf.numpy_function(
        decode,
        [
            fields["image"],
            fields["parts"],
            tf.strings.join([fields["dataset"], fields["example_id"]], "/"),
            tf.stack([fields["width"], fields["height"]], axis=1),
            fields["broken"],
            *arrays,
        ],
        [dtype for _, dtype in shapes.values()],
    )
    images = {
        name: tf.ensure_shape(value, (count, *shapes[name][0]))
        for name, value in zip(shapes, values, strict=True)
    }
    return images, images.pop("good")


def _prior(
    poses: reading.Poses, step: tf.Tensor, rows: tf.Tensor, data: config.Data
) -> Batch:
    """Reads data.prior_per_image unpaired poses for each of `rows`."""
    per_image = data.prior_per_image
    count = rows.shape[0] * per_image
    rows = rows[0] * per_image + tf.range(count, dtype=tf.int64)
    pose, betas, gender = tf.numpy_function(
        poses.read,
        [step, data.batch_size * per_image, rows],
        (tf.float32, tf.float32, tf.float32),
    )
    pose = tf.reshape(pose, [count, schema.NUM_JOINTS, 3])
    body = rotations.rotvec_to_rotmat(pose[:, 1:])
    identity = tf.eye(3, batch_shape=[count, 1])
    return {
        "prior_rotmats": tf.concat([identity, body], axis=1),
        "prior_betas": tf.ensure_shape(betas, [count, schema.NUM_BETAS]),
        "prior_gender": tf.ensure_shape(gender, [count]),
    }
