"""The numbers of a female and a male body that belong together.

Nothing here imports TensorFlow; tf_hmr/body/pairs.py poses them.
"""

import dataclasses
from pathlib import Path

import numpy as np

from tf_hmr.body.data import BodyData

SEPARATOR = ","
"""Between the paths of two bodies."""


def is_pair(source: str | Path) -> bool:
    """Whether a source of bodies names two: no file has that name."""
    return SEPARATOR in str(source) and not Path(source).exists()


def load(source: str | Path, num_betas: int | None = None) -> BodyData:
    """Reads one body, or two: FEMALE,MALE.

    Args:
        source: as BodyData.load takes it, or two of them with a comma between.
        num_betas: as BodyData.load takes it.

    Raises:
        FileNotFoundError, ValueError: as of BodyData.load and `join`; or there
            are more than two.
    """
    if not is_pair(source):
        return BodyData.load(source, num_betas)
    names = str(source).split(SEPARATOR)
    if len(names) != 2 or not all(names):
        raise ValueError(
            f"{source}: expected the path of one body, or two with a comma "
            "between: FEMALE,MALE."
        )
    return join(*(BodyData.load(name, num_betas) for name in names))


def join(female: BodyData, male: BodyData) -> BodyData:
    """Joins two bodies: the female one, with the male one as its `male`.

    Raises:
        ValueError: they have other meshes, skeletons, keypoints or numbers of
            betas.
    """
    male.check_same_topology(female.topology, f"The body {female.name!r}")
    for name, values in {
        "joints": [data.joint_names for data in (female, male)],
        "numbers of betas": [data.num_betas for data in (female, male)],
        "keypoints": [set(d.keypoint_regressor) for d in (female, male)],
    }.items():
        if values[0] != values[1]:
            raise ValueError(
                f"The bodies {female.name!r} and {male.name!r} have other "
                f"{name}. Expected a female and a male body of one publisher, "
                "with the same files beside them."
            )
    name = f"{female.name}{SEPARATOR}{male.name}"
    return dataclasses.replace(female, name=name, male=male)


def choose(data: BodyData, shape: np.ndarray) -> tuple[BodyData, np.ndarray]:
    """The body that numbers of a shape are of, and its betas (P,).

    Args:
        data: of `load`.
        shape: (P,), or of two bodies (P + 1,) with the gender.
    """
    if data.male is None or len(shape) == data.num_betas:
        return data, shape
    *_, gender = shape
    return (data.male if gender > 0 else data), shape[:-1]
