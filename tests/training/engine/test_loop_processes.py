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
        devices: processes.start(tmp_path / devices, devices)
        for devices in ("cpu:1", "cpu:2")
    }
    for process in running.values():
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    masks = [np.load(tmp_path / f"{devices}-masks.npy") for devices in running]
    # One device's is Keras' own; two devices' hide different units.
    layer = keras.layers.Dropout(0.3, seed=5)
    assert_close("exact", masks[0], layer(np.ones((1, 64)), training=True))
    assert masks[1].shape == (2, 64)
    assert np.mean(masks[1][0] != masks[1][1]) > 0.2
    one, two = (toy_method.losses(tmp_path / devices) for devices in running)
    assert len(one) == len(two) == 12
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        names = [k for k in a if k not in ("step", "kind")]
        assert_close("loss", [b[k] for k in names], [a[k] for k in names])


@pytest.mark.processes
def test_killed_and_continued_is_as_uninterrupted(tmp_path):
    """kill -9 at an arbitrary moment, then the same command."""
    uninterrupted = processes.start(tmp_path / "whole", "cpu:1", "long")
    hurt = processes.start(tmp_path / "hurt", "cpu:1", "long")
    processes.wait_for_lines(tmp_path / "hurt", 30, hurt)
    hurt.send_signal(signal.SIGKILL)
    hurt.communicate()
    assert hurt.returncode == -signal.SIGKILL, "it ended before the kill"
    continued = processes.start(tmp_path / "hurt", "cpu:1", "long")
    for process in (uninterrupted, continued):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    assert toy_method.losses(tmp_path / "hurt") == toy_method.losses(
        tmp_path / "whole"
    )
