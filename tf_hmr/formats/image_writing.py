"""Writes pictures whole or not at all: a full disk leaves the old ones."""

from pathlib import Path

import cv2
import numpy as np

from tf_hmr.formats import atomic


def write(path: str | Path, image: np.ndarray) -> None:
    """Writes a picture in the format of its ending.

    Args:
        path: of the picture; its folder exists.
        image: (H, W, 3) uint8 RGB.

    Raises:
        OSError: it cannot be written; an old picture stays.
        ValueError: OpenCV writes no pictures of that ending.
    """
    path = Path(path)
    if not path.suffix or not cv2.haveImageWriter(path.name):
        raise ValueError(
            f"{path} cannot be written: expected the ending of a picture, as "
            ".png or .jpg."
        )
    encoded = cv2.imencode(path.suffix, image[..., ::-1])[1]
    with atomic.replacing(path) as part:
        part.write_bytes(encoded.tobytes())
