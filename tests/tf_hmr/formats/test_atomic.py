"""A file is the old one or the new one, whatever stops its writer."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tf_hmr.formats import atomic

KILLED = """
import os, sys
from tf_hmr.formats import atomic
with atomic.replacing(sys.argv[1]) as part:
    part.write_text("half")
    os._exit(9)
"""


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "a.json"
    for text in ("old", "new"):
        with atomic.replacing(path) as part:
            part.write_text(text)
            assert part.suffix == path.suffix and part.parent == tmp_path
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_writer_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail():
        with atomic.replacing(path) as part:
            part.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    command = [sys.executable, "-c", KILLED, path]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert path.read_text() == "old"
