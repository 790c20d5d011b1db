"""Training runs in processes of their own, to be stopped and killed."""

import dataclasses
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.support import toy_method
from tests.support.paths import ROOT
from training.engine import devices, loop
from training.engine import step as steps

LONG = dataclasses.replace(
    toy_method.EXPERIMENT,
    stages=tuple(dataclasses.replace(s, steps=100) for s in toy_method.STAGES),
    save_every=50,
)


# Long enough between two steps to be interrupted where it is wanted.
PAUSE_S = 0.005


def plain_descent(optim, lr, count, variables):
    """SGD in the place of `steps.optimizer`."""
    optimizer = keras.optimizers.SGD(lr)
    optimizer.build(variables)
    return optimizer


def masks(strategy, layer):
    """(R, 64) what each replica's dropout leaves of ones."""

    @tf.function
    def masks_of_replicas():
        return strategy.run(lambda: layer(tf.ones((1, 64)), training=True))

    return np.concatenate(
        strategy.experimental_local_results(masks_of_replicas())
    )


def train_here(folder: str, where: str, length: str = "short") -> None:
    """What a process of the tests below runs."""
    from tf_hmr.body.data import BodyData
    from tf_hmr.body.model import Body

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if length != "long":
        # Adam divides a wrong scale of the gradients away; SGD shows it.
        steps.optimizer = plain_descent
    strategy = devices.strategy(where)
    keras.utils.set_random_seed(3)
    with strategy.scope():
        loaded = BodyData.load("open")
        model = toy_method.Model(toy_method.Config(), Body(loaded, jit=False))
        model.build_all()
    if length == "short":
        np.save(folder + "-masks.npy", masks(strategy, model.drop))
    if length != "long":
        model.drop.rate = 0.0  # One device's masks are not two devices'.
    loop.train(
        toy_method.EXPERIMENT if length == "short" else LONG,
        model,
        strategy,
        toy_method.make_dataset(pause_s=PAUSE_S if length == "paced" else 0),
        None,
        Path(folder),
    )


def start(folder, *words, function=train_here, **environment):
    """A process that calls a function of a test module, as training.fit."""
    code = f"""
import importlib, sys
from training import fit
module = importlib.import_module({function.__module__!r})
work = getattr(module, {function.__name__!r})
sys.exit(fit.run_and_report(lambda: work(*sys.argv[1:])))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), *words],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(folder: Path, count: int, process) -> None:
    """Until a running process has written that many lines."""
    deadline = time.monotonic() + 240
    while len(toy_method.losses(folder)) < count and process.poll() is None:
        assert time.monotonic() < deadline, "the run wrote no line"
        time.sleep(0.005)
