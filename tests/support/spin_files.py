"""Checkpoints of the original SPIN, drawn from the names of its variables.

tests/golden/spin/README.md has the recipe and says what the original code
computed with such weights.
"""

import functools
import math

import numpy as np

from tests.support import golden_files, torch_writer

NAME = "spin"
shapes = functools.partial(golden_files.shapes, NAME)
golden = functools.partial(golden_files.golden, NAME)


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One entry; each name has its own seed."""
    random, last = golden_files.random_of(name), name.split(".")[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if last == "running_var":
        value = 1 + 0.2 * random.rand(*shape)
    elif last in ("bias", "running_mean"):
        value = 0.05 * random.randn(*shape)
    elif len(shape) == 1:
        value = 1 + 0.1 * random.randn(*shape)
    else:
        inputs = math.prod(shape[1:])
        scale = math.sqrt(2 / inputs)
        if name.endswith("conv3.weight"):
            scale *= 0.3
        if name.startswith("dec"):
            scale = 0.05 / math.sqrt(inputs)
        value = scale * random.randn(*shape)
    return value.astype(np.float32)


def weights() -> dict[str, np.ndarray]:
    """The whole state_dict."""
    arrays = golden()
    return {
        name: arrays[name].reshape(shape)
        if name.startswith("init")
        else draw(name, shape)
        for name, shape in shapes().items()
    }


def images() -> np.ndarray:
    """(2, 224, 224, 3) float32, normalised as the original's input."""
    pixels = (
        golden_files.random_of("images")
        .randn(2, 3, 224, 224)
        .astype(np.float32)
    )
    return pixels.transpose(0, 2, 3, 1)


def checkpoint(state: dict[str, np.ndarray]) -> dict:
    """What the original's saver writes (nkolot/SPIN: utils/saver.py)."""
    key = len(state)
    moments = torch_writer.Tensor(np.ones(3, np.float32), key)
    return {
        "model": torch_writer.tensors(state),
        "optimizer": {"state": {7: {"exp_avg": moments}}, "param_groups": []},
        "epoch": 64,
        "batch_idx": 12,
        "batch_size": 64,
        "dataset_perm": np.arange(5),
        "total_step_count": 5000,
    }
