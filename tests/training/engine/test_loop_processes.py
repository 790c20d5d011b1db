"""The loop as processes: two devices, and a kill that no handler sees."""

import signal

import keras
import numpy as np
import pytest

from tests.support import processes, toy_method
from tests.support.closeness import assert_close


def test_two_devices_are_one(tmp_path):
    """Gradients, clipping, both players: the same run on 1 and 2 devices."""
    running = {
        where: processes.start(tmp_path / where, where)
        for where in ("cpu:1", "cpu:2")
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
    one, two = (toy_method.losses(tmp_path / where) for where in running)
    assert len(one) == len(two) == 12
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        names = [k for k in a if k not in ("step", "kind")]
        assert_close("loss", [b[k] for k in names], [a[k] for k in names])


@pytest.mark.processes
def test_killed_and_continued_is_as_uninterrupted(tmp_path):
    """kill -9 at an arbitrary moment, then the same command."""
    whole = processes.start(tmp_path / "whole", "cpu:1", "long")
    hurt = processes.start(tmp_path / "hurt", "cpu:1", "long")
    processes.wait_for_lines(tmp_path / "hurt", 30, hurt)
    hurt.send_signal(signal.SIGKILL)
    hurt.communicate()
    assert hurt.returncode == -signal.SIGKILL, "it ended before the kill"
    again = processes.start(tmp_path / "hurt", "cpu:1", "long")
    for process in (whole, again):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    assert toy_method.losses(tmp_path / "hurt") == toy_method.losses(
        tmp_path / "whole"
    )
