"""joints.mat of the Leeds Sports Pose datasets, and what they all share.

A variable `joints` of x, y and a flag, as (3, 14, N) or (14, 3, N): the
datasets differ (akanazawa/hmr: src/datasets/lsp_to_tfrecords.py). The
reference code takes the coordinates as they are, and so does this.
"""

from pathlib import Path

import numpy as np

from tf_hmr.geometry import crop
from training.data.formats import mat as mat_files

PEOPLE_PER_TASK = 32
_PERSON_PX = 150


def joints_of(path: Path, what: str, whom: str) -> np.ndarray:
    """The labels in the order joints.LSP14.

    Args:
        path: of joints.mat.
        what: it is, and which download holds it.
        whom: where to request it.

    Returns:
        (N, 14, 3) x, y pixels and the flag, whose meaning differs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another shape.
    """
    found = mat_files.read(path, "joints", what, whom)
    shape = getattr(found, "shape", ())
    if shape[:2] == (3, 14) and len(shape) == 3:
        found = found.transpose(2, 1, 0)
    elif shape[:2] == (14, 3) and len(shape) == 3:
        found = found.transpose(2, 0, 1)
    else:
        raise ValueError(
            f"{path} holds joints of the shape {shape}, expected (3, 14, N) "
            f"or (14, 3, N): {what}. Fetch it again from {whom}."
        )
    if not np.issubdtype(found.dtype, np.number):
        raise ValueError(
            f"{path} holds joints of the type {found.dtype}, expected "
            f"numbers: {what}. Fetch it again from {whom}."
        )
    return found.astype(np.float64)


def box_of_150_px(xy: np.ndarray, visible: np.ndarray) -> crop.Box | None:
    """The square that HMR crops 224 px around: 150 px of person.

    The publisher made people about 150 px long, and HMR's converter scales
    them no further (akanazawa/hmr: src/datasets/lsp_to_tfrecords.py).

    Args:
        xy: (14, 2) pixels.
        visible: (14,) bool.

    Returns:
        x, y, w, h around the middle of the visible joints; None if no joint
        is visible.
    """
    seen = xy[visible]
    if not len(seen):
        return None
    x, y = (seen.min(axis=0) + seen.max(axis=0)) / 2 + 0.5 - _PERSON_PX / 2
    return float(x), float(y), float(_PERSON_PX), float(_PERSON_PX)


def tight_box(xy: np.ndarray) -> crop.Box | None:
    """The box of all joints, which SPIN enlarges by 1.2; None if a point.

    Source: nkolot/SPIN: datasets/preprocess/lsp_dataset.py.
    """
    if not np.isfinite(xy).all() or not np.ptp(xy, axis=0).any():
        return None
    return crop.box_of_keypoints(xy, np.ones(len(xy)))
