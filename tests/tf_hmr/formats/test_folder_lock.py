"""The lock of a folder: one process at a time, released when it ends."""

import pytest

from tf_hmr.formats import folder_lock


def test_one_at_a_time(tmp_path):
    lock = (tmp_path / "out", "writes to", "--out")
    with (
        folder_lock.locked(*lock),
        pytest.raises(ValueError, match=r"Another process writes to.*--out"),
        folder_lock.locked(*lock),
    ):
        pytest.fail("both hold it")
    with folder_lock.locked(*lock):
        assert (tmp_path / "out").is_dir()


def test_a_folder_in_the_lock_s_place_is_named(tmp_path):
    (tmp_path / folder_lock.LOCK_FILE).mkdir()
    with (
        pytest.raises(ValueError, match="is a folder, expected the file"),
        folder_lock.locked(tmp_path, "writes to", "--out"),
    ):
        pytest.fail("it is held")
