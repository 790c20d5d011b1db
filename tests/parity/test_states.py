"""When a number of a paper passes, fails, is missing, or cannot be had."""

import dataclasses
import types

import pytest

from tests.parity import conftest
from tests.support import parity_cells, planted_results
from training.papers import paper_tables, parity
from training.papers.parity import State


@pytest.fixture
def cell() -> paper_tables.Cell:
    """87.97 mm with 3 %, which is 2.6391 mm."""
    return planted_results.cell(*planted_results.HMR_P1)


def judged(cell, folder) -> parity.Verdict:
    return parity.judge(cell, parity.read_results([folder]))


@pytest.mark.parametrize(
    ("off", "state"),
    [
        (0.0, State.PASS),
        (2.6391, State.PASS),
        (-2.6391, State.PASS),
        (2.6392, State.FAIL),
        (-2.6392, State.FAIL),
    ],
)
def test_the_edge_of_the_tolerance_passes(cell, tmp_path, off, state):
    planted_results.write(
        tmp_path, planted_results.content(cell.requirements, 87.97 + off)
    )
    found = judged(cell, tmp_path)
    assert (found.state, found.value) == (state, pytest.approx(87.97 + off))
    assert found.result.path.parent.parent == tmp_path


def test_tolerance_is_never_below_the_printed_precision(cell):
    requirements = dataclasses.replace(
        cell.requirements, tolerance_percent=1e-6
    )
    exact = dataclasses.replace(cell, requirements=requirements)
    assert exact.agrees(87.974)
    assert not exact.agrees(87.976)
    one_decimal = dataclasses.replace(exact, printed="88.0")
    assert one_decimal.agrees(88.04)
    assert not one_decimal.agrees(88.06)


def test_without_results_the_commands_are_told(cell, tmp_path):
    found = judged(cell, tmp_path)
    assert found.state == State.NO_RESULT
    train, measure = found.missing_commands
    assert train == (
        "python -m training.fit hmr_55_epochs --workdir runs/hmr_55_epochs"
    )
    assert measure == (
        "python -m training.evaluate --weights runs/hmr_55_epochs "
        "--protocol h36m_p1_hmr"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"complete": False, "measured": 10}, "not complete: 10"),
        ({"synthetic": True}, "rendered"),
        ({"deviations": ["every 64th frame"]}, "every 64th frame"),
        ({"experiment": "hmr"}, "of the experiment 'hmr'"),
        ({"configuration": {}}, "not recorded"),
        ({"trained_on": ["data/synthetic"]}, "trained on ['synthetic']"),
        ({"metrics": {"pa_mpjpe_mm": 87.97}}, "without the metric"),
    ],
)
def test_what_is_not_the_papers_never_counts(cell, tmp_path, changes, why):
    planted_results.write(
        tmp_path, planted_results.content(cell.requirements, 87.97, **changes)
    )
    found = judged(cell, tmp_path)
    assert (found.state, found.value) == (State.NO_RESULT, None)
    assert why in found.reason
    assert found.missing_commands


def test_synthetic_protocols_fill_no_cell(tmp_path):
    """Whatever a result says of itself, and whichever numbers it holds."""
    assert not any(
        each.requirements.protocol.startswith("synthetic")
        for each in paper_tables.cells()
    )
    cell = planted_results.cell(*planted_results.HMR_P1)
    result = planted_results.content(
        cell.requirements, 87.97, protocol="synthetic_v1"
    )
    planted_results.write(tmp_path, result)
    assert parity.read_results([tmp_path])[0].is_synthetic
    assert judged(cell, tmp_path).state == State.NO_RESULT
    del result["synthetic"]
    planted_results.write(tmp_path, result | {"protocol": "h36m_p1_hmr"})
    assert judged(cell, tmp_path).state == State.NO_RESULT, "when in doubt"


def test_a_changed_training_does_not_count(cell, tmp_path):
    content = planted_results.content(cell.requirements, 87.97)
    content["configuration"]["steps"] = 1000
    planted_results.write(tmp_path, content)
    found = judged(cell, tmp_path)
    assert found.state == State.NO_RESULT
    assert "steps 1000, not " in found.reason


def test_what_does_not_change_the_science_may_differ(cell, tmp_path):
    content = planted_results.content(cell.requirements, 87.97)
    there = content["configuration"]
    there |= {"seed": 5, "save_every": 7, "precision": "bfloat16"}
    # A field that the code of that day had not.
    del there["method"]["iterations"]
    planted_results.write(tmp_path, content)
    assert judged(cell, tmp_path).state == State.PASS


def test_results_of_before_fields_left_a_method_count(cell, tmp_path):
    """HMR's Config once held what SPIN and fits in the loop read."""
    content = planted_results.content(cell.requirements, 87.97)
    there = content["configuration"]["method"]
    there |= {"regressor": "hmr", "fits": "none", "focal": 0.0}
    planted_results.write(tmp_path / "plain", content)
    assert judged(cell, tmp_path / "plain").state == State.PASS
    there |= {"fits": "improved"}
    planted_results.write(tmp_path / "fits", content)
    verdict = judged(cell, tmp_path / "fits")
    assert verdict.state == State.NO_RESULT
    assert "no longer has fits='improved'" in verdict.reason


