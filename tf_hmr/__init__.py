"""tf_hmr: recovers a posed 3D human body from one photo.

    import tf_hmr

    people = tf_hmr.recover("photo.jpg")
    people[0].vertices  # (V, 3) metres

    model = tf_hmr.load("runs/demo")  # a network of one's own
    people = tf_hmr.recover(model, "photo.jpg", boxes=[(310, 40, 220, 520)])

`import tf_hmr` alone does not import TensorFlow: the three names below are
looked up when they are first used.
"""

import importlib
import os

from tf_hmr import tensorflow_start

# TensorFlow reads this once, at its start: show warnings and errors, but no
# notes. A value that the user has set stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
tensorflow_start.install()

MAX_IMAGE_PIXELS = 300_000_000
"""Most pixels of an image file: panoramas pass; a file of 631 bytes that says
30,000 x 30,000, and would take 5 GB, does not."""

# OpenCV reads this once, at its start, and then refuses by an image's header,
# before it takes memory.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS))

__version__ = "0.1.0"
__all__ = ["Person", "load", "recover"]

_HOMES = {"load": "method", "Person": "inference", "recover": "recovery"}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_hmr' has no attribute {name!r}")
    home = importlib.import_module(f"tf_hmr.{_HOMES[name]}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
