"""Imports TensorFlow quickly and quietly, with products in float32.

TensorFlow 2.21 writes to standard error while its libraries load, before its
log level counts, and at the first look for devices that CUDA cannot start,
though the machine has no card. `install` makes the first `import tensorflow` of
a process leave these lines out. What else is written meanwhile is shown. Later
it warns of functions that are traced again and again, as those of a run with
stages are; these lines are left out, too.

On newer GPUs TensorFlow rounds the factors of float32 products to 10 bits
(TensorFloat-32), those of rotations and of the body, too. It is switched off;
networks that may be rounded train in bfloat16.

The import makes a million objects that live until the process ends. Python's
garbage collector looked through them again and again meanwhile, and once more
at the end: a third of the time of a short command.
"""

import contextlib
import gc
import importlib.abc
import importlib.util
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_STDERR = 2
_NOTE = re.compile(
    rb"I\d{4} |WARNING: All log messages before absl|To enable the following"
    rb"|INFO: Created TensorFlow Lite"
)
# Errors where a card is there; else they say what everybody knows.
_NO_CUDA = re.compile(rb"E\d{4} .*(cuInit|CUDA_ERROR_NO_DEVICE)")
_RETRACING = "triggered tf.function retracing"
_CARDS = ("/proc/driver/nvidia", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/dxg")
"""Linux's driver, Jetson's, and Windows' for its Linux (WSL)."""


def install() -> None:
    """Changes how `tensorflow` is imported, unless it is imported already."""
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


def has_card() -> bool:
    """Whether the machine has a GPU that CUDA could use."""
    return any(Path(path).exists() for path in _CARDS)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `tensorflow` once, and then leaves the import as it was."""

    def find_spec(self, fullname, path, target=None):
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module by another loader, without notes."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        context = contextlib.nullcontext if _wants_notes() else without_notes
        with context():
            with without_collections():
                self._loader.exec_module(module)
            if not (has_card() or _wants_notes()):
                module.config.list_physical_devices()  # calls cuInit
        module.config.experimental.enable_tensor_float_32_execution(False)
        # Each saved checkpoint would say how long its callbacks took.
        logging.getLogger("absl").setLevel(logging.WARNING)
        # It would name its devices, and the reduction of every variable.
        logging.getLogger("tensorflow").setLevel(logging.WARNING)
        logging.getLogger("tensorflow").addFilter(_is_wanted)


def _is_wanted(record: logging.LogRecord) -> bool:
    """Leaves out that graphs are traced often: each stage has its own."""
    return _wants_notes() or _RETRACING not in str(record.msg)


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Collects no garbage, and leaves out of later collections what is made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        gc.freeze()


def _wants_notes() -> bool:
    return os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Shows afterwards what was written to standard error, but for notes."""
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # It is closed.
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            log.seek(0)
            ignored = [_NOTE] if has_card() else [_NOTE, _NO_CUDA]
            for line in log:
                if not any(pattern.match(line) for pattern in ignored):
                    os.write(_STDERR, line)
