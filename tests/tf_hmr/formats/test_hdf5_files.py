"""Datasets whose bytes are elsewhere or nowhere are refused unread."""

import re
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

from tests.support import memory
from tests.support.closeness import assert_close
from tests.support.paths import ROOT
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
    with h5py.File(folder / "other.h5", "w") as target:
        target["b"] = np.ones(3)
    file["a"] = h5py.ExternalLink(folder / "other.h5", "b")


def virtual(file, folder):
    with h5py.File(folder / "other.h5", "w") as target:
        target["b"] = np.ones(3)
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


@pytest.mark.parametrize("zeros", [(16, 32), (0, 16), (8, 16)])
def test_a_damaged_collection_of_texts_is_refused(tmp_path, zeros):
    """HDF5 would walk a free object of size 0 without end."""
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv", b"norm"]
    data = bytearray(path.read_bytes())
    start = data.index(b"GCOL")
    first, last = (start + offset for offset in zeros)
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    limited = textwrap.dedent(
        f"""
        import pathlib, signal
        from tf_hmr.formats import keras_files
        signal.alarm(60)  # ends a loop in C
        keras_files.read_layers(pathlib.Path({str(path)!r}))
        """
    )
    command = [sys.executable, "-c", limited]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert "ValueError" in ended.stderr and path.name in ended.stderr


def test_texts_of_free_length_are_read(tmp_path):
    path = tmp_path / "weights.h5"
    names = [f"layer_{number}".encode() * 9 for number in range(3)]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = names
        for name in names:
            group = file.create_group(name)
            group.attrs["weight_names"] = [b"kernel:0"]
            group["kernel:0"] = np.arange(3.0)
    layers = keras_files.read_layers(path)
    assert list(layers) == [name.decode() for name in names]
