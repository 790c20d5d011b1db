"""Checkpoints of the original HMR, drawn from the names of its variables.

tests/golden/hmr_tf1/README.md has the recipe and says what the original code
computed with such weights.
"""

import functools
import math
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tests.support import golden_files
from tf_hmr import joints
from tf_hmr.body.data import BodyData

NAME = "hmr_tf1"
shapes = functools.partial(golden_files.shapes, NAME)
golden = functools.partial(golden_files.golden, NAME)


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of one variable; each name has its own seed."""
    random = golden_files.random_of(name)
    last = name.split("/")[-1]
    if last == "mean_param":
        value = np.zeros(shape)
        value[0, 0], value[0, 3] = 0.9, np.pi
        value[0, 6:] += 0.05 * random.randn(79)
    elif last == "gamma":
        value = 1 + 0.1 * random.randn(*shape)
    elif last == "moving_variance":
        value = 1 + 0.2 * random.rand(*shape)
    elif last == "weights":
        inputs = math.prod(shape[:-1])
        scale = math.sqrt(2 / inputs)
        if name.endswith("bottleneck_v2/conv3/weights"):
            scale *= 0.3
        if name == "3D_module/fc3/weights":
            scale = 0.05 / math.sqrt(inputs)
        value = scale * random.randn(*shape)
    else:
        value = 0.05 * random.randn(*shape)
    return value.astype(np.float32)


def images() -> np.ndarray:
    """(2, 224, 224, 3) float32 in [-1, 1], the original's input range."""
    random = np.random.RandomState(8)
    return (2 * random.rand(2, 224, 224, 3) - 1).astype(np.float32)


def constants(body: BodyData) -> dict[str, np.ndarray]:
    """The body's arrays as the original keeps them among its variables."""
    vertices = body.num_vertices
    return {
        "v_template": body.v_template,
        "shapedirs": body.shapedirs.reshape(3 * vertices, -1).T,
        "posedirs": body.posedirs.reshape(-1, 3 * vertices),
        "J_regressor": body.J_regressor.T,
        "lbs_weights": body.weights,
        "cocoplus_regressor": body.regressor(joints.COCOPLUS19).T,
    }


def weights(body: BodyData) -> dict[str, np.ndarray]:
    """All variables of the original graph, without the training's."""
    fixed = constants(body)
    return {
        name: fixed[name] if name in fixed else draw(name, shape)
        for name, shape in shapes().items()
    }


def training_state(names) -> dict[str, np.ndarray]:
    """What the original's two optimisers and its step counter leave."""
    state = {
        f"{name}/{slot}": np.ones(1, np.float32)
        for name in names
        for slot in ("Adam", "Adam_1")
    }
    powers = ("beta1_power", "beta2_power", "beta1_power_1", "beta2_power_1")
    state |= {name: np.float32(0.5) for name in powers}
    return state | {"global_step": np.int64(667589)}


def write(prefix: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint as TensorFlow 1's Saver does, without .meta."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(value) for value in arrays.values()],
    )
