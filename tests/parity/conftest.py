"""`pytest tests/parity --results DIR`: the papers' numbers against results."""

import collections
from pathlib import Path

import pytest

from tests.support.parity_cells import PROPERTY
from training.papers import parity


def pytest_addoption(parser):
    parser.addoption(
        "--results",
        action="append",
        default=[],
        metavar="DIR",
        help="workdirs, or a folder of workdirs, whose results are held "
        "against the papers' numbers; may be given several times",
    )


@pytest.fixture(scope="session")
def results(pytestconfig) -> list[parity.Result]:
    """The results named on the command line."""
    folders = pytestconfig.getoption("--results", default=[])
    return parity.read_results([Path(folder) for folder in folders])


def pytest_terminal_summary(terminalreporter):
    """The numbers in each state; with xdist the reports come from afar."""
    states = collections.Counter(
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    )
    if not states:
        return
    terminalreporter.section("the papers' own numbers")
    for state in parity.State:
        terminalreporter.line(f"{states[state.value]:5d} {state.value}")
