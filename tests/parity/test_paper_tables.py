"""The tables as data: all there, whole, and what they need makes sense."""

import collections

import pytest

from training.evaluation import protocols
from training.papers import paper_tables, parity

# Of each paper: numbers of its own rows.
NUMBERS = {"HMR": 28, "SMPLR": 175, "HKMR": 49, "HUND": 21}
# And the sum of all that is printed, added up from the papers' text.
SUMS = {"HMR": 4117.85, "SMPLR": 12647.852, "HKMR": 7459.095, "HUND": 7825.53}
# Methods, experiments and protocols that are still to come.
PLANNED: set[str] = set()


def test_all_tables_are_there():
    tables = paper_tables.tables()
    assert len(tables) == 23
    assert sum(len(table.rows) for table in tables) == 124
    counts = collections.Counter(cell.paper for cell in paper_tables.cells())
    assert counts == NUMBERS


def test_no_digit_has_slipped():
    sums = collections.Counter()
    for table in paper_tables.tables():
        for value in (v for row in table.rows for v in row.values):
            number = paper_tables.NUMBER.match(value.removeprefix("~"))
            sums[table.paper] += float(number[0]) if number else 0
    assert sums == pytest.approx(SUMS)


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


def test_orders_are_checked_where_the_tolerance_hides_them():
    """And nowhere else: cell, then what it is ordered against."""
    orders = {
        f"{cell.table}: {cell.row}, {cell.column}": [
            other_cell.column if other_cell.row == cell.row else other_cell.row
            for other_cell in cell.ordered_against
        ]
        for cell in paper_tables.cells()
        if cell.ordered_against
    }
    left, right = "Table 5, left: HKMR_MF, ", "Table 4, right: HKMR_MF, "
    spin = [
        *(
            "Table 4, left: HKMR_MF, standard: P1",
            "Table 5, right: HKMR_MF, P1",
        ),
        *(f"{left}foreground: accuracy", f"{left}foreground: F1"),
        *(f"{left}parts: accuracy", f"{left}parts: F1"),
        *(f"{right}MPJPE", f"{right}PCK"),
    ]
    steps = {
        f"Table 3, left: {row}, {column}": [other_column]
        for row in ("P1", "P2")
        for column, other_column in (("3", "4"), ("4", "3"))
    }
    assert orders == dict.fromkeys(spin, ["SPIN [6]"]) | steps


# Cells that stand on another rule than the plain name of their paper says.
RULES = {
    "HMR Table 3": {"mpi_inf_3dhp_hmr"},
    "HMR Table 4": {"lsp_segmentation_hmr"},
    "HKMR Table 5, left": {"lsp_segmentation"},
    "HKMR Table 4, left": {
        f"h36m_{number}_spin{pattern}"
        for number in ("p1", "p2")
        for pattern in ("", "_bar_hkmr", "_circle_hkmr", "_rectangle_hkmr")
    },
}


@pytest.mark.parametrize("name", RULES)
def test_every_column_of_a_table_stands_on_one_ruler(name):
    table_protocols = {
        cell.requirements.protocol
        for cell in paper_tables.cells()
        if f"{cell.paper} {cell.table}" == name
        and not cell.requirements.not_reproducible
    }
    assert table_protocols == RULES[name]


def test_training_records_have_the_rules_of_the_boxes_that_are_seen():
    """But where a second reading of P2 is of other boxes."""
    for cell in paper_tables.cells():
        requirements = cell.requirements
        if requirements.not_reproducible or parity.missing_code(requirements):
            continue
        if cell.paper == "HUND":
            continue  # It does not say how its boxes are made.
        # Of SMPLR's datasets only SURREAL has rules.
        has_rules = requirements.rules in ("hmr", "spin", "smplr")
        assert has_rules or cell.paper == "SMPLR", cell
        if requirements.metric == paper_tables.PARAMETERS:
            continue
        boxes = protocols.get(requirements.protocol).box_rules
        assert boxes in ("everyone", requirements.rules), cell


def test_p2_of_hkmr_has_two_readings():
    for cell in paper_tables.cells():
        requirements = cell.requirements
        protocol = requirements.protocol
        other_protocols = requirements.other_protocols
        is_p2 = cell.paper == "HKMR" and protocol.startswith("h36m_p2_")
        assert len(other_protocols) == is_p2, cell
        if other_protocols:
            names = {"spin" in name for name in (protocol, *other_protocols)}
            assert names == {True, False}, cell


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
        ("[[remarks]]\n", '[[orders]]\nrows = ["A"]\n[[remarks]]\n', "'A'"),
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
