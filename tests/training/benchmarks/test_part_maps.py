"""The benchmark of part maps runs, and says what it measured."""

import subprocess
import sys

from tests.support.paths import ROOT


def test_a_tiny_run_prints_milliseconds():
    """In a process of its own: its settings precede TensorFlow's start."""
    words = "part-maps --batch 2 --count 60 --side 12 --rounds 1".split()
    done = subprocess.run(
        [sys.executable, "-m", "training.benchmark", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("60 points, 12 x 12, batch 2")
    name, number, unit = last.split()
    assert (name, unit) == ("part_maps", "ms") and float(number) > 0
