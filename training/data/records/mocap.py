"""Unpaired real poses and shapes: the adversary's examples of real people.

They are stored beside records, in `prior.npz` of a records folder.
"""

import os
import pathlib
from typing import NamedTuple

import numpy as np

from tf_hmr.formats import array_files, atomic
from training.data.records import schema

_EXPECTED = "pose (N, 72), betas (N, 10), the topology and maybe gender (N,)"
GENDERS = {"female": -1.0, "male": 1.0}
"""Genders as numbers; 0 is neutral or unknown."""
_NUMBERS = (0.0, *GENDERS.values())
_NAMES = ("pose", "betas", "topology", "gender")


class Prior(NamedTuple):
    """Poses and shapes of people without images.

    Attributes:
        pose: (N, 72) rotation vectors as in records.Example; the first, the
            global rotation, has no meaning.
        betas: (N, 10).
        topology: tag of the body they belong to.
        gender: (N,) by GENDERS, of the bodies that betas belong to; None
            where the file has no gender.
    """

    pose: np.ndarray
    betas: np.ndarray
    topology: str
    gender: np.ndarray | None = None


def write(folder: str | os.PathLike, prior: Prior) -> None:
    """Writes prior.npz under another name first: it is never incomplete.

    Raises:
        ValueError: wrong shapes, or values that are not finite.
    """
    pose = np.asarray(prior.pose, np.float32)
    betas = np.asarray(prior.betas, np.float32)
    shaped = pose.shape[1:] == schema.ARRAYS["pose"] and (
        betas.shape == (len(pose), schema.NUM_BETAS)
    )
    if not (shaped and np.isfinite(pose).all() and np.isfinite(betas).all()):
        raise ValueError(
            "Expected finite pose (N, 72) and betas (N, 10), received shapes "
            f"{pose.shape} and {betas.shape}, or values that are not finite."
        )
    arrays = {"pose": pose, "betas": betas, "topology": prior.topology}
    if prior.gender is not None:
        gender = arrays["gender"] = np.asarray(prior.gender, np.float32)
        if gender.shape != (len(pose),) or not np.isin(gender, _NUMBERS).all():
            raise ValueError(
                f"Expected gender ({len(pose)},) of {_NUMBERS}, received shape "
                f"{gender.shape}, or other numbers."
            )
    with atomic.replacing(path_of(folder)) as part:
        np.savez(part, **arrays)


def exists(folder: str | os.PathLike) -> bool:
    """Whether the folder has unpaired poses."""
    return path_of(folder).is_file()


def read(folder: str | os.PathLike) -> Prior:
    """Reads prior.npz of a records folder.

    Raises:
        FileNotFoundError: the folder has no prior.
        ValueError: its file is damaged.
    """
    path = path_of(folder)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: {folder} has no unpaired poses "
            "for the adversary. Choose another data.prior, or prepare this "
            "data set again."
        )
    cure = f"Delete {path} and prepare this data set again."
    stored = array_files.read_npz(path, _EXPECTED, cure)
    names = [name for name in _NAMES if name in stored]
    shapes = {name: stored[name].shape for name in names}
    count = len(stored["pose"]) if shapes.get("pose") else 0
    expected_shapes = {
        "pose": (count, *schema.ARRAYS["pose"]),
        "betas": (count, schema.NUM_BETAS),
        "topology": (),
    }
    if "gender" in shapes:  # Older files, and some sources, have none.
        expected_shapes["gender"] = (count,)
    if shapes != expected_shapes:
        raise ValueError(
            f"{path} holds arrays of the shapes {shapes}, expected "
            f"{_EXPECTED}. {cure}"
        )
    gender = stored["gender"] if "gender" in stored else None
    if gender is not None and not np.isin(gender, _NUMBERS).all():
        raise ValueError(
            f"{path} has genders other than {_NUMBERS}, which no body has. "
            f"{cure}"
        )
    return Prior(
        stored["pose"], stored["betas"], str(stored["topology"]), gender
    )


def path_of(folder: str | os.PathLike) -> pathlib.Path:
    """Path of prior.npz in a records folder."""
    return pathlib.Path(folder) / "prior.npz"
