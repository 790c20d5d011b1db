"""Weights and inputs of the original SMPLR, drawn from their names.

tests/golden/smplr/README.md has the recipe and says what the original code
computed with them.
"""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from tests.support import golden_files
from tf_hmr.body.data import BodyData
from tf_hmr.geometry import rotations

NAME = "smplr"
golden = functools.partial(golden_files.golden, NAME)
GRAPHS = ("dae", "shape", "pose", "shn")
CUBE_M = 2.5
_CONV_SCALES = {"conv_1": 0.1, "ll": 0.5, "out": 0.8, "out_": 0.25}
# Lengths that the original subtracts, metres (meysam-madadi/SMPLR:
# Models/smplr.py); in the order of joints.SMPLR41.
BONE_TEMPLATE = np.array(
    """
    .1148 .1127 .1056 .3656 .3725 .1277 .3860 .3862 .0565 .1289 .1286 .2141
    .1446 .1451 .0801 .0913 .0955 .2530 .2472 .2382 .2454 .0813 .0814
    .1461 .1390 .1461 .1800 .1817 .1639 .1663 .1886 .1877 .0672 .0666 .0772
    .1203 .0927 .1423 .0912 .0814 .1187
    """.split(),
    np.float32,
)


def shapes(graph: str) -> dict[str, tuple[int, ...]]:
    """Shape of each variable of one of GRAPHS, in the order of its making."""
    listed = golden_files.variables(NAME)[graph]
    return {name: tuple(shape) for name, shape in listed}


def draw(name: str, shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """The value of one variable."""
    random, last = golden_files.random_of(name, seed), name.split("/")[-1]
    if last == "gamma":
        value = 1 + 0.1 * random.randn(*shape)
    elif last == "moving_variance":
        value = 1 + 0.2 * random.rand(*shape)
    elif last.split("_")[0] == "weights":
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        value = scale * _factor(name) * random.randn(*shape)
    else:
        value = 0.05 * random.randn(*shape)
    return value.astype(np.float32)


def _factor(name: str) -> float:
    """Keeps sums of residuals small."""
    *scopes, last = name.split("/")
    if scopes:
        return _CONV_SCALES.get(scopes[-1], 1.0)
    # The third convolution of each residual; the first has no number.
    number = int(last.split("_")[1]) if "_" in last else 0
    return 0.3 if number % 3 == 2 else 1.0


def weights(graph: str, seed: int = 1) -> dict[str, np.ndarray]:
    """All variables of one of GRAPHS."""
    return {
        name: draw(name, shape, seed) for name, shape in shapes(graph).items()
    }


def inputs(seed: int = 1) -> dict[str, np.ndarray]:
    """What the original was given, float32, and its images as `image`."""

    def random(name):
        return golden_files.random_of(f"input/{name}", seed)

    points = random("points").uniform(-0.9, 0.9, (2, 41, 3))
    points[1, 5] = (1.4, 0, 0)
    betas = random("betas").randn(4, 11)
    betas[:, 10] = (-1, 1, -0.2, 0)
    rotvecs = 0.4 * random("rotations").randn(4, 24, 3)
    blocks = random("image").randn(2, 16, 16, 3).repeat(16, 1).repeat(16, 2)
    noise = random("noise").randn(2, 256, 256, 3)
    arrays = {
        "in_joints": 0.3 * random("joints").randn(4, 123),
        "in_train_joints": 0.3 * random("train_joints").randn(16, 123),
        "in_points": points,
        "in_betas": betas,
        "in_rotations": rotations.rotvec_to_rotmat(tf.constant(rotvecs)),
        "image": blocks + 0.25 * noise,
    }
    return {
        name: np.asarray(value, np.float32) for name, value in arrays.items()
    }


def bodies() -> tuple[BodyData, BodyData]:
    """The woman's body, and a larger and more alike man's."""
    female = BodyData.load("open")
    male = dataclasses.replace(
        female,
        name="male",
        v_template=1.06 * female.v_template,
        shapedirs=0.9 * female.shapedirs,
    )
    return female, male
