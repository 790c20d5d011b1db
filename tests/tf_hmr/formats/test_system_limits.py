"""Too many open files are told as such, whoever reads."""

import errno
import os
import pathlib

import h5py
import pytest

from tf_hmr.formats import array_files, keras_files, system_limits


def test_errors_are_told_apart():
    assert system_limits.is_reached(OSError(errno.EMFILE, "x"))
    assert system_limits.is_reached(RuntimeError("a; Too many open files"))
    for error in (OSError(errno.ENOENT, "x"), ValueError("damaged")):
        assert not system_limits.is_reached(error)
        system_limits.check(error, "file")
    with pytest.raises(OSError, match=r"file cannot be opened\. .*ulimit"):
        system_limits.check(OSError(errno.EMFILE, "x"), "file")


@pytest.mark.parametrize("ending", ["npy", "npz", "h5"])
def test_readers_do_not_call_a_file_damaged_that_cannot_be_opened(
    tmp_path, monkeypatch, ending
):
    path = tmp_path / f"a.{ending}"
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def fail(*_, **__):
        raise error

    path.write_bytes(b"")
    monkeypatch.setattr(pathlib.Path, "open", fail)
    monkeypatch.setattr(h5py, "File", fail)
    read = {
        "npy": lambda: array_files.read_npy(path, "x", "y"),
        "npz": lambda: array_files.read_npz(path, "x", "y"),
        "h5": lambda: keras_files.read_datasets(path),
    }[ending]
    with pytest.raises(OSError, match="ulimit") as caught:
        read()
    assert str(path) in str(caught.value)
    assert "no file is damaged" in str(caught.value)
