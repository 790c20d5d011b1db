"""Precisions that a GPU multiplies, and those that it does not."""

import pytest
import tensorflow as tf

from training.engine import devices

CARDS = {
    "Tesla T4": {"device_name": "Tesla T4", "compute_capability": (7, 5)},
    "A100": {"device_name": "A100", "compute_capability": (8, 0)},
    "unknown": {"device_name": "a GPU of another maker"},
}


@pytest.fixture
def cards(monkeypatch):
    """The GPUs that TensorFlow pretends to have."""

    def pretend(*names):
        monkeypatch.setattr(
            tf.config, "get_visible_devices", lambda kind: list(names)
        )
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", CARDS.__getitem__
        )

    return pretend


def test_a_gpu_of_float16_alone_refuses_bfloat16_and_says_why(cards):
    cards("A100", "Tesla T4")
    with pytest.raises(ValueError, match=r"Tesla T4.*7\.5.*float16 alone"):
        devices.precision("bfloat16")
    assert devices.precision("float32") == "float32"
    assert devices.precision("auto") == "float32"


def test_a_gpu_with_bfloat16_takes_it(cards):
    cards("A100")
    assert devices.precision("bfloat16") == "bfloat16"
    assert devices.precision("auto") == "bfloat16"


def test_of_an_unknown_gpu_nothing_is_assumed(cards):
    cards("unknown")
    assert devices.precision("bfloat16") == "bfloat16"
    assert devices.precision("auto") == "float32"


def test_float16_is_refused_on_every_gpu(cards):
    for name in CARDS:
        cards(name)
        with pytest.raises(ValueError, match="float16 is refused"):
            devices.precision("float16")
