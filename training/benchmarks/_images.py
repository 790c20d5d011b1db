"""Images for the pipeline's benchmarks, with files as large as photographs.

Rendered people, under noise of several scales: at 500 x 500 pixels and quality
90 a JPEG then has the 62 KB of a photograph of that size.
"""

import dataclasses
import pathlib

import cv2
import numpy as np

from tf_hmr.geometry import crop
from training import config
from training.data.records import records_folder
from training.data.synthetic import people as synthetic

AUGMENT = config.Augment(rotation_deg=30.0)
CROP_SCALE = 1.2


@dataclasses.dataclass
class Options:
    """Options of the benchmarks that run two sides in turns."""

    count: int = 200
    """Number of distinct images."""
    size: int = 500
    """Side of the images in pixels."""
    image_size: int = 224
    """Side of the crops in pixels."""
    batch: int = 64
    """Images per batch."""
    batches: int = 40
    """Batches of a turn."""
    rounds: int = 5
    """Turns of each side; the median counts."""
    seed: int = 1
    """Seed of the people."""


def batches(
    folder: pathlib.Path,
    batch: int,
    image_size: int,
    augment: config.Augment = AUGMENT,
    **changes: str,
):
    """batches.train_dataset of the images that `write` wrote.

    Args:
        folder: the folder of `write`.
        batch: images per batch.
        image_size: side of the crops in pixels.
        augment: random changes.
        **changes: other fields of config.Data.
    """
    # Not at the top: processes of the other side need no TensorFlow.
    from training.data.pipeline import batches as pipeline

    data = config.Data(
        sources=(config.Source(str(folder / "records")),),
        batch_size=batch,
        prior="",
        augment=augment,
        **changes,
    )
    return pipeline.train_dataset(
        data.sources, data, image_size, crop_scale=CROP_SCALE
    )


def write(folder: pathlib.Path, count: int, size: int, seed: int) -> float:
    """Writes records to `folder`/records, and the same JPEGs to `folder`.

    Boxes and keypoints also go to `folder`/labels.npz.

    Args:
        folder: an existing folder.
        count: number of images.
        size: side of the images in pixels.
        seed: seed of the people.

    Returns:
        Mean kilobytes of a JPEG.
    """
    # A crop of 1.2 boxes is half as wide as the image, over the scale.
    settings = synthetic.Settings(size=size, margin=2.4)
    people = synthetic.People(seed, settings=settings)
    writer = records_folder.Writer(folder / "records", "train", 100)
    boxes, points, total = [], [], 0
    for number, example in enumerate(people.examples(0, count)):
        image = cv2.imdecode(np.frombuffer(example.image, np.uint8), 1)
        random = np.random.default_rng((seed, number))
        image = np.clip(image + _texture(random, size), 0, 255)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        jpeg = cv2.imencode(".jpg", image.astype(np.uint8), quality)[1]
        example.image = jpeg.tobytes()
        example.example_id = f"{number:05d}"
        (folder / f"{number:05d}.jpg").write_bytes(example.image)
        boxes.append(crop.square_box(example.box, CROP_SCALE))
        points.append(example.keypoints)
        writer.write(example)
        total += len(example.image)
    writer.finish()
    np.savez(folder / "labels.npz", boxes=boxes, points=points)
    return total / count / 1000


def _texture(random: np.random.Generator, size: int) -> np.ndarray:
    """Noise of four scales, more gray than coloured, (size, size, 3)."""
    total = np.zeros((size, size, 3), np.float32)
    for shrinkage, deviation in ((1, 3.5), (2, 3.5), (4, 6.0), (16, 10.0)):
        side = max(size // shrinkage, 1)
        noise = random.normal(0, deviation, (side, side, 3))
        noise = 0.3 * noise + 1.2 * noise.mean(axis=2, keepdims=True)
        noise = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
        total += noise.astype(np.float32)
    return total
