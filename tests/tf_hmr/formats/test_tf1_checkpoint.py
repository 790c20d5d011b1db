"""Damaged, missing and ambiguous checkpoints end in one clear error."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import hmr_tf1
from tests.support.closeness import assert_close
from tf_hmr.formats import tf1_checkpoint

ARRAYS = {
    "a/weights": np.arange(3000, dtype=np.float32),
    "a/weights/Adam": np.zeros(3, np.float32),
    "a/weights/Adam_1": np.zeros(3, np.float32),
    "beta1_power": np.float32(0.9),
    "beta2_power_1": np.float32(0.9),
    "global_step": np.int64(7),
    "b/biases": np.ones((2, 1), np.float32),
}


@pytest.fixture
def prefix(tmp_path):
    hmr_tf1.write(tmp_path / "model.ckpt-7", ARRAYS)
    return tmp_path / "model.ckpt-7"


def shard(prefix):
    return prefix.with_name(prefix.name + ".data-00000-of-00001")


def index(prefix):
    return prefix.with_name(prefix.name + ".index")


def check(path):
    checkpoint = tf1_checkpoint.Checkpoint(path)
    assert checkpoint.shapes == {"a/weights": (3000,), "b/biases": (2, 1)}
    assert len(checkpoint.training_state) == 5
    assert_close("exact", checkpoint.read("a/weights"), ARRAYS["a/weights"])


def test_any_of_its_names_will_do(prefix):
    """The prefix, a file of it, the folder."""
    meta = prefix.with_name(prefix.name + ".meta")
    for path in (prefix, index(prefix), shard(prefix), meta, prefix.parent):
        check(path)


def test_format_1_is_read_too(tmp_path):
    """One file, as slim's published checkpoints are."""
    tf.raw_ops.Save(
        filename=str(tmp_path / "old.ckpt"),
        tensor_names=list(ARRAYS),
        data=[tf.constant(value) for value in ARRAYS.values()],
    )
    check(tmp_path / "old.ckpt")


def test_a_folder_of_several_asks_which(prefix):
    hmr_tf1.write(prefix.with_name("model.ckpt-9"), ARRAYS)
    with pytest.raises(ValueError, match=r"2 checkpoints.*ckpt-7.*ckpt-9"):
        tf1_checkpoint.Checkpoint(prefix.parent)


def test_missing_says_what_a_prefix_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="prefix.*model.ckpt-667589"):
        tf1_checkpoint.Checkpoint(tmp_path / "model.ckpt-1")


@pytest.mark.parametrize("length", [0, 10, 0.5])
def test_a_cut_index_is_named(prefix, length):
    data = index(prefix).read_bytes()
    index(prefix).write_bytes(
        data[: int(length * len(data)) if length < 1 else length]
    )
    with pytest.raises(ValueError, match="model.ckpt-7 could not be read"):
        tf1_checkpoint.Checkpoint(prefix)


def test_a_cut_data_file_names_the_variable(prefix):
    data = shard(prefix).read_bytes()
    shard(prefix).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="b/biases of .*cut short"):
        tf1_checkpoint.Checkpoint(prefix).read("b/biases")


def test_a_missing_data_file_is_said(prefix):
    shard(prefix).unlink()
    with pytest.raises(ValueError, match="could not be read.*missing"):
        tf1_checkpoint.Checkpoint(prefix).read("b/biases")


def test_changed_bytes_are_found(prefix):
    data = bytearray(shard(prefix).read_bytes())
    data[100] ^= 64
    shard(prefix).write_bytes(bytes(data))
    with pytest.raises(ValueError, match="a/weights of"):
        tf1_checkpoint.Checkpoint(prefix).read("a/weights")


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "page.ckpt").write_text("<html>not found</html>" * 100)
    with pytest.raises(ValueError, match="could not be read.*download"):
        tf1_checkpoint.Checkpoint(tmp_path / "page.ckpt")


def test_numbers_that_are_none_are_refused(tmp_path):
    hmr_tf1.write(tmp_path / "m", {"a": np.array([1, np.nan], np.float32)})
    with pytest.raises(ValueError, match="a of .* is not finite"):
        tf1_checkpoint.Checkpoint(tmp_path / "m").read("a")
