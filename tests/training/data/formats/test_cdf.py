"""Files of positions whose counts are absurd: an error, and at once."""

import numpy as np
import pytest

from tests.support.datasets import h36m_files
from training.data.formats import cdf as cdf_files

GDR, VXR, VDR = 2, 6, 8  # types of records that hold counts


@pytest.mark.parametrize(
    ("record", "offset"),
    [(GDR, 48), (GDR, 56), (GDR, 60), (VDR, 24), (VDR, 340), (VXR, 24)],
)
def test_counts_that_would_take_minutes(tmp_path, record, offset):
    values = np.random.default_rng(1).normal(size=(4, 32, 3))
    path = h36m_files.write_cdf(tmp_path / "a.cdf", values)
    np.testing.assert_allclose(cdf_files.positions(path, 32, 3), values)
    data = bytearray(path.read_bytes())
    position = start(data, record) + offset
    data[position : position + 4] = (2**31 - 1).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.cdf could not .*a count of 2147"):
        cdf_files.positions(path, 32, 3)


def start(data: bytes, record_type: int) -> int:
    """Where the first record of a type begins: size (8), type (4), ..."""
    position = 8
    while position < len(data):
        if (
            int.from_bytes(data[position + 8 : position + 12], "big")
            == record_type
        ):
            return position
        position += int.from_bytes(data[position : position + 8], "big")
    raise AssertionError(f"no record of the type {record_type}")
