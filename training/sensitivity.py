r"""Which parts of a picture a method needs: errors behind a sliding square.

    python -m training.sensitivity --weights runs/demo \
        --records data/synthetic_v1 --split test --out sensitivity
    python -m training.sensitivity --weights runs/demo --photo photo.jpg \
        --box 100 40 320 480 --out sensitivity

A grey square slides over the crop; at each place the method predicts anew. Of
records the maps show by how many millimetres the error of each joint grows,
of a photo, whose truth is not known, how far each joint moves. Written are
maps.png (the mean over the people, of each joint and of all), people.png (the
first few one by one), maps.npz and sensitivity.json.

The idea, squares of 40 px in a crop of 224, is that of PARE's occlusion
analysis (Kocabas et al. 2021, mkocabas/PARE: scripts/occlusion_analysis.py),
where they are the mean of ImageNet and do not overlap.
"""

import dataclasses
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
import tqdm
import tyro

from tf_hmr import inference, joints, metrics
from tf_hmr import method as methods
from tf_hmr.geometry import crop
from training import config
from training.data.pipeline import batches
from training.engine import workdir
from training.evaluation import evaluator, sensitivity_maps

REFERENCE_PX = 224
GREY = 127.5
ROOT = metrics.MID_HIP


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Command line of `training.sensitivity`."""

    weights: Path
    """A model folder, or the workdir of a run."""
    out: Path
    """Folder for pictures and numbers."""
    records: Path | None = None
    """A folder of records with 3D joints."""
    split: str = "test"
    """Which split of it."""
    photo: Path | None = None
    """Instead of records: one photo."""
    box: tuple[float, float, float, float] | None = None
    """Of the person in the photo: x y w h in pixels; default: all of it."""
    body: str = "open"
    """'open', or the SMPL files the model was trained with."""
    people: int = 50
    """How many records, evenly spread over the split."""
    square: float = 40.0
    """Side of the square, in pixels of a crop of 224."""
    stride: float = 20.0
    """From one place to the next, likewise."""


def places(stride: float) -> np.ndarray:
    """(P,) middles of the squares along either axis, in px of 224.

    Evenly spread, and as far from the borders as half their distance.
    """
    count = max(1, round(REFERENCE_PX / stride))
    return (np.arange(count) + 0.5) * REFERENCE_PX / count


def covered(image: np.ndarray, square: float, stride: float) -> np.ndarray:
    """A crop with a grey square at each place, row by row.

    Args:
        image: (S, S, 3) 0..255.
        square: side in pixels of a crop of 224.
        stride: see `places`.

    Returns:
        (P * P, S, S, 3) float32.
    """
    size = len(image)
    along = (np.arange(size) + 0.5) * REFERENCE_PX / size
    inside = np.abs(along - places(stride)[:, np.newaxis]) <= square / 2
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
    """Errors of the joints behind the square, about the middle of the hips.

    Args:
        method: to measure.
        examples: each with what the method reads, image (S, S, 3) and the
            others without a batch; and joints3d (K, 4) where they are known,
            else a joint's error is how far it moves.
        square: see `covered`.
        stride: see `places`.
        names: the joints that are judged.

    Yields:
        For each example its image, the errors (J,) in mm with nothing
        covered, and by how much more they are (P, P, J) at each place.
    """
    index = joints.select(names, of=method.joint_names)
    seen: list[dict[str, np.ndarray]] = []

    def stream():
        for each in examples:
            seen[:] = [each]
            images = covered(each["image"], square, stride)
            images = np.concatenate([each["image"][np.newaxis], images])
            others = {
                name: tf.repeat(each[name][np.newaxis], len(images), axis=0)
                for name in method.input_names
                if name != "image"
            }
            yield {"image": tf.constant(images), **others}

    count = len(places(stride))
    for _, found in evaluator.predictions(method, stream()):
        pred = metrics.align_root(found.joints[:, index], names, ROOT)
        true = _truth(seen[0], names, pred[0])
        errors = metrics.per_joint_error_mm(
            pred, np.broadcast_to(true, pred.shape)
        )
        grown = (errors[1:] - errors[0]).reshape(count, count, len(names))
        yield seen[0]["image"], errors[0], grown


def _truth(example, names, otherwise: np.ndarray) -> np.ndarray:
    if "joints3d" not in example:
        return otherwise
    index = list(joints.select(names, of=joints.KEYPOINTS))
    return metrics.align_root(example["joints3d"][index, :3], names, ROOT)


def of_records(
    flags: Sensitivity, method: methods.Method
) -> Iterator[dict[str, np.ndarray]]:
    """Some people of a records folder, those with all 14 joints.

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


