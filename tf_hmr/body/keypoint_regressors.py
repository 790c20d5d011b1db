"""Rows that turn a body's vertices into the keypoints of joints.KEYPOINTS.

Each kind of body stores them differently: the open body in its own file, HMR's
SMPL pickle under `cocoplus_regressor`, SMPL with SPIN's files in two .npy in
the same folder and a few vertex ids. A keypoint that is in no file is left
out; `missing` explains who publishes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from tf_hmr import joints
from tf_hmr.formats import array_files

EXTRA_FILE = "J_regressor_extra.npy"
H36M_FILE = "J_regressor_h36m.npy"

# The last nine rows of every version of the extra file, with the names of
# nkolot/SPIN: constants.py; the four of HMR's joints are named as in KEYPOINTS.
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
# one, unlike H36M17 (nkolot/GraphCMR: data/; its weights lie there).
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
_BODY_CURE = (
    "The file is damaged or mixes two bodies: fetch it again from its "
    "publisher, or write it again with BodyData.save."
)
SKELETON_LIMBS = tuple(
    f"{side}_{limb}"
    for limb in ("ankle", "knee", "wrist", "elbow", "shoulder")
    for side in ("left", "right")
)
"""Keypoints that SPIN takes from the skeleton."""

_EXTRA_PUBLISHER = (
    f"{EXTRA_FILE} from the SPIN release (nkolot/SPIN: fetch_data.sh), or "
    "neutral_smpl_with_cocoplus_reg.pkl from HMR's (akanazawa/hmr: "
    "models.tar.gz)"
)
_H36M_PUBLISHER = (
    f"{H36M_FILE} from the SPIN release (nkolot/SPIN: fetch_data.sh)"
)


def of_open_body(raw: Mapping[str, Any], path: Path) -> dict[str, np.ndarray]:
    """Reads rows by name from the arrays of the open body's own file.

    Args:
        raw: the file's arrays.
        path: the file, for messages.

    Raises:
        ValueError: names and rows do not fit each other or the vertices.
    """
    vertices = len(raw["v_template"])

    def read_rows(names_key: str, rows_key: str) -> dict[str, np.ndarray]:
        names = _texts(raw, names_key, path)
        rows = _rows(raw, rows_key, len(names), vertices, path)
        return dict(zip(names, rows, strict=True))

    if "keypoint_names" in raw:
        return read_rows("keypoint_names", "keypoint_regressor")
    rows: dict[str, np.ndarray] = {}
    for names_key, rows_key in (
        ("h36m_names", "J_regressor_h36m"),
        # Read last, so that these rows replace those of the same name.
        ("cocoplus_names", "J_regressor_cocoplus"),
    ):
        if names_key in raw:
            rows |= read_rows(names_key, rows_key)
    if "vertex_names" in raw:
        names = _texts(raw, "vertex_names", path)
        ids = _ids(raw, "vertex_ids", len(names), vertices, path)
        rows |= {
            name: _one_vertex(index, vertices)
            for name, index in zip(names, ids, strict=True)
            if name in joints.FEET6
        }
    return {name: rows[name] for name in joints.KEYPOINTS if name in rows}


def of_smpl(
    raw: Mapping[str, Any], path: Path, joint_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Reads rows by name from an official SMPL file and SPIN's files by it.

    HMR's own 19 rows are used if the pickle holds them. Otherwise, as in
    nkolot/SPIN: models/smpl.py, hips, neck and head top come from SPIN's file,
    the face from single vertices, and the limbs are the skeleton's joints:
    their rows are those of SMPL's joint regressor, which is how
    BodyData.skeleton_keypoints knows them.

    Args:
        raw: the file's arrays.
        path: the file.
        joint_names: names of the rows of its joint regressor.

    Raises:
        ValueError: a limb is no joint of the body; or a regressor, in this
            file or beside it, is damaged or has another shape than expected.
    """
    folder, vertices = path.parent, len(raw["v_template"])
    skeleton = _dense(raw["J_regressor"])
    rows = {
        name: _one_vertex(index, vertices)
        for name, index in _SMPL_VERTICES.items()
    }
    index = list(joints.select(SKELETON_LIMBS, of=joint_names))
    rows |= dict(zip(SKELETON_LIMBS, skeleton[index], strict=True))
    if "cocoplus_regressor" in raw:
        names = joints.COCOPLUS19
        cocoplus = _rows(raw, "cocoplus_regressor", len(names), vertices, path)
        rows |= zip(names, cocoplus, strict=True)
    elif (folder / EXTRA_FILE).is_file():
        extra = _stored_rows(folder / EXTRA_FILE, len(_EXTRA9), vertices)
        rows |= dict(zip(_EXTRA9, extra, strict=True))
    if (folder / H36M_FILE).is_file():
        h36m = _stored_rows(folder / H36M_FILE, len(_H36M_STORED), vertices)
        h36m_rows = dict(zip(_H36M_STORED, h36m, strict=True))
        rows |= {name: h36m_rows[name] for name in _H36M_NAMES}
    return {name: rows[name] for name in joints.KEYPOINTS if name in rows}


