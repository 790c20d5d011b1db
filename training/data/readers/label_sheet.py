"""Contact sheets of records: pictures with the labels drawn on them."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints, rendering
from tf_hmr.body.data import BodyData
from tf_hmr.geometry import crop
from training import visualization
from training.data.records import schema
from training.data.synthetic import kinematics

PANEL_PX = 192
COLUMNS = 4
# Room around the person where the picture is larger than a person.
_AROUND = 1.4
# The skeleton that is drawn ends at the top of the head.
_SMPL_NAMES = tuple(n.replace("head", "head_top") for n in joints.SMPL24)


def write(path: Path, examples: Iterable[schema.Example]) -> None:
    """Draws examples with their labels into one PNG."""
    cells = [
        (example.example_id, draw_labels(example, PANEL_PX))
        for example in examples
    ]
    sheet = visualization.sheet(cells, columns=COLUMNS)
    cv2.imwrite(str(path), sheet[..., ::-1])


def draw_labels(example: schema.Example, size: int) -> np.ndarray:
    """Two panels: box and keypoints; and parts, or 3D joints, or the pose.

    A picture more than twice as large as the person is cut around it. 3D
    joints, or else those of the posed open body, are drawn as seen from the
    person's side: a wrong sign of the depth or of y is seen at once.

    Args:
        example: an example with a picture.
        size: side of each panel, pixels.

    Returns:
        (size, 2 * size + gap, 3) uint8 RGB; keypoints that have a place and
        are not visible are grey.
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
        # Those that nobody labelled stand at 0, 0: in a corner.
        places[~example.keypoints.any(axis=1)] = np.nan
        first = rendering.skeleton(
            first, places, joints.KEYPOINTS, example.keypoints[:, 2]
        )
    second = picture
    if example.parts:
        second = _parts(example, view, picture)
    elif example.joints3d is not None:
        known = np.where(example.joints3d[:, 3:] > 0, example.joints3d, np.nan)
        second = _from_the_side(known, joints.KEYPOINTS, size)
    elif example.pose is not None:
        second = _from_the_side(_posed(example.pose), _SMPL_NAMES, size)
    return visualization.beside([first, second])


def _view(example: schema.Example) -> tuple[float, float, float, float]:
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


def _posed(pose: np.ndarray) -> np.ndarray:
    """(24, 3) SMPL's joints, as the camera sees them."""
    rotmats = Rotation.from_rotvec(np.reshape(pose, (-1, 3))).as_matrix()
    return kinematics.forward(rotmats[None], _rest())[1][0]


@functools.cache
def _rest() -> np.ndarray:
    """(24, 3) of the open body; other bodies bend alike."""
    body = BodyData.load("open")
    return body.J_regressor @ body.v_template


def _from_the_side(
    points: np.ndarray, names: Sequence[str], size: int
) -> np.ndarray:
    """Joints (z, y), NaN where unknown, the camera to the left, on grey."""
    points = points[:, [2, 1]]
    canvas = np.full((size, size, 3), 235, np.uint8)
    seen = points[np.isfinite(points).all(axis=1)]
    if not len(seen):
        return canvas
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2
    span = max(float(np.ptp(seen, axis=0).max()), 1e-6)
    places = (points - centre) * (0.8 * size / span) + size / 2
    return rendering.skeleton(canvas, places, names)
