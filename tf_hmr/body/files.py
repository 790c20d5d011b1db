"""Finds body files and reads them into a plain dict of arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.formats import (
    array_files,
    hdf5_files,
    system_limits,
    unpickle,
    wording,
)

OPEN_BODY = Path(__file__).parents[1] / "assets" / "open_body" / "open_body.npz"
MEAN_FILE = "smpl_mean_params.npz"
HMR_MEAN_FILE = "neutral_smpl_mean_params.h5"
# The schemas of SPIN's and HMR's file, whatever the body beside it.
_MEAN_SIZES = {"pose": 6 * len(joints.SMPL24), "shape": 10}
_HMR_MEAN_SIZES = {"pose": 3 * len(joints.SMPL24), "shape": 10}

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
    """Finds the body file of `source`: "open", a file or an SMPL folder.

    Raises:
        FileNotFoundError: there is no body; the message says who publishes it.
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
        raw = array_files.read_npz(
            path,
            "an .npz of a body's arrays",
            "Fetch it again, or load the .pkl it came from and write it with "
            "BodyData.save.",
        )
    else:
        raise ValueError(
            f"{path} is no body file: expected SMPL's .pkl or an .npz with "
            f"the keys {list(REQUIRED)}."
        )
    missing = [key for key in REQUIRED if key not in raw]
    if missing:
        raise ValueError(
            f"{path} lacks {missing}, which a body needs; it holds "
            f"{wording.few(sorted(raw))}. Expected a file with SMPL's keys: "
            "fetch it again from its publisher, or write it with "
            "BodyData.save."
        )
    return raw


def read_mean(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Reads the mean pose (144,) and betas (10,) beside a body, or None.

    SPIN's file stores the pose as here, interleaved 6D. Without it HMR's is
    read, whose pose is 72 numbers of rotation vectors.

    Raises:
        ValueError: the file is damaged, or has other contents.
    """
    if (folder / MEAN_FILE).is_file():
        return _read_spin_mean(folder / MEAN_FILE)
    if (folder / HMR_MEAN_FILE).is_file():
        return _read_hmr_mean(folder / HMR_MEAN_FILE)
    return None


def _read_spin_mean(path: Path) -> tuple[np.ndarray, np.ndarray]:
    expected = _mean_contents(_MEAN_SIZES)
    cure = "Fetch it again from the SPIN release (nkolot/SPIN: fetch_data.sh)."
    raw = array_files.read_npz(path, expected, cure)
    missing = set(_MEAN_SIZES) - set(raw)
    if missing:
        raise ValueError(
            f"{path} lacks {sorted(missing)}; expected {expected}. {cure}"
        )
    _check_mean(path, raw, _MEAN_SIZES, cure)
    return raw["pose"], raw["shape"]


def _read_hmr_mean(path: Path) -> tuple[np.ndarray, np.ndarray]:
    expected = _mean_contents(_HMR_MEAN_SIZES)
    cure = "Fetch it again from HMR's release (akanazawa/hmr: models.tar.gz)."
    try:
        with hdf5_files.open_file(path) as file:
            raw = {
                key: hdf5_files.read(file, file[key]) for key in _HMR_MEAN_SIZES
            }
    except hdf5_files.DAMAGE as error:
        system_limits.check(error, path)
        raise ValueError(
            f"{path} could not be read ({error}), expected {expected}. {cure}"
        ) from error
    _check_mean(path, raw, _HMR_MEAN_SIZES, cure)
    turns = Rotation.from_rotvec(raw["pose"].reshape(-1, 3)).as_matrix()
    return turns[:, :, :2].reshape(-1), raw["shape"]


def _mean_contents(sizes: Mapping[str, int]) -> str:
    texts = [f"{key} ({size},)" for key, size in sizes.items()]
    return f"finite {' and '.join(texts)}"


def _check_mean(
    path: Path, raw: Mapping[str, Any], sizes: Mapping[str, int], cure: str
) -> None:
    expected = _mean_contents(sizes)
    for key, size in sizes.items():
        stored = raw[key]
        if stored.shape != (size,) or stored.dtype.kind != "f":
            raise ValueError(
                f"{key} of {path} has shape {stored.shape} and type "
                f"{stored.dtype}, expected {expected}. {cure}"
            )
        if not np.isfinite(stored).all():
            raise ValueError(
                f"{key} of {path} is not finite, expected {expected}. {cure}"
            )
