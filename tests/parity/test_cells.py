"""Each number of the papers' own rows, as one test."""

import pytest

from tests.support import parity_cells
from training.papers import paper_tables


@pytest.mark.parametrize("cell", paper_tables.cells(), ids=str)
def test_number(cell, results, record_property):
    parity_cells.check(cell, results, record_property)
