"""Rows that turn a body's vertices into the keypoints of joints.KEYPOINTS.

Each kind of body names its keypoints elsewhere: the open body in its own
file, HMR's SMPL pickle under `cocoplus_regressor`, SMPL with SPIN's files in
two .npy beside it plus a few vertex ids. A name that no file gives is left
out; `missing` says who publishes it, when somebody asks for it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from tf_hmr import joints

EXTRA_FILE = "J_regressor_extra.npy"
H36M_FILE = "J_regressor_h36m.npy"

# The last nine rows of every version of the extra file, with the names of
# nkolot/SPIN: constants.py; the four that HMR's joints need are named ours.
_EXTRA9 = (
    "right_hip",
    "left_hip",
    "neck",
    "head_top",
    "mpii_pelvis",
    "mpii_thorax",
    "h36m_spine",
    "h36m_jaw",
    "h36m_head",
)
# The public file has the LEFT leg first and the left arm before the right
# one, unlike H36M17 (akanazawa/cmr: data/, verified by where its weights lie).
_H36M_STORED = (
    "pelvis",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_hip",
    "right_knee",
    "right_ankle",
    "spine",
    "thorax",
    "neck_nose",
    "head_top",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)
_H36M_NAMES = ("pelvis", "spine", "thorax", "neck_nose")
# vchoutas/smplx: smplx/vertex_ids.py, entry `smplh`, valid for SMPL too.
_SMPL_VERTICES = {
    "nose": 332,
    "right_eye": 6260,
    "left_eye": 2800,
    "right_ear": 4071,
    "left_ear": 583,
    "left_big_toe": 3216,
    "left_small_toe": 3226,
    "left_heel": 3387,
    "right_big_toe": 6617,
    "right_small_toe": 6624,
    "right_heel": 6787,
}
_SKELETON_LIMBS = ("ankle", "knee", "wrist", "elbow", "shoulder")

_EXTRA_PUBLISHER = (
    f"{EXTRA_FILE} from the SPIN release (nkolot/SPIN: fetch_data.sh), or "
    "neutral_smpl_with_cocoplus_reg.pkl from HMR's (akanazawa/hmr: "
    "models.tar.gz)"
)
_H36M_PUBLISHER = (
    f"{H36M_FILE} from the SPIN release (nkolot/SPIN: fetch_data.sh)"
)


def of_open_body(raw: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Rows by name from the arrays of the open body's own file."""
    rows: dict[str, np.ndarray] = {}
    if "keypoint_names" in raw:
        names = [str(name) for name in raw["keypoint_names"]]
        return dict(zip(names, _dense(raw["keypoint_regressor"]), strict=True))
    for names_key, rows_key in (
        ("h36m_names", "J_regressor_h36m"),
        ("cocoplus_names", "J_regressor_cocoplus"),  # wins where both name it
    ):
        if names_key in raw:
            names = [str(name) for name in raw[names_key]]
            rows |= zip(names, _dense(raw[rows_key]), strict=True)
    if "vertex_names" in raw:
        ids = zip(map(str, raw["vertex_names"]), raw["vertex_ids"], strict=True)
        vertices = len(raw["v_template"])
        rows |= {
            name: _one_vertex(index, vertices)
            for name, index in ids
            if name in joints.FEET6
        }
    return {name: rows[name] for name in joints.KEYPOINTS if name in rows}


def of_smpl(raw: Mapping[str, Any], folder: Path) -> dict[str, np.ndarray]:
    """Rows by name from an official SMPL file and the files beside it.

    HMR's own 19 rows win where the pickle holds them; else the limbs come
    from SMPL's joint regressor, hips, neck and head top from SPIN's file and
    the face from single vertices, as nkolot/SPIN: models/smpl.py does.

    Raises:
        ValueError: a file beside the model has an unexpected shape.
    """
    vertices = len(raw["v_template"])
    skeleton = _dense(raw["J_regressor"])
    rows = {
        name: _one_vertex(index, vertices)
        for name, index in _SMPL_VERTICES.items()
    }
    for limb in _SKELETON_LIMBS:
        for name in (f"left_{limb}", f"right_{limb}"):
            rows[name] = skeleton[joints.SMPL24.index(name)]
    if "cocoplus_regressor" in raw:
        cocoplus = _dense(raw["cocoplus_regressor"])
        rows |= zip(joints.COCOPLUS19, cocoplus, strict=True)
    elif (folder / EXTRA_FILE).is_file():
        extra = _stored_rows(folder / EXTRA_FILE, len(_EXTRA9), vertices)
        rows |= dict(zip(_EXTRA9, extra, strict=True))
    if (folder / H36M_FILE).is_file():
        h36m = _stored_rows(folder / H36M_FILE, len(_H36M_STORED), vertices)
        named = dict(zip(_H36M_STORED, h36m, strict=True))
        rows |= {name: named[name] for name in _H36M_NAMES}
    return {name: rows[name] for name in joints.KEYPOINTS if name in rows}


def missing(names: Iterable[str], body: str) -> str:
    """Explains which file would give `names` to an SMPL body."""
    names = list(names)
    cures = []
    if any(name in joints.COCOPLUS19 for name in names):
        cures.append(_EXTRA_PUBLISHER)
    if any(name in _H36M_NAMES for name in names):
        cures.append(_H36M_PUBLISHER)
    if any(name in joints.FEET6 for name in names):
        cures.append("a body file with the keypoints of the feet")
    cure = "; ".join(cures)
    return (
        f"The body {body!r} has no keypoint regressor for {names}. "
        f"Put this beside its model file: {cure}."
    )


def _stored_rows(path: Path, count: int, vertices: int) -> np.ndarray:
    stored = np.load(path, allow_pickle=False)
    if stored.ndim != 2 or stored.shape[1] != vertices or len(stored) < count:
        raise ValueError(
            f"{path} has shape {stored.shape}, expected at least {count} rows "
            f"of {vertices} vertices. Fetch it again from its publisher."
        )
    return stored[-count:]


def _one_vertex(index: int, vertices: int) -> np.ndarray:
    row = np.zeros(vertices, np.float32)
    row[index] = 1
    return row


def _dense(matrix: Any) -> np.ndarray:
    if scipy.sparse.issparse(matrix):
        matrix = matrix.toarray()
    return np.asarray(matrix)