def test_an_option_must_have_been_given(tmp_path):
    """A plain HKMR does not stand for one of a single outer step."""
    cell = planted_results.cell("HKMR", "Table 3, left", "P1", "1")
    assert cell.requirements.options
    right = planted_results.content(cell.requirements, 93.79)
    planted_results.write(tmp_path / "right", right)
    assert judged(cell, tmp_path / "right").state == State.PASS
    full = planted_results.cell("HKMR", "Table 3, left", "P1", "3")
    plain = planted_results.content(full.requirements, 93.79)
    planted_results.write(tmp_path / "plain", plain)
    assert judged(cell, tmp_path / "plain").state == State.NO_RESULT
    old = planted_results.content(full.requirements, 93.79)
    del old["configuration"]["method"]["outer_steps"]
    planted_results.write(tmp_path / "old", old)
    assert judged(cell, tmp_path / "old").state == State.NO_RESULT


def test_the_latest_result_counts_not_the_best(cell, tmp_path):
    for at, value in ((1, 87.97), (3, 95.0), (2, 88.0)):
        planted_results.write(
            tmp_path / str(at),
            planted_results.content(cell.requirements, value),
            at,
        )
    found = judged(cell, tmp_path)
    assert (found.state, found.value) == (State.FAIL, 95.0)


def test_a_copied_folder_is_one_result(cell, tmp_path):
    content = planted_results.content(cell.requirements, 87.97)
    planted_results.write(tmp_path / "run", content)
    planted_results.write(tmp_path / "run" / "saved", content)
    assert len(parity.read_results([tmp_path])) == 1


def test_what_is_not_there_is_told(cell):
    for changes, lack in (
        ({"method": "nerf"}, "no method 'nerf'"),
        ({"experiment": "hmr_66"}, "no experiment 'hmr_66'"),
        ({"options": ("--method.wings", "2")}, "no --method.wings 2"),
        ({"protocol": "h36m_p9"}, "no protocol 'h36m_p9'"),
    ):
        requirements = dataclasses.replace(cell.requirements, **changes)
        found = parity.judge(
            dataclasses.replace(cell, requirements=requirements), []
        )
        assert found.state == State.NOT_IMPLEMENTED
        assert lack in found.reason


def test_what_nobody_can_measure_is_no_missing_result():
    found = parity.judge(
        planted_results.cell("HUND", "Table 2", "HUND, FS+SS", "MPJPE"), []
    )
    assert found.state == State.NOT_REPRODUCIBLE
    assert "held out" in found.reason


def test_damaged_results_are_named(tmp_path):
    path = tmp_path / "run" / "results" / "h36m_p1_hmr.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"protocol": "h36m')
    with pytest.raises(ValueError, match=r"h36m_p1_hmr\.json cannot be read"):
        parity.read_results([tmp_path])
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        parity.read_results([tmp_path / "runs"])
    path.write_text('["another file"]')
    assert parity.read_results([tmp_path]) == []


def test_the_suite_passes_fails_or_skips_a_number(cell, tmp_path):
    """What `pytest tests/parity --results DIR` does with each state."""
    properties = []

    def record(name, value):
        properties.append((name, value))

    planted_results.write(
        tmp_path, planted_results.content(cell.requirements, 87.0)
    )
    parity_cells.check(cell, parity.read_results([tmp_path]), record)
    planted_results.write(
        tmp_path, planted_results.content(cell.requirements, 97.0)
    )
    with pytest.raises(AssertionError, match=r"87\.97 in the paper, 97 in"):
        parity_cells.check(cell, parity.read_results([tmp_path]), record)
    with pytest.raises(pytest.skip.Exception, match="no result yet"):
        parity_cells.check(cell, [], record)
    assert [value for _, value in properties] == [
        "pass",
        "fail",
        "no result yet",
    ]


def test_the_summary_counts_each_state():
    def reported(state):
        properties = [(parity_cells.PROPERTY, state)]
        return types.SimpleNamespace(when="call", user_properties=properties)

    lines = []
    terminal = types.SimpleNamespace(
        stats={
            "passed": [reported("pass")],
            "skipped": [reported("no result yet"), reported("no result yet")],
            "": [types.SimpleNamespace(when="setup", user_properties=[])],
        },
        section=lines.append,
        line=lines.append,
    )
    conftest.pytest_terminal_summary(terminal)
    counted = {line[6:]: int(line[:5]) for line in lines[1:]}
    assert counted == {
        "pass": 1,
        "fail": 0,
        "no result yet": 2,
        "not implemented": 0,
        "not reproducible": 0,
    }
