"""Datasets whose bytes are elsewhere or nowhere are refused unread."""

import re

import h5py
import numpy as np
import pytest

from tests.support import memory
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.formats import hdf5_files, keras_files
from training.data.formats import mat73

HUGE = 2**31  # bytes


def external_storage(file, folder):
    (folder / "secret").write_bytes(b"password" * 8)
    file.create_dataset(
        "a", (16,), np.float32, external=[(folder / "secret", 0, 64)]
    )


def external_link(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["b"] = np.ones(3)
    file["a"] = h5py.ExternalLink(folder / "other.h5", "b")


def virtual(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["b"] = np.ones(3)
    layout = h5py.VirtualLayout((3,), np.float64)
    layout[:] = h5py.VirtualSource(folder / "other.h5", "b", (3,))
    file.create_virtual_dataset("a", layout)


def nothing_stored(file, folder):
    file.create_dataset("a", (HUGE,), np.uint8)


def zeros_packed(file, folder):
    file.create_dataset(
        "a", (HUGE,), np.uint8, chunks=(2**26,), compression="gzip"
    )
    file["a"][: 2**26] = 0


ATTACKS = (
    external_storage,
    external_link,
    virtual,
    nothing_stored,
    zeros_packed,
)


@pytest.fixture(params=ATTACKS, ids=lambda attack: attack.__name__)
def hostile(request, tmp_path):
    path = tmp_path / "hostile.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["layer"]
        file.create_group("layer").attrs["weight_names"] = ["/a"]
        request.param(file, tmp_path)
    return path


READERS = {
    "check": hdf5_files.check,
    "layers": keras_files.read_layers,
    "matlab": lambda path: mat73.array(path, "a", (None,)),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_hostile_file_is_refused_without_its_memory(hostile, reader):
    def refused():
        with pytest.raises(ValueError, match=re.escape(str(hostile))) as error:
            READERS[reader](hostile)
        assert "password" not in str(error.value)

    assert memory.peak_growth(refused) < 2**27


def test_the_weights_of_a_model_folder_are_checked(model_folder, tmp_path):
    for path in model_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / method.WEIGHTS_FILE
    with h5py.File(weights, "a") as file:
        file.create_dataset("more", (HUGE,), np.uint8)
    with pytest.raises(ValueError, match=rf"{method.WEIGHTS_FILE}"):
        method.load(tmp_path, jit=False)


def test_packed_numbers_are_read(tmp_path, rng):
    path = tmp_path / "good.h5"
    values = rng.integers(0, 9, (300, 40)).astype(np.float64)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, compression="gzip")
        file["same"] = h5py.SoftLink("/a")
    hdf5_files.check(path)
    for name in ("a", "same"):
        assert_close("exact", mat73.array(path, name, (300, 40)), values)
