"""Records share descriptors, which close with the last of them."""

import errno
import gc
import os

import pytest

from tests.support import record_samples
from training.data.records import shards


@pytest.fixture
def folder(tmp_path):
    return record_samples.folder(tmp_path / "data", 6, "val", 2)


def open_files(folder) -> list[str]:
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # That of the listing itself.
            continue
    return [link for link in links if link.startswith(str(folder))]


def test_many_readers_open_each_shard_once(folder):
    readers = [shards.Records(folder, "val") for _ in range(20)]
    contents = [[r.read(n) for n in range(len(r))] for r in readers]
    assert len(contents[0]) == 6 and all(c == contents[0] for c in contents)
    assert len(open_files(folder)) == 3
    del readers[1:]
    assert readers[0].read(5) == contents[0][5]
    del readers
    gc.collect()
    assert open_files(folder) == []


def test_a_shard_that_was_written_anew_is_opened_anew(folder):
    first = shards.Records(folder, "val")
    before = first.read(0)
    path = first.shards[0].path
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(bytes(20) + content[20:])
    with pytest.raises(shards.DamagedRecord):
        shards.Records(folder, "val").read(0)
    assert first.read(0) == before


def test_too_many_open_files_are_no_missing_records(folder, monkeypatch):
    stored = shards.Records(folder, "val")

    def fail(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(shards.os, "open", fail)
    with pytest.raises(shards.RecordsGoneError, match="ulimit") as caught:
        stored.read(0)
    assert "Bring its folder back" not in str(caught.value)
