"""Rendered people and groups, and answers about them, for tests of finding."""

import functools

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.detection import landmarks, squares
from tf_hmr.formats import image_files
from training.data.synthetic import groups, people


@functools.cache
def group(index: int) -> groups.Group:
    """Group `index` of a seed of the tests' own."""
    return groups.Groups(3, longer_px=(480, 640))(index)


@functools.cache
def person(index: int) -> tuple[np.ndarray, groups.PersonOfGroup]:
    """The photo of a person of synthetic_v1, (256, 256, 3), and the truth."""
    example = people.frozen().example(index)
    image = cv2.cvtColor(image_files.decode(example.image), cv2.COLOR_BGR2RGB)
    truth = groups.PersonOfGroup(
        np.array(example.keypoints), np.array(example.joints3d)[:, :3]
    )
    return image, truth


def box_of(truth: groups.PersonOfGroup) -> tuple[float, float, float, float]:
    """The box x, y, w, h of a person's keypoints."""
    low, high = (f(truth.keypoints[:, :2], axis=0) for f in (np.min, np.max))
    return (*low.tolist(), *(high - low).tolist())


# A person who stands, x to the right and y down, in shares of the height.
_STANDING = {
    **{"nose": (0, 0.07), "eye": (0.02, 0.05), "mouth": (0.02, 0.09)},
    **{"ear": (0.04, 0.06), "shoulder": (0.1, 0.18), "elbow": (0.14, 0.34)},
    **{"wrist": (0.15, 0.48), "pinky": (0.15, 0.5), "index": (0.15, 0.51)},
    **{"thumb": (0.14, 0.5), "hip": (0.06, 0.52), "knee": (0.06, 0.75)},
    **{"ankle": (0.06, 0.95), "heel": (0.06, 0.98), "foot": (0.08, 0.99)},
}


def answer(
    x: float, y: float, height: float, presence: float = 1.0
) -> landmarks.Landmarks:
    """The answer about a person who stands upright and faces the camera.

    Args:
        x: of the middle of the body, pixels.
        y: of the top of the head.
        height: of the person.
        presence: that the network states.
    """
    points = np.zeros((len(joints.BLAZEPOSE33), 7), np.float32)
    for row, name in enumerate(joints.BLAZEPOSE33):
        sign = 1 if "left_" in name else -1
        part = name.replace("left_", "").replace("right_", "").split("_")[0]
        dx, dy = _STANDING[part]
        points[row, :2] = x + sign * dx * height, y + dy * height
        # Seen from far away, of 1.7 m.
        points[row, 2:4] = 1.7 * sign * dx, 1.7 * (dy - 0.52)
    points[:, 5:] = 1
    square = squares.Square(x + 0.5, y + 0.52 * height + 0.5, 1.3 * height)
    cells = (np.arange(256) + 0.5) / 256 - 0.5
    across, down = np.meshgrid(cells * square.side, cells * square.side)
    # An upright slab that holds the body.
    mask = (np.abs(across) < 0.17 * height) & (np.abs(down) < 0.52 * height)
    return landmarks.Landmarks(
        points, presence, square, square, mask.astype(np.float32)
    )
