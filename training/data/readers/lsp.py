"""joints.mat of the Leeds Sports Pose datasets, and their common boxes.

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


def read_joints(path: Path, contents: str, source: str) -> np.ndarray:
    """Reads the labels in the order joints.LSP14.

    Args:
        path: path of joints.mat.
        contents: what the file is, and which download holds it.
        source: where to request it.

    Returns:
        (N, 14, 3) x, y pixels and the flag, whose meaning differs.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is damaged, or the labels have another shape.
    """
    labels = mat_files.read(path, "joints", contents, source)
    shape = getattr(labels, "shape", ())
    if shape[:2] == (3, 14) and len(shape) == 3:
        labels = labels.transpose(2, 1, 0)
    elif shape[:2] == (14, 3) and len(shape) == 3:
        labels = labels.transpose(2, 0, 1)
    else:
        raise ValueError(
            f"{path} holds joints of the shape {shape}, expected (3, 14, N) "
            f"or (14, 3, N): {contents}. Fetch it again from {source}."
        )
    if not np.issubdtype(labels.dtype, np.number):
        raise ValueError(
            f"{path} holds joints of the type {labels.dtype}, expected "
            f"numbers: {contents}. Fetch it again from {source}."
        )
    return labels.astype(np.float64)


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
    visible_xy = xy[visible]
    if not len(visible_xy):
        return None
    x, y = (
        (visible_xy.min(axis=0) + visible_xy.max(axis=0)) / 2
        + 0.5
        - _PERSON_PX / 2
    )
    return float(x), float(y), float(_PERSON_PX), float(_PERSON_PX)


def tight_box(xy: np.ndarray) -> crop.Box | None:
    """The box of all joints, which SPIN enlarges by 1.2; None if it is empty.

    Source: nkolot/SPIN: datasets/preprocess/lsp_dataset.py.
    """
    if not np.isfinite(xy).all() or not np.ptp(xy, axis=0).any():
        return None
    return crop.box_of_keypoints(xy, np.ones(len(xy)))
