"""A small, untrained HMR that answers to its image."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr import method
from tf_hmr.body.model import Body


def save(body: Body, folder: Path) -> None:
    """Writes its model folder, which exists."""
    tf.keras.utils.set_random_seed(7)
    model = method.create(
        "hmr",
        body,
        image_size=64,
        encoder="small",
        features="layout",
        rotation="6d",
        hidden=32,
    )
    # Untrained, the last layer is all but zero: every photo would give the
    # mean, and a test that mixed up two people would pass.
    kernel = model.regressor.fc3.kernel
    kernel.assign(np.random.default_rng(3).normal(0, 0.1, kernel.shape))
    method.save(model, folder)
