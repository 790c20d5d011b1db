"""Each number of the papers' own rows, as one test."""

import pytest

from tests.parity.conftest import PROPERTY
from training.papers import paper_tables, parity


@pytest.mark.parametrize("cell", paper_tables.cells(), ids=str)
def test_number(cell, results, record_property):
    verdict = parity.judge(cell, results)
    record_property(PROPERTY, verdict.state.value)
    if verdict.state in (parity.State.PASS, parity.State.FAIL):
        where = verdict.result.path if verdict.result else "the model"
        assert cell.agrees(verdict.value), (
            f"{cell} is {cell.printed} in the paper, {verdict.value:g} in "
            f"{where}; the tolerance is {cell.tolerance:g}: "
            f"{cell.needs.tolerance_reason}"
        )
        return
    told = [
        f"{verdict.state.value}. {verdict.reason}",
        *verdict.missing_commands,
    ]
    pytest.skip("\n".join(told))
