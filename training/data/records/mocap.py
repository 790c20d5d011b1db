"""Unpaired real poses and shapes: what the adversary takes for human.

They are stored beside records, in `prior.npz` of a records folder.
"""

import os
import pathlib
from typing import NamedTuple

import numpy as np

from tf_hmr.formats import array_files

_EXPECTED = "pose (N, 72), betas (N, 10) and the topology"


class Prior(NamedTuple):
    """Poses of people of whom there is no picture.

    Attributes:
        pose: (N, 72) rotation vectors as in records.Example; the first, the
            global rotation, has no meaning.
        betas: (N, 10).
        topology: tag of the body they belong to.
    """

    pose: np.ndarray
    betas: np.ndarray
    topology: str


def write(folder: str | os.PathLike, prior: Prior) -> None:
    """Writes prior.npz, aside first, so that there is never half a file.

    Raises:
        ValueError: wrong shapes, or values that are not finite.
    """
    pose = np.asarray(prior.pose, np.float32)
    betas = np.asarray(prior.betas, np.float32)
    shaped = pose.shape[1:] == (72,) and betas.shape == (len(pose), 10)
    if not (shaped and np.isfinite(pose).all() and np.isfinite(betas).all()):
        raise ValueError(
            "Expected finite pose (N, 72) and betas (N, 10), received shapes "
            f"{pose.shape} and {betas.shape}, or values that are not finite."
        )
    aside = _path(folder).with_name("prior.tmp.npz")
    np.savez(aside, pose=pose, betas=betas, topology=prior.topology)
    os.replace(aside, _path(folder))


def exists(folder: str | os.PathLike) -> bool:
    """Whether the folder has unpaired poses."""
    return _path(folder).is_file()


def read(folder: str | os.PathLike) -> Prior:
    """Reads prior.npz of a records folder.

    Raises:
        FileNotFoundError: the folder has no prior.
        ValueError: its file is damaged.
    """
    path = _path(folder)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: {folder} has no unpaired poses "
            "for the adversary. Choose another data.prior, or prepare this "
            "data set again."
        )
    cure = f"Delete {path} and prepare this data set again."
    stored = array_files.read_npz(path, _EXPECTED, cure)
    shapes = {name: array.shape for name, array in stored.items()}
    count = len(stored["pose"]) if shapes.get("pose") else 0
    wanted = {"pose": (count, 72), "betas": (count, 10), "topology": ()}
    if shapes != wanted:
        raise ValueError(
            f"{path} holds arrays of the shapes {shapes}, expected "
            f"{_EXPECTED}. {cure}"
        )
    return Prior(stored["pose"], stored["betas"], str(stored["topology"]))


def _path(folder: str | os.PathLike) -> pathlib.Path:
    return pathlib.Path(folder) / "prior.npz"
