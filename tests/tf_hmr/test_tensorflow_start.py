"""TensorFlow is imported without its notes, and with all else it writes."""

import gc
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tf_hmr import tensorflow_start

START = (
    "import gc, logging, training; "
    "collections, threshold = [], gc.get_threshold(); "
    "note = lambda _, info: collections.append(info['generation']); "
    "gc.callbacks.append(note); "
    "import tensorflow as tf; "
    # None of all objects; a small one may come before or after the import.
    "assert 2 not in collections and len(collections) < 10, collections; "
    "assert gc.get_freeze_count() > 100_000; "
    "assert gc.isenabled() and gc.get_threshold() == threshold; "
    "tf.constant(1.0) + 1.0; "
    "assert logging.getLogger('absl').level == logging.WARNING; "
    "assert not tf.config.experimental.tensor_float_32_execution_enabled()"
)
STAND_IN = """
import os, types
os.write(2, b"I0000 00:00:1 note of a library\\n")
os.write(2, b"W0000 00:00:1 a warning of a library\\n")
os.write(2, b"E0000 00:00:1 failed call to cuInit: unknown\\n")
config = types.SimpleNamespace(
    list_physical_devices=lambda: None,
    experimental=types.SimpleNamespace(
        enable_tensor_float_32_execution=lambda on: None
    ),
)
"""


def errors(code, **environment):
    """What a fresh process writes to standard error."""
    inherited = {k: v for k, v in os.environ.items() if k[:3] != "TF_"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stderr


def test_the_real_one_starts_without_a_word_and_without_collections():
    assert errors(START) == ""


RETRACED = """
import training
import tensorflow as tf
for n in range(6):
    class Stage:
        @tf.function
        def step(self, x):
            return x + n
    Stage().step(tf.constant(1.0))
tf.get_logger().info("a device")
tf.get_logger().warning("another %s", "one")
"""


@pytest.mark.parametrize("level", ["0", "1"])
def test_graphs_of_stages_are_no_reason_to_warn(level):
    written = errors(RETRACED, TF_CPP_MIN_LOG_LEVEL=level)
    assert ("retracing" in written) == (level == "0")
    assert "another one" in written and "a device" not in written


def fail() -> None:
    with tensorflow_start.without_collections():
        assert not gc.isenabled()
        raise OSError


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_as_before_a_failed_import(on):
    try:
        if not on:
            gc.disable()
        with pytest.raises(OSError):
            fail()
        assert gc.isenabled() == on
    finally:
        gc.enable()


@pytest.fixture
def stand_in(tmp_path):
    """A folder with a `tensorflow` that writes to standard error."""
    (tmp_path / "tensorflow.py").write_text(STAND_IN)
    return tmp_path


@pytest.mark.parametrize("card", [True, False])
def test_warnings_are_shown_and_cuda_where_a_card_is(stand_in, card):
    code = (
        "import tf_hmr.tensorflow_start as start, os; "
        f"start.has_card = lambda: {card}; "
        "import tensorflow; os.write(2, b'I0000 later')"
    )
    path = f"{stand_in}:{ROOT}"
    lines = errors(code, PYTHONPATH=path).splitlines()
    expected = ["W0000 00:00:1 a warning of a library"]
    if card:
        expected.append("E0000 00:00:1 failed call to cuInit: unknown")
    assert lines == [*expected, "I0000 later"]


def test_who_asks_for_notes_gets_them(stand_in):
    path = f"{stand_in}:{ROOT}"
    code = "import tf_hmr, tensorflow"
    written = errors(code, PYTHONPATH=path, TF_CPP_MIN_LOG_LEVEL="0")
    assert written.startswith("I0000")


def test_a_failed_import_is_told_whole(stand_in):
    (stand_in / "tensorflow.py").write_text(STAND_IN + "\nraise OSError('x')")
    written = errors(
        "import tf_hmr, tensorflow", PYTHONPATH=f"{stand_in}:{ROOT}"
    )
    assert "W0000" in written and written.endswith("OSError: x\n")
