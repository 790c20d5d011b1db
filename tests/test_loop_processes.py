"""The loop as processes: two devices, and a kill that no handler sees."""

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests import test_loop
from tests.closeness import assert_close
from training import devices, loop
from training import step as steps

LONG = dataclasses.replace(
    test_loop.EXPERIMENT,
    stages=tuple(dataclasses.replace(s, steps=100) for s in test_loop.STAGES),
    save_every=50,
)
# Long enough between two steps to be interrupted where it is wanted.
PAUSE_S = 0.005


def plain_descent(optim, lr, count, variables):
    """SGD in the place of `steps.optimizer`."""
    made = keras.optimizers.SGD(lr)
    made.build(variables)
    return made


def masks(strategy, layer):
    """(R, 64) what each replica's dropout leaves of ones."""

    @tf.function
    def drawn():
        return strategy.run(lambda: layer(tf.ones((1, 64)), training=True))

    return np.concatenate(strategy.experimental_local_results(drawn()))


def train_here(folder: str, where: str, length: str = "short") -> None:
    """What a process of the tests below runs."""
    from tf_hmr import body_data
    from tf_hmr.body import Body

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if length != "long":
        # Adam divides a wrong scale of the gradients away; SGD shows it.
        steps.optimizer = plain_descent
    strategy = devices.strategy(where)
    keras.utils.set_random_seed(3)
    with strategy.scope():
        loaded = body_data.BodyData.load("open")
        model = test_loop.Model(test_loop.Config(), Body(loaded, jit=False))
        model.build_all()
    if length == "short":
        np.save(folder + "-masks.npy", masks(strategy, model.drop))
    if length != "long":
        model.drop.rate = 0.0  # One device's masks are not two devices'.
    loop.train(
        test_loop.EXPERIMENT if length == "short" else LONG,
        model,
        strategy,
        test_loop.make_dataset(pause_s=PAUSE_S if length == "paced" else 0),
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
sys.exit(fit.told(lambda: work(*sys.argv[1:])))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), *words],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(folder: Path, count: int, process) -> None:
    """Until a running process has written that many lines."""
    deadline = time.monotonic() + 240
    while len(test_loop.losses(folder)) < count and process.poll() is None:
        assert time.monotonic() < deadline, "the run wrote no line"
        time.sleep(0.005)


def test_two_devices_are_one(tmp_path):
    """Gradients, clipping, both players: the same run on 1 and 2 devices."""
    running = {
        where: start(tmp_path / where, where) for where in ("cpu:1", "cpu:2")
    }
    for process in running.values():
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    drawn = [np.load(tmp_path / f"{where}-masks.npy") for where in running]
    # One device's is Keras' own; two devices' hide different units.
    layer = keras.layers.Dropout(0.3, seed=5)
    assert_close("exact", drawn[0], layer(np.ones((1, 64)), training=True))
    assert drawn[1].shape == (2, 64)
    assert np.mean(drawn[1][0] != drawn[1][1]) > 0.2
    one, two = (test_loop.losses(tmp_path / where) for where in running)
    assert len(one) == len(two) == 12
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        names = [k for k in a if k not in ("step", "kind")]
        assert_close("loss", [b[k] for k in names], [a[k] for k in names])


def test_killed_and_continued_is_as_uninterrupted(tmp_path):
    """kill -9 at an arbitrary moment, then the same command."""
    whole = start(tmp_path / "whole", "cpu:1", "long")
    hurt = start(tmp_path / "hurt", "cpu:1", "long")
    wait_for_lines(tmp_path / "hurt", 70, hurt)
    hurt.send_signal(signal.SIGKILL)
    hurt.communicate()
    assert hurt.returncode == -signal.SIGKILL, "it ended before the kill"
    again = start(tmp_path / "hurt", "cpu:1", "long")
    for process in (whole, again):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    assert test_loop.losses(tmp_path / "hurt") == test_loop.losses(
        tmp_path / "whole"
    )