def h36m(
    raw: Mapping[str, Any], path: Path, use_spin_file: bool
) -> np.ndarray | None:
    """Reads rows (17, V) of joints.H36M17 from the body file or SPIN's file.

    Args:
        raw: the body file's arrays.
        path: the body file.
        use_spin_file: whether to read SPIN's file, J_regressor_h36m.npy in
            the same folder, if the body file has no rows: only SMPL fits it.

    Returns:
        The rows; None if neither file holds them.

    Raises:
        ValueError: they are damaged.
    """
    vertices, stored = len(raw["v_template"]), None
    if "h36m_names" in raw:
        names = _texts(raw, "h36m_names", path)
        stored = _rows(raw, "J_regressor_h36m", len(names), vertices, path)
    elif use_spin_file and (path.parent / H36M_FILE).is_file():
        names = list(_H36M_STORED)
        stored = _stored_rows(path.parent / H36M_FILE, len(names), vertices)
    if stored is None or set(names) != set(joints.H36M17):
        return None
    return stored[list(joints.select(joints.H36M17, of=names))]


def missing_h36m(body: str) -> str:
    """Explains which file would give an SMPL body Human3.6M's joints."""
    return (
        f"The body {body!r} has no regressor of Human3.6M's 17 joints. Put "
        f"this beside its model file: {_H36M_PUBLISHER}."
    )


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
    remedy = "; ".join(cures)
    return (
        f"The body {body!r} has no keypoint regressor for {names}. "
        f"Put this beside its model file: {remedy}."
    )


def _stored_rows(path: Path, count: int, vertices: int) -> np.ndarray:
    expected = f"at least {count} rows of {vertices} finite numbers"
    cure = "Fetch it again from the SPIN release (nkolot/SPIN: fetch_data.sh)."
    stored = array_files.read_npy(path, expected, cure)
    if stored.ndim != 2 or stored.shape[1] != vertices or len(stored) < count:
        raise ValueError(
            f"{path} has shape {stored.shape}, expected {expected}. {cure}"
        )
    if stored.dtype.kind != "f" or not np.isfinite(stored).all():
        raise ValueError(
            f"{path} holds {stored.dtype} and not only finite numbers, "
            f"expected {expected}. {cure}"
        )
    return stored[-count:]


def _rows(
    raw: Mapping[str, Any], key: str, count: int, vertices: int, path: Path
) -> np.ndarray:
    """Reads the regressor `key` of a body file, one row for each name."""
    rows = _dense(_entry(raw, key, path))
    if rows.shape != (count, vertices):
        raise _unfit(path, key, rows, f"({count}, {vertices})")
    return rows


def _texts(raw: Mapping[str, Any], key: str, path: Path) -> list[str]:
    names = np.asarray(raw[key])
    if names.ndim != 1 or len(set(names.tolist())) != len(names):
        raise _unfit(path, key, names, "a list of different names")
    return [str(name) for name in names]


def _ids(
    raw: Mapping[str, Any], key: str, count: int, vertices: int, path: Path
) -> np.ndarray:
    ids = np.asarray(_entry(raw, key, path))
    are_integers = ids.shape == (count,) and ids.dtype.kind in "iu"
    if not are_integers or not ((ids >= 0) & (ids < vertices)).all():
        expected = f"({count},) whole numbers from 0 to {vertices - 1}"
        raise _unfit(path, key, ids, expected)
    return ids


def _entry(raw: Mapping[str, Any], key: str, path: Path) -> Any:
    if key not in raw:
        raise ValueError(f"{path} lacks {key}. {_BODY_CURE}")
    return raw[key]


def _unfit(
    path: Path, key: str, array: np.ndarray, expected: str
) -> ValueError:
    return ValueError(
        f"{key} of {path} has shape {array.shape} and type {array.dtype}, "
        f"expected {expected}. {_BODY_CURE}"
    )


def _one_vertex(index: int, vertices: int) -> np.ndarray:
    row = np.zeros(vertices, np.float32)
    row[index] = 1
    return row


def _dense(matrix: Any) -> np.ndarray:
    if scipy.sparse.issparse(matrix):
        matrix = matrix.toarray()
    return np.asarray(matrix)
