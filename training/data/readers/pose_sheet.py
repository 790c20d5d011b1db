"""Contact sheets of poses without images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints, rendering
from tf_hmr.formats import image_writing
from training import visualization
from training.data.synthetic import kinematics

PANEL_PX = 160
COLUMNS = 6
POSES = 24
_SPAN_M = 2.2  # height of a panel
# The drawn skeleton ends at the top of the head.
_NAMES = tuple("head_top" if n == "head" else n for n in joints.SMPL24)


def write(
    path: Path,
    poses: np.ndarray,
    rest: np.ndarray,
    captions: Sequence[str] | None = None,
) -> None:
    """Draws poses as stick figures, from the front and from their left.

    Args:
        path: path of the PNG.
        poses: (N, 72) rotation vectors; the global rotation is ignored.
        rest: (24, 3) joints of the resting body, metres, y up.
        captions: one text per pose, which draws all poses; without captions
            POSES of them are drawn with their numbers.
    """
    count = len(captions) if captions else POSES
    rows = np.linspace(0, len(poses) - 1, count).round().astype(int)
    rows = list(dict.fromkeys(rows.tolist()))
    rotvecs = np.asarray(poses, np.float64)[rows]
    rotvecs = rotvecs.reshape(len(rows), -1, 3).copy()
    rotvecs[:, 0] = 0
    rotmats = Rotation.from_rotvec(rotvecs.reshape(-1, 3)).as_matrix()
    _, positions = kinematics.forward(rotmats.reshape(*rotvecs.shape, 3), rest)
    texts = captions or list(map(str, rows))
    cells = [
        (text, _draw(joint_positions))
        for text, joint_positions in zip(texts, positions, strict=True)
    ]
    image_writing.write(path, visualization.sheet(cells, columns=COLUMNS))


def _draw(positions: np.ndarray) -> np.ndarray:
    scale = PANEL_PX / _SPAN_M
    views = []
    # Seen from the front, left is on our right; from its left it looks left.
    for across in (positions[:, 0], -positions[:, 2]):
        points = np.stack([across, -positions[:, 1]], axis=1)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        canvas = np.full((PANEL_PX, PANEL_PX, 3), 235, np.uint8)
        pixels = (points - middle) * scale + PANEL_PX / 2
        views.append(rendering.skeleton(canvas, pixels, _NAMES))
    return visualization.side_by_side(views)
