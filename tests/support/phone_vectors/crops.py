"""Crops and other inputs of run.py, for squares of many kinds."""

import numpy as np

from edge import run
from tests.support import photos
from tests.support.phone_vectors.arrays import Folder

SIZES = (64, 97, 224)
SIDES = (20.0, 63.7, 64.0, 128.0, 200.0, 551.3, 900.0, 2000.0)


def make(folder: Folder) -> None:
    """Writes crops of one picture, and the inputs of run.inputs_of."""
    rng = np.random.default_rng(5)
    image = photos.image(637, 479)
    image = np.clip(image + rng.normal(0, 12, image.shape), 0, 255)
    image = image.astype(np.uint8)
    entry = folder.add("image", image)
    crops = []
    for side in SIDES:
        for size in SIZES:
            corner = rng.uniform(-side / 2, (637 - side / 2, 479 - side / 2))
            square = (*corner.tolist(), side, side)
            crop = run.crop_image(image, square, size)
            crops.append(
                {
                    "image": entry,
                    "square": square,
                    "size": size,
                    "crop": folder.add("crop", crop),
                }
            )
    folder.finish({"crops": crops, "inputs": list(_inputs(rng))})


def _inputs(rng):
    """Squares in frames, and what a card may ask of them."""
    for focal in (0.0, 0.0, 333.0, 5000.0):
        size = rng.integers(100, 900, 2).tolist()
        x, y, side = rng.uniform((-50, -50, 20), (400, 400, 500)).tolist()
        square = (x, y, side, side)
        inputs = run.inputs_of(np.zeros(0), square, size, focal)
        del inputs["image"]
        yield {"square": square, "size": size, "focal": focal, **inputs}
