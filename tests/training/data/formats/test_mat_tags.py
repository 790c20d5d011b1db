"""Matlab files that scipy would not survive are refused before."""

import numpy as np
import pytest
import scipy.io

from training.data.formats import mat as mat_files
from training.data.formats import mat_tags

HEADER = 128
CONTENT = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "bytes": np.arange(200, dtype=np.uint8),
    "text": "a few words",
    "empty": np.zeros((0, 0)),
    "cells": np.array([[np.eye(2)], ["x"], [np.zeros(3)]], object),
    "structs": {"inner": {"x": 1.5, "names": ["a", "b"]}, "y": np.ones(3)},
}


def write(path, content, compressed=False):
    scipy.io.savemat(path, content, do_compression=compressed)
    return path


def check(path):
    mat_tags.check(path, path.stat().st_mtime_ns)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("version", ["5", "4"])
def test_good_files_pass(tmp_path, compressed, version):
    path = tmp_path / "a.mat"
    content = CONTENT if version == "5" else {"numbers": CONTENT["numbers"]}
    compressed &= version == "5"
    scipy.io.savemat(path, content, do_compression=compressed, format=version)
    check(path)
    numbers = mat_files.read(path, "numbers", "numbers", "nobody")
    np.testing.assert_array_equal(numbers, CONTENT["numbers"])


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize(
    ("position", "value", "words"),
    [
        (HEADER, 200, "an element has the type 200"),
        (HEADER + 4, 255, "an element has the type"),
        (HEADER + 8, 77, "an element has the type 77"),
        (HEADER + 16, 99, "an array has the class 99"),
        (HEADER + 24, 11, "an element has the type 11"),
    ],
)
def test_types_out_of_the_table(tmp_path, name, position, value, words):
    path = write(tmp_path / "a.mat", {name: CONTENT[name]})
    data = bytearray(path.read_bytes())
    data[position] = value
    if position == HEADER + 4:
        data[position + 2] = value  # millions of bytes
    path.write_bytes(data)
    with pytest.raises(ValueError, match=words):
        check(path)
    message = r"a\.mat could not be read as a Matlab file .*Fetch it again"
    with pytest.raises(ValueError, match=message):
        mat_files.read(path, name, "numbers", "nobody")


def test_cells_without_end(tmp_path):
    """scipy would make room for them first."""
    path = write(tmp_path / "a.mat", {"cells": CONTENT["cells"]})
    data = bytearray(path.read_bytes())
    sizes = HEADER + 32
    assert np.frombuffer(data[sizes : sizes + 8], "<i4").tolist() == [3, 1]
    data[sizes : sizes + 8] = np.array([2**30, 1], "<i4").tobytes()
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"sizes \(1073741824, 1\) in"):
        check(path)


@pytest.mark.parametrize("dimensions", [b"", np.int32([-3, 4]).tobytes()])
def test_dimensions_that_are_none(tmp_path, dimensions):
    path = write(tmp_path / "a.mat", {"numbers": CONTENT["numbers"]})
    data = bytearray(path.read_bytes())
    size = HEADER + 28  # of the dimensions, which follow
    assert np.frombuffer(data[size : size + 12], "<i4").tolist() == [8, 3, 4]
    data[size : size + 4] = np.int32(len(dimensions)).tobytes()
    data[size + 4 : size + 4 + len(dimensions)] = dimensions
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"sizes \(|has the type"):
        check(path)


def test_a_compressed_variable_that_does_not_unpack(tmp_path):
    path = write(tmp_path / "a.mat", CONTENT, compressed=True)
    data = bytearray(path.read_bytes())
    data[HEADER + 20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match="does not unpack"):
        check(path)
