"""Finds body files and reads them into a plain dict of arrays."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tf_hmr import unpickle

OPEN_BODY = Path(__file__).parent / "assets" / "open_body" / "open_body.npz"
MEAN_FILE = "smpl_mean_params.npz"

# In order of preference: HMR's file also holds the keypoint regressor that
# HMR's and SPIN's weights were trained with.
NEUTRAL_FILES = ("neutral_smpl_with_cocoplus_reg.pkl", "SMPL_NEUTRAL.pkl")
_PUBLISHERS = (
    "SMPL_NEUTRAL.pkl comes from https://smpl.is.tue.mpg.de (register, then "
    "rename basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl), "
    "neutral_smpl_with_cocoplus_reg.pkl from akanazawa/hmr (models.tar.gz)"
)
REQUIRED = (
    "v_template",
    "shapedirs",
    "posedirs",
    "J_regressor",
    "weights",
    "kintree_table",
    "f",
)


def find(source: str | Path) -> Path:
    """The body file that `source` means: "open", a file or an SMPL folder.

    Raises:
        FileNotFoundError: there is none; the message says who publishes it.
    """
    if str(source) == "open":
        return OPEN_BODY
    path = Path(source)
    if path.is_dir():
        for name in NEUTRAL_FILES:
            if (path / name).is_file():
                return path / name
        raise FileNotFoundError(
            f"The folder {path} holds no body: expected one of "
            f"{list(NEUTRAL_FILES)}. {_PUBLISHERS}."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no body file {path}. Give 'open' for the body that "
            "ships with tf_hmr, an SMPL .pkl, a folder with one, or an .npz. "
            f"{_PUBLISHERS}."
        )
    return path


def read(path: Path) -> dict[str, Any]:
    """Reads a `.pkl` or `.npz` body file, with all keys a body needs.

    Raises:
        ValueError: another kind of file, a damaged one, a refused pickle, or
            a missing key.
    """
    if path.suffix == ".pkl":
        raw = unpickle.load(path)
    elif path.suffix == ".npz":
        raw = _read_npz(path)
    else:
        raise ValueError(
            f"{path} is no body file: expected SMPL's .pkl or an .npz with "
            f"the keys {list(REQUIRED)}."
        )
    absent = [key for key in REQUIRED if key not in raw]
    if absent:
        raise ValueError(
            f"{path} lacks {absent}, which a body needs; it holds "
            f"{sorted(raw)}. Expected a file with SMPL's keys: fetch it again "
            "from its publisher, or write it with BodyData.save."
        )
    return raw


def read_mean(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """SPIN's mean pose (144,) and betas (10,) beside a body, or None."""
    path = folder / MEAN_FILE
    if not path.is_file():
        return None
    raw = _read_npz(path)
    absent = {"pose", "shape"} - set(raw)
    if absent:
        raise ValueError(
            f"{path} lacks {sorted(absent)}; expected pose (144,) and shape "
            "(10,). Fetch it again from the SPIN release (nkolot/SPIN)."
        )
    return raw["pose"], raw["shape"]


def fingerprint(faces: np.ndarray) -> str:
    """SHA-256 of a triangle list (F, 3), whatever its order.

    Each triangle starts at its smallest vertex id and keeps its sense of
    rotation; the triangles are sorted.
    """
    faces = np.asarray(faces, np.int64)
    start = np.argmin(faces, axis=1)[:, None]
    turned = np.take_along_axis(faces, (start + np.arange(3)) % 3, axis=1)
    ordered = turned[np.lexsort(turned.T[::-1])]
    return hashlib.sha256(ordered.astype("<i4").tobytes()).hexdigest()


def _read_npz(path: Path) -> Mapping[str, Any]:
    try:
        # Plain arrays only: allow_pickle would let a file run code.
        with (
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            return {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} could not be read as an .npz of plain arrays: {error}. "
            "It may be damaged or hold pickled objects; fetch it again, or "
            "load the .pkl it came from and write it with BodyData.save."
        ) from error
