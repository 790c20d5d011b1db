"""The tables as data: all there, whole, and what they need makes sense."""

import collections

import pytest

from training.papers import paper_tables, parity

# Of each paper: numbers of its own rows.
NUMBERS = {"HMR": 28, "SMPLR": 175, "HKMR": 49, "HUND": 21}
# And the sum of all that is printed, added up from the papers' text.
SUMS = {"HMR": 4117.85, "SMPLR": 12647.852, "HKMR": 7459.095, "HUND": 7825.53}
# Methods, experiments and protocols that are still to come.
PLANNED = {"smplr", "hund"}


def test_all_tables_are_there():
    tables = paper_tables.tables()
    assert len(tables) == 23
    assert sum(len(table.rows) for table in tables) == 124
    found = collections.Counter(cell.paper for cell in paper_tables.cells())
    assert found == NUMBERS


def test_no_digit_has_slipped():
    found = collections.Counter()
    for table in paper_tables.tables():
        for value in (v for row in table.rows for v in row.values):
            number = paper_tables.NUMBER.match(value.removeprefix("~"))
            found[table.paper] += float(number[0]) if number else 0
    assert found == pytest.approx(SUMS)


def test_every_number_has_a_name_of_its_own():
    names = [str(cell) for cell in paper_tables.cells()]
    assert len(set(names)) == len(names)


def test_doubts_are_kept():
    """Nothing is mended in silence: each doubt is a remark."""
    remarks = [r for table in paper_tables.tables() for r in table.remarks]
    assert {remark.doubt for remark in remarks} - {0} == set(range(1, 19))


def test_a_remark_reaches_its_number():
    cells = {str(cell): cell for cell in paper_tables.cells()}
    twin = cells["HKMR Table 4, left: HKMR_MF, rectangle: P1"]
    assert ["slip" in remark.text for remark in twin.remarks] == [True]
    assert cells["HKMR Table 4, left: HKMR_MF, standard: P1"].remarks == ()
    # Its table's doubts are not about this number in particular.
    assert cells["HMR Table 1: HMR, reconstruction error"].remarks == ()


def test_every_tolerance_has_a_reason_and_is_small():
    for cell in paper_tables.cells():
        if not cell.requirements.not_reproducible:
            assert len(cell.requirements.tolerance_reason) > 10, cell
            assert 0 < cell.tolerance <= 0.1 * cell.value, cell


def test_run_times_and_held_out_labels_are_not_reproducible():
    cells = paper_tables.cells()
    for cell in cells:
        if cell.requirements.unit == "s" or str(cell).startswith(
            "HUND Table 2"
        ):
            assert cell.requirements.not_reproducible, cell
    assert sum(bool(cell.requirements.not_reproducible) for cell in cells) == 22


def test_a_mistyped_name_does_not_pass_for_a_planned_one():
    """It would read as not implemented for ever."""
    for cell in paper_tables.cells():
        requirements = cell.requirements
        if requirements.not_reproducible or PLANNED & {
            requirements.method,
            requirements.experiment,
            requirements.protocol,
        }:
            continue
        assert parity.missing_code(requirements) == "", cell


def test_metrics_are_in_the_unit_of_the_printed_number():
    for cell in paper_tables.cells():
        if not cell.requirements.not_reproducible:
            unit = "mm" if cell.requirements.unit == "mm" else ""
            named = cell.requirements.metric.rpartition("_")[2]
            assert (named == "mm") == (unit == "mm"), cell


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('paper = "HMR"', r"lacks \['columns', 'rows', 'table'\]"),
        ("not toml", "not a paper's table"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, text, fault):
    path = tmp_path / "hmr_9.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=fault) as raised:
        paper_tables.read(path)
    assert "hmr_9.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('values = ["yes", "56.8"]', 'values = ["56.8"]', "1 values for 2"),
        ('rows = ["Pavlakos et al. [33]"]', 'rows = ["Nobody"]', "Nobody"),
        ('metric = "pa_mpjpe_mm"\n', "", "metric"),
        ("tolerance_percent = 3\n", "", "tolerance"),
        ("tolerance_percent = 3\n", "wings = 2\n", "wings"),
    ],
)
def test_a_table_that_does_not_hold_together_is_named(
    tmp_path, old, new, fault
):
    text = (paper_tables.FOLDER / "hmr_1.toml").read_text()
    assert old in text
    path = tmp_path / "hmr_1.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=fault):
        paper_tables.read(path)
