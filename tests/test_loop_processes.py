"""The loop as processes: two devices, and a kill that no handler sees."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras

from tests import test_loop
from tests.closeness import assert_close
from training import devices, journal, loop
from training import step as steps

LONG = dataclasses.replace(
    test_loop.EXPERIMENT,
    stages=tuple(dataclasses.replace(s, steps=200) for s in test_loop.STAGES),
    save_every=50,
)


def plain_descent(optim, lr, count, variables):
    """SGD in the place of `steps.optimizer`."""
    made = keras.optimizers.SGD(lr)
    made.build(variables)
    return made


def train_here(folder: str, where: str, length: str) -> None:
    """What a process of the tests below runs."""
    from tf_hmr import body_data
    from tf_hmr.body import Body

    if length == "short":
        # Adam divides a wrong scale of the gradients away; SGD shows it.
        steps.optimizer = plain_descent
    strategy = devices.strategy(where)
    keras.utils.set_random_seed(3)
    with strategy.scope():
        loaded = body_data.BodyData.load("open")
        model = test_loop.Model(test_loop.Config(), Body(loaded, jit=False))
        model.build_all()
        model.drop.rate = 0.0  # Each replica would mask its own rows alike.
    count = strategy.num_replicas_in_sync
    loop.train(
        LONG if length == "long" else test_loop.EXPERIMENT,
        model,
        strategy,
        test_loop.make_dataset(replicas=count),
        None,
        Path(folder),
    )


def start(folder, where, length="short"):
    code = "import sys; from tests import test_loop_processes as test\n"
    code += "test.train_here(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), where, length],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_devices_are_one(tmp_path):
    """Gradients, clipping, both players: the same run on 1 and 2 devices."""
    running = {
        where: start(tmp_path / where, where) for where in ("cpu:1", "cpu:2")
    }
    for process in running.values():
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
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
    deadline = time.monotonic() + 240
    path = tmp_path / "hurt" / journal.METRICS_FILE
    while len(test_loop.losses(tmp_path / "hurt")) < 70 and hurt.poll() is None:
        assert time.monotonic() < deadline, "the run wrote no line"
        time.sleep(0.005)
    hurt.send_signal(signal.SIGKILL)
    hurt.communicate()
    assert hurt.returncode == -signal.SIGKILL, "it ended before the kill"
    assert path.exists()
    again = start(tmp_path / "hurt", "cpu:1", "long")
    for process in (whole, again):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    assert test_loop.losses(tmp_path / "hurt") == test_loop.losses(
        tmp_path / "whole"
    )
