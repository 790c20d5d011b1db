"""People for tracking: red blocks in films, and a model that finds them.

The model sees what a network sees, a crop, and answers as one does: with a
body of fixed size where the red is, or, where nobody is, with a body in the
middle all the same.
"""

import cv2
import numpy as np

from edge import run

HEIGHT_M, WIDTH_M = 1.7, 0.6
SIZE = (240, 160)
FPS = 25.0


def frame(people, rng, size=SIZE) -> np.ndarray:
    """(H, W, 3) uint8 BGR with blocks of (centre x, centre y, height)."""
    image = rng.integers(90, 130, (size[1], size[0], 3)).astype(np.uint8)
    for x, y, height in people:
        half = np.array([height * WIDTH_M / HEIGHT_M, height]) / 2
        low, high = np.rint([x, y] - half), np.rint([x, y] + half)
        low, high = (tuple(int(v) for v in corner) for corner in (low, high))
        cv2.rectangle(image, low, high, (20, 20, 230), -1)
    return image


def box(x, y, height) -> list[float]:
    """x, y, w, h of a block."""
    width = height * WIDTH_M / HEIGHT_M
    return [x - width / 2, y - height / 2, width, height]


def film(path, frames) -> str:
    """Writes BGR frames; returns the path as text."""
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    size = frames[0].shape[1::-1]
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*code), FPS, size
    )
    for image in frames:
        writer.write(image)
    writer.release()
    return str(path)


def read(path) -> list[np.ndarray]:
    """The BGR frames of a film."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (image := video.read()[1]) is not None:
        frames.append(image)
    return frames


class Model:
    """Stands in for edge.run's Model; noise as a network has."""

    size, crop_scale, topology = 64, 1.2, "blocks"

    def __init__(self, noise: float = 0.0):
        x, y = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 21))
        flat = np.stack([x * WIDTH_M / 2, y * HEIGHT_M / 2, 0 * x], axis=-1)
        self._points = flat.reshape(-1, 3).astype(np.float32)
        corner = (np.arange(20)[:, None] * 9 + np.arange(8)).reshape(-1, 1)
        self.faces = np.concatenate([corner + [0, 9, 1], corner + [1, 9, 10]])
        self._noise, self._rng = noise, np.random.default_rng(1)

    def focal_px(self, size):
        """As edge.run's for a model that reads the image alone."""
        return run.FOCAL_OVER_SIDE * max(size)

    def __call__(self, crop, square=None, size=None):
        """The outputs of an export, for the red of a crop (S, S, 3) RGB."""
        red = (crop[..., 0] > 150) & (crop[..., 1] < 90)
        camera = np.array([0.9, 0.0, 0.0], np.float32)
        if red.any():
            rows, columns = np.nonzero(red)
            spans = [(v.min(), v.max() + 1) for v in (columns, rows)]
            middle, span = np.mean(spans, axis=1), np.ptp(spans, axis=1)
            scale = span[1] / (self.size / 2) / HEIGHT_M
            centre = (middle / (self.size / 2) - 1) / scale
            camera = np.float32([scale, *centre])
        shake = self._rng.normal(0, self._noise, self._points.shape)
        points = self._points + np.float32(shake)
        turns = self._rng.normal(0, self._noise, (24, 3))
        # Near half a turn, where rotation vectors jump.
        turns[0] += (np.pi, 0, 0)
        rotmats = [cv2.Rodrigues(turn)[0] for turn in turns]
        keypoints = camera[0] * (points[:, :2] + camera[1:])
        return {
            "vertices": points,
            "joints": points[::10],
            "keypoints": keypoints[::10],
            "rotmats": np.float32(rotmats),
            "betas": np.float32(self._rng.normal(0, 1, 10)),
            "camera": camera,
        }
