"""A file is the old one or the new one, whatever stops its writer."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import full_disk
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


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with (
        full_disk.files_of_at_most(100),
        pytest.raises(OSError, match="too large") as caught,
        atomic.replacing(path) as part,
    ):
        part.write_text("x" * 1000)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_removed_the_writer_s_error_is_told(
    tmp_path, monkeypatch
):
    """A read-only file system refuses the removal of what is not there."""

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    path = tmp_path / "a.json"
    with (
        pytest.raises(OSError, match="Read-only") as caught,
        atomic.replacing(path) as part,
    ):
        part.write_text("new")
    assert caught.value.filename == str(path)


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    command = [sys.executable, "-c", KILLED, path]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert path.read_text() == "old"


def test_content_is_on_the_disk_before_its_name_and_then_the_name(
    tmp_path, monkeypatch
):
    """Else an empty file has the name after a power cut."""
    events = []
    replace = os.replace

    def sync(descriptor):
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def rename(old, new):
        events.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    with atomic.replacing(tmp_path / "a.json") as part:
        part.write_text("new")
    assert events == ["part.a.json", "rename", tmp_path.name]


def test_no_writer_renames_on_its_own():
    """All go through atomic, but for files that nothing relies on."""
    # A checksum is compared whenever it is read; damaged files are set aside.
    exempt = {"tf_hmr/networks/imagenet.py", "training/engine/checkpoints.py"}
    # run.py is one file that imports nothing of the project.
    exempt |= {"tf_hmr/formats/atomic.py", "edge/run.py"}
    renames = re.compile(r"os\.(replace|rename)\(|\)?\.(replace|rename)\(\w+\)")
    files = {
        str(path.relative_to(ROOT))
        for package in ("tf_hmr", "training", "edge")
        for path in (ROOT / package).rglob("*.py")
        if renames.search(path.read_text().replace("atomic.rename(", ""))
    }
    assert files - exempt == set()
