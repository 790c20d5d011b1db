"""What original code computed, with the names of the weights it had."""

import json
import zlib

import numpy as np

from tests.support.paths import GOLDEN

_SEED = 1


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shape of each variable of the original `name` by its name there."""
    return {key: tuple(shape) for key, shape in variables(name).items()}


def variables(name: str) -> dict:
    """What the original's list of variables holds."""
    return json.loads((GOLDEN / name / "variables.json").read_text())


def golden(name: str) -> dict[str, np.ndarray]:
    """What the original code gave."""
    with np.load(GOLDEN / name / "golden.npz") as file:
        return dict(file)


def random_of(variable: str, seed: int = _SEED) -> np.random.RandomState:
    """The numbers that a variable is drawn from; each has its own seed."""
    return np.random.RandomState((zlib.crc32(variable.encode()) + seed) % 2**32)
