"""Slides a square over crops: the work of training.sensitivity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_hmr import inference, joints, metrics, progress
from tf_hmr import method as methods
from tf_hmr.formats import atomic, image_files, image_writing
from tf_hmr.geometry import crop
from training import config
from training.data.pipeline import batches
from training.engine import workdir
from training.evaluation import evaluator, sensitivity_maps

if TYPE_CHECKING:
    from training.sensitivity import Sensitivity

REFERENCE_PX = 224
GREY = 127.5
ROOT = metrics.MID_HIP


def square_centres(stride: float) -> np.ndarray:
    """(P,) centres of the squares along either axis, in px of 224.

    Evenly spread; the outermost are half a stride from the borders.
    """
    count = max(1, round(REFERENCE_PX / stride))
    return (np.arange(count) + 0.5) * REFERENCE_PX / count


def covered(image: np.ndarray, square: float, stride: float) -> np.ndarray:
    """Copies of a crop with a grey square at each position, row by row.

    Args:
        image: (S, S, 3) 0..255.
        square: side of the square in pixels of a crop of 224.
        stride: see `square_centres`.

    Returns:
        (P * P, S, S, 3) float32.
    """
    size = len(image)
    along = (np.arange(size) + 0.5) * REFERENCE_PX / size
    inside = np.abs(along - square_centres(stride)[:, np.newaxis]) <= square / 2
    masks = inside[:, np.newaxis, :, np.newaxis] & inside[:, np.newaxis]
    masks = masks.reshape(-1, size, size, 1)
    return np.where(masks, np.float32(GREY), image.astype(np.float32))


def maps(
    method: methods.Method,
    examples: Iterable[dict[str, np.ndarray]],
    square: float,
    stride: float,
    names: tuple[str, ...] = joints.LSP14,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Joint errors with a square in front, relative to the middle of the hips.

    Args:
        method: the method to measure.
        examples: the method's inputs without a batch axis, such as image
            (S, S, 3); and joints3d (K, 4) if they are labelled, otherwise the
            error of a joint is how far it moves.
        square: see `covered`.
        stride: see `square_centres`.
        names: the joints to measure.

    Yields:
        For each example its image, the errors (J,) in mm without a square,
        and their increases (P, P, J) for each position of the square.
    """
    index = joints.select(names, of=method.joint_names)
    current_example: list[dict[str, np.ndarray]] = []

    def stream():
        for example in examples:
            current_example[:] = [example]
            images = covered(example["image"], square, stride)
            images = np.concatenate([example["image"][np.newaxis], images])
            other_inputs = {
                name: tf.repeat(example[name][np.newaxis], len(images), axis=0)
                for name in method.input_names
                if name != "image"
            }
            yield {"image": tf.constant(images), **other_inputs}

    count = len(square_centres(stride))
    for _, predictions in evaluator.predictions(method, stream()):
        pred = metrics.align_root(predictions.joints[:, index], names, ROOT)
        true = _truth(current_example[0], names, pred[0])
        errors = metrics.per_joint_error_mm(
            pred, np.broadcast_to(true, pred.shape)
        )
        increases = (errors[1:] - errors[0]).reshape(count, count, len(names))
        yield current_example[0]["image"], errors[0], increases


def _truth(example, names, default: np.ndarray) -> np.ndarray:
    if "joints3d" not in example:
        return default
    index = list(joints.select(names, of=joints.KEYPOINTS))
    return metrics.align_root(example["joints3d"][index, :3], names, ROOT)


def record_examples(
    flags: Sensitivity, method: methods.Method
) -> Iterator[dict[str, np.ndarray]]:
    """Yields people of a records folder that have all 14 joints.

    Raises:
        FileNotFoundError, ValueError: see shards.Records.
    """
    dataset = batches.eval_dataset(
        config.Source(records=str(flags.records), split=flags.split),
        1,
        method.image_size,
        method.config.crop_scale,
    )
    total = int(dataset.cardinality())
    step = max(1, total // flags.people)
    index = list(joints.select(joints.LSP14, of=joints.KEYPOINTS))
    for batch in dataset.shard(step, 0).take(flags.people):
        joints3d = batch["joints3d"][0].numpy()
        if (joints3d[index, 3] > 0).all():
            inputs = method.inputs(batch)
            inputs = {name: rows[0].numpy() for name, rows in inputs.items()}
            yield {**inputs, "joints3d": joints3d}


def photo_examples(
    flags: Sensitivity, method: methods.Method
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the crop of the person in the photo.

    Raises:
        FileNotFoundError: there is no photo.
        ValueError: the box is not in the photo, or the photo is damaged.
    """
    photo = image_files.read_photo(flags.photo)
    box = crop.square_box((0, 0, photo.shape[1], photo.shape[0]))
    if flags.box:
        crop.check_box(flags.box, photo.shape[1::-1])
        box = crop.square_box(flags.box, method.config.crop_scale)
    inputs = inference.crop_inputs(method, photo, [box])
    yield {name: rows[0] for name, rows in inputs.items()}


def run(flags: Sensitivity) -> Path:
    """Measures and writes the maps; returns their folder.

    Raises:
        FileNotFoundError: no model, records or photo.
        ValueError: neither or both of records and photo; no labels.
    """
    method = methods.load(flags.weights, flags.body, jit=False)
    examples = (photo_examples if flags.photo else record_examples)(
        flags, method
    )
    measured = list(
        progress.bar(
            maps(method, examples, flags.square, flags.stride),
            "crops",
            unit="crop",
            total=flags.people if flags.records else 1,
        )
    )
    if not measured:
        raise ValueError(
            f"No record of {flags.records} has the joints {joints.LSP14}."
        )
    images, plain, increases = (
        np.stack(part) for part in zip(*measured, strict=True)
    )
    flags.out.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(flags.out / "maps.npz") as part:
        np.savez_compressed(part, plain_mm=plain, grown_mm=increases)
    _draw(flags, images, increases)
    workdir.write_json(
        flags.out / "sensitivity.json", _facts(flags, plain, increases)
    )
    return flags.out


def _draw(
    flags: Sensitivity, images: np.ndarray, increases: np.ndarray
) -> None:
    label = "Joints move by" if flags.photo else "Errors grow by"
    joint_maps = sensitivity_maps.joint_sheet(
        images, increases, joints.LSP14, f"{label} (mm), where a square is"
    )
    people_maps = sensitivity_maps.people_sheet(images, increases)
    for name, figure in (("maps", joint_maps), ("people", people_maps)):
        image_writing.write(flags.out / f"{name}.png", figure)


def _facts(flags: Sensitivity, plain, increases) -> dict:
    by_joint = increases.mean(axis=0)
    by_square = by_joint.reshape(-1, by_joint.shape[-1])
    centres = square_centres(flags.stride)
    rows = {
        name: {
            "plain_mm": float(plain[:, j].mean()),
            "mean_grown_mm": float(by_square[:, j].mean()),
            "most_grown_mm": float(by_square[:, j].max()),
            "most_at_px": [
                float(centres[i])
                for i in np.unravel_index(
                    by_square[:, j].argmax(), by_joint.shape[:2]
                )[::-1]
            ],
        }
        for j, name in enumerate(joints.LSP14)
    }
    return {
        "truth": "the prediction itself" if flags.photo else "records",
        "people": len(plain),
        "square_px": flags.square,
        "places": len(centres) ** 2,
        "joints": rows,
        "weights": str(flags.weights),
        "source": str(flags.photo or flags.records),
        "environment": workdir.environment(),
    }
