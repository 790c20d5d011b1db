"""Training runs in processes of their own, to be stopped and killed."""

import dataclasses
import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.support import toy_method
from training.engine import devices, loop
from training.engine import step as steps

LONG = dataclasses.replace(
    toy_method.EXPERIMENT,
    stages=tuple(dataclasses.replace(s, steps=40) for s in toy_method.STAGES),
    save_every=20,
)


# Long enough between two steps to be interrupted where it is wanted.
PAUSE_S = 0.02


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


def train_here(folder: str, device_flag: str, length: str = "short") -> None:
    """What a process of the tests below runs."""
    from tf_hmr.body.data import BodyData
    from tf_hmr.body.model import Body

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if length != "long":
        # Adam divides a wrong scale of the gradients away; SGD shows it.
        steps.optimizer = plain_descent
    strategy = devices.strategy(device_flag)
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
        toy_method.make_dataset(pause_s=0 if length == "short" else PAUSE_S),
        None,
        Path(folder),
    )


# A process that imports once what all others need, and is forked for each.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["training.fit", "tests.support.keeper_method"])


class Running:
    """A process forked from the server, with subprocess.Popen's methods."""

    def __init__(self, process, errors: Path):
        self._process = process
        self._errors = errors

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[None, str]:
        """Waits for its end; returns no output and its standard error.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return None, self._errors.read_text()


def start(folder, *words, function=train_here, **environment) -> Running:
    """A process that calls a function of a test module, as training.fit."""
    handle, errors = tempfile.mkstemp("-stderr.txt", dir=Path(folder).parent)
    os.close(handle)
    process = _SERVER.Process(
        target=_run, args=(function, (str(folder), *words), environment, errors)
    )
    process.start()
    return Running(process, Path(errors))


def _run(function, words, environment, errors: str) -> None:
    """Calls the function in a forked process, which ends with its status."""
    from training.tasks import fit

    gc.freeze()  # As tests/support/fixtures.py.
    gc.set_threshold(50_000, 20, 20)
    os.dup2(os.open(errors, os.O_WRONLY), sys.stderr.fileno())
    os.environ.update(environment)
    sys.exit(fit.run_and_report(lambda: function(*words)))


def wait_for_lines(folder: Path, count: int, process) -> None:
    """Until a running process has written that many lines."""
    deadline = time.monotonic() + 240
    while len(toy_method.losses(folder)) < count and process.poll() is None:
        assert time.monotonic() < deadline, "the run wrote no line"
        time.sleep(0.005)
