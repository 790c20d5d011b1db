"""Contact sheets of records: pictures with the labels drawn on them."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from tf_hmr import crop, joints, raster
from training import pictures
from training.data import records

PANEL_PX = 192
COLUMNS = 4
# Room around the person where the picture is larger than a person.
_AROUND = 1.4


def write(path: Path, examples: Iterable[records.Example]) -> None:
    """Draws examples with their labels into one PNG."""
    cells = [
        (example.example_id, draw_labels(example, PANEL_PX))
        for example in examples
    ]
    sheet = pictures.sheet(cells, columns=COLUMNS)
    cv2.imwrite(str(path), sheet[..., ::-1])


def draw_labels(example: records.Example, size: int) -> np.ndarray:
    """Two panels: box and keypoints; and parts, or the 3D joints.

    A picture more than twice as large as the person is cut around it. 3D
    joints are drawn as seen from the person's side: a wrong sign of the depth
    or of y is seen at once.

    Args:
        example: an example with a picture.
        size: side of each panel, pixels.

    Returns:
        (size, 2 * size + gap, 3) uint8 RGB; keypoints that are not visible
        are grey.
    """
    view = _view(example)
    picture = cv2.imdecode(np.frombuffer(example.image, np.uint8), 1)
    picture = crop.crop_image(picture[..., ::-1], view, size)
    to_panel = crop.crop_affine(view, size)
    first = picture.copy()
    corners = example.box[:2] - 0.5, example.box[:2] + example.box[2:] - 0.5
    low, high = (
        np.rint(to_panel[:, :2] @ corner + to_panel[:, 2]).astype(int).tolist()
        for corner in corners
    )
    cv2.rectangle(first, low, high, (255, 220, 0), 1)
    if example.keypoints is not None:
        places = example.keypoints[:, :2] @ to_panel[:, :2].T + to_panel[:, 2]
        first = raster.skeleton(
            first, places, joints.KEYPOINTS, example.keypoints[:, 2]
        )
    second = picture
    if example.parts:
        second = _parts(example, view, picture)
    elif example.joints3d is not None:
        second = _from_the_side(example.joints3d, size)
    return pictures.beside([first, second])


def _view(example: records.Example) -> tuple[float, float, float, float]:
    """The whole picture, or a square around the person in it."""
    whole = (0.0, 0.0, float(example.width), float(example.height))
    around = crop.square_box(example.box, _AROUND)
    large = 2 * around[2] < min(whole[2:])
    return around if large else crop.square_box(whole)


def _parts(example, view, picture) -> np.ndarray:
    size = len(picture)
    parts = cv2.imdecode(np.frombuffer(example.parts, np.uint8), 0)
    parts = cv2.warpAffine(
        parts, crop.crop_affine(view, size), (size, size), flags=0
    )
    colours = cv2.applyColorMap(parts * 17, cv2.COLORMAP_TURBO)[..., ::-1]
    mixed = cv2.addWeighted(picture, 0.3, np.ascontiguousarray(colours), 0.7, 0)
    return np.where(parts[..., None] > 0, mixed, picture)


def _from_the_side(joints3d: np.ndarray, size: int) -> np.ndarray:
    """The joints (z, y), the camera to the left, on grey."""
    points, valid = joints3d[:, [2, 1]], joints3d[:, 3]
    canvas = np.full((size, size, 3), 235, np.uint8)
    if not valid.any():
        return canvas
    seen = points[valid > 0]
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2
    span = max(float(np.ptp(seen, axis=0).max()), 1e-6)
    places = (points - centre) * (0.8 * size / span) + size / 2
    return raster.skeleton(canvas, places, joints.KEYPOINTS, valid)
