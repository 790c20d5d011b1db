"""Contact sheets of records: images with the labels drawn on them."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints, rendering
from tf_hmr.body.data import BodyData
from tf_hmr.formats import image_writing
from tf_hmr.geometry import crop
from training import visualization
from training.data.records import schema
from training.data.synthetic import kinematics

PANEL_PX = 192
COLUMNS = 4
# Room around the person if the image is much larger than the person.
_ROOM = 1.4
# The drawn skeleton ends at the top of the head.
_SMPL_NAMES = tuple(n.replace("head", "head_top") for n in joints.SMPL24)


def write(path: Path, examples: Iterable[schema.Example]) -> None:
    """Draws examples with their labels into one PNG."""
    cells = [
        (example.example_id, draw_labels(example, PANEL_PX))
        for example in examples
    ]
    image_writing.write(path, visualization.sheet(cells, columns=COLUMNS))


def draw_labels(example: schema.Example, size: int) -> np.ndarray:
    """Draws two panels: box and keypoints; and parts, 3D joints or the pose.

    An image more than twice as large as the person is cut around the person.
    3D joints, or else those of the posed open body, are drawn from the side:
    a wrong sign of the depth or of y shows at once.

    Args:
        example: an example with an image.
        size: side of each panel, pixels.

    Returns:
        (size, 2 * size + gap, 3) uint8 RGB; keypoints with a position that
        are not visible are grey.
    """
    view = _view(example)
    image = cv2.imdecode(np.frombuffer(example.image, np.uint8), 1)
    image = crop.crop_image(image[..., ::-1], view, size)
    to_panel = crop.crop_affine(view, size)
    image_panel = image.copy()
    corners = example.box[:2] - 0.5, example.box[:2] + example.box[2:] - 0.5
    low, high = (
        np.rint(to_panel[:, :2] @ corner + to_panel[:, 2]).astype(int).tolist()
        for corner in corners
    )
    cv2.rectangle(image_panel, low, high, (255, 220, 0), 1)
    if example.keypoints is not None:
        keypoints = (
            example.keypoints[:, :2] @ to_panel[:, :2].T + to_panel[:, 2]
        )
        # Unlabelled keypoints have the position 0, 0: a corner.
        keypoints[~example.keypoints.any(axis=1)] = np.nan
        image_panel = rendering.skeleton(
            image_panel, keypoints, joints.KEYPOINTS, example.keypoints[:, 2]
        )
    label_panel = image
    if example.parts:
        label_panel = _draw_parts(example, view, image)
    elif example.joints3d is not None:
        points3d = np.where(
            example.joints3d[:, 3:] > 0, example.joints3d, np.nan
        )
        label_panel = _side_view(points3d, joints.KEYPOINTS, size)
    elif example.pose is not None:
        label_panel = _side_view(
            _joints_of_pose(example.pose), _SMPL_NAMES, size
        )
    return visualization.side_by_side([image_panel, label_panel])


def _view(example: schema.Example) -> tuple[float, float, float, float]:
    """The whole image, or a square around a person who is small in it."""
    full_image = (0.0, 0.0, float(example.width), float(example.height))
    person_square = crop.square_box(example.box, _ROOM)
    is_small = 2 * person_square[2] < min(full_image[2:])
    return person_square if is_small else crop.square_box(full_image)


def _draw_parts(example, view, image) -> np.ndarray:
    size = len(image)
    parts = cv2.imdecode(np.frombuffer(example.parts, np.uint8), 0)
    parts = cv2.warpAffine(
        parts, crop.crop_affine(view, size), (size, size), flags=0
    )
    colours = cv2.applyColorMap(parts * 17, cv2.COLORMAP_TURBO)[..., ::-1]
    blended = cv2.addWeighted(image, 0.3, np.ascontiguousarray(colours), 0.7, 0)
    return np.where(parts[..., None] > 0, blended, image)


def _joints_of_pose(pose: np.ndarray) -> np.ndarray:
    """(24, 3) SMPL joints in the camera's frame."""
    rotmats = Rotation.from_rotvec(np.reshape(pose, (-1, 3))).as_matrix()
    return kinematics.forward(rotmats[None], _rest_joints())[1][0]


@functools.cache
def _rest_joints() -> np.ndarray:
    """(24, 3) joints of the resting open body; close enough for others."""
    body = BodyData.load("open")
    return body.J_regressor @ body.v_template


def _side_view(
    points: np.ndarray, names: Sequence[str], size: int
) -> np.ndarray:
    """Draws joints (z, y), the camera to the left, on grey; NaN is missing."""
    points = points[:, [2, 1]]
    canvas = np.full((size, size, 3), 235, np.uint8)
    finite = points[np.isfinite(points).all(axis=1)]
    if not len(finite):
        return canvas
    centre = (finite.min(axis=0) + finite.max(axis=0)) / 2
    span = max(float(np.ptp(finite, axis=0).max()), 1e-6)
    panel_points = (points - centre) * (0.8 * size / span) + size / 2
    return rendering.skeleton(canvas, panel_points, names)