def of_photo(
    flags: Sensitivity, method: methods.Method
) -> Iterator[dict[str, np.ndarray]]:
    """The crop of the photo's person.

    Raises:
        FileNotFoundError, ValueError: no photo, or no box in it.
    """
    photo = inference.read_photo(flags.photo)
    box = crop.square_box((0, 0, photo.shape[1], photo.shape[0]))
    if flags.box:
        crop.check_box(flags.box, photo.shape[1::-1])
        box = crop.square_box(flags.box, method.config.crop_scale)
    inputs = inference.crop_inputs(method, photo, [box])
    yield {name: rows[0] for name, rows in inputs.items()}


def run(flags: Sensitivity) -> Path:
    """Measures, draws, writes; returns the folder.

    Raises:
        FileNotFoundError: no model, records or photo.
        ValueError: neither or both of records and photo; no labels.
    """
    if (flags.records is None) == (flags.photo is None):
        raise ValueError("Give --records or --photo, one of them.")
    if min(flags.square, flags.stride) <= 0:
        raise ValueError(
            f"Expected a square and a stride above 0, got {flags.square:g} "
            f"and {flags.stride:g} px."
        )
    method = methods.load(flags.weights, flags.body, jit=False)
    examples = (of_photo if flags.photo else of_records)(flags, method)
    measured = list(
        tqdm.tqdm(
            maps(method, examples, flags.square, flags.stride),
            disable=not sys.stderr.isatty(),
            unit="crop",
        )
    )
    if not measured:
        raise ValueError(
            f"No record of {flags.records} has the joints {joints.LSP14}."
        )
    images, plain, grown = (
        np.stack(part) for part in zip(*measured, strict=True)
    )
    flags.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(flags.out / "maps.npz", plain_mm=plain, grown_mm=grown)
    _draw(flags, images, grown)
    workdir.write_json(
        flags.out / "sensitivity.json", _facts(flags, plain, grown)
    )
    return flags.out


def _draw(flags: Sensitivity, images: np.ndarray, grown: np.ndarray) -> None:
    grows = "Joints move by" if flags.photo else "Errors grow by"
    mean = sensitivity_maps.joint_sheet(
        images, grown, joints.LSP14, f"{grows} (mm), where a square is"
    )
    each = sensitivity_maps.people_sheet(images, grown)
    for name, picture in (("maps", mean), ("people", each)):
        path = str(flags.out / f"{name}.png")
        cv2.imwrite(path, picture[..., ::-1])


def _facts(flags: Sensitivity, plain, grown) -> dict:
    by_joint = grown.mean(axis=0)
    worst = by_joint.reshape(-1, by_joint.shape[-1])
    middles = places(flags.stride)
    rows = {
        name: {
            "plain_mm": float(plain[:, j].mean()),
            "mean_grown_mm": float(worst[:, j].mean()),
            "most_grown_mm": float(worst[:, j].max()),
            "most_at_px": [
                float(middles[i])
                for i in np.unravel_index(
                    worst[:, j].argmax(), by_joint.shape[:2]
                )[::-1]
            ],
        }
        for j, name in enumerate(joints.LSP14)
    }
    return {
        "truth": "the prediction itself" if flags.photo else "records",
        "people": len(plain),
        "square_px": flags.square,
        "places": len(middles) ** 2,
        "joints": rows,
        "weights": str(flags.weights),
        "source": str(flags.photo or flags.records),
        "environment": workdir.environment(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when everything is written."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags = tyro.cli(
        Sensitivity,
        prog="python -m training.sensitivity",
        description=__doc__,
        args=arguments,
    )
    try:
        print(f"Maps: {run(flags)}")
    except (OSError, ValueError) as error:
        print(f"training.sensitivity: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
