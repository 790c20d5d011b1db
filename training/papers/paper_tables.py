"""The tables that the four papers print, and how to reproduce their numbers.

One file of the folder paper_tables is one printed table (or one half of it):

    paper, year, table, title, source   identify the table
    [cell]        requirements of all of the paper's own numbers
    [[columns]]   heading, optionally a group of several; `text` for words
    [[rows]]      label, values as printed; `own` for the paper's own rows
    [[remarks]]   doubts about the table, or about named rows and columns

A number in one of the paper's own rows is a Cell. The fields of its
`Requirements` are written in [cell], in the column and in the row; a later one
overrides an earlier one. Other rows are context; `checked` names columns of
such a row that are about a method of ours.
"""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_hmr.formats import listing

FOLDER = Path(__file__).with_name("paper_tables")
NUMBER = re.compile(r"\d+(\.\d+)?")
PARAMETERS = "parameters"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requirements:
    """How to reproduce a number, and the tolerance of the comparison."""

    method: str
    """The method of tf_hmr.methods."""
    experiment: str = ""
    """The experiment of training.experiments."""
    options: tuple[str, ...] = ()
    """Command line options that change the experiment."""
    rules: str = ""
    """The --rules of the training records; "" for any."""
    topology: str = "smpl"
    """Topology of the model's body."""
    output: str = ""
    """The part of the method that is measured; "" for its answer."""
    protocol: str = ""
    """The protocol of training.evaluation.protocols."""
    other_protocols: tuple[str, ...] = ()
    """Other readings of what the paper says of its protocol; the number is
    not called failed before these are measured as well."""
    metric: str = ""
    """The metric of its results; "parameters" is counted in the model."""
    unit: str = ""
    """Unit of the printed number and of the metric."""
    tolerance: float = 0.0
    """Largest absolute difference, in the unit."""
    tolerance_percent: float = 0.0
    """The same in percent of the printed number; the larger one holds."""
    tolerance_reason: str = ""
    """Reason for the size of the tolerance."""
    by_construction: str = ""
    """Why a pass says nothing of the paper's claim; "" if it does."""
    not_reproducible: str = ""
    """Reason why only the authors can measure it; "" if others can."""


@dataclasses.dataclass(frozen=True)
class Remark:
    """A doubt about a printed table."""

    text: str
    doubt: int = 0
    """Its number in the typist's list of doubts; 0: not in the list."""
    rows: tuple[str, ...] = ()
    """Labels of the rows it concerns; all when empty."""
    columns: tuple[str, ...] = ()
    """Names of the columns it concerns; all when empty."""

    def is_about(self, row: str, column: str) -> bool:
        """Tests whether it concerns this number in particular."""
        if not self.rows and not self.columns:
            return False
        return (not self.rows or row in self.rows) and (
            not self.columns or column in self.columns
        )


@dataclasses.dataclass(frozen=True)
class Order:
    """Two rows, or two columns, whose difference the table is there to show."""

    rows: tuple[str, ...] = ()
    """Two labels, or none."""
    columns: tuple[str, ...] = ()
    """Two names, or none."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One column; its name is "group: heading", or the heading."""

    heading: str
    group: str = ""
    """A heading over this and its neighbours of the same group."""
    text: bool = False
    """The column holds words or counts, no measurements."""
    requirements: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.group}: {self.heading}" if self.group else self.heading

    @property
    def unit(self) -> str:
        return "" if self.text else self.requirements.get("unit", "")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row, its values as printed."""

    label: str
    values: tuple[str, ...]
    group: str = ""
    own: bool = False
    """The row is about the paper's own method."""
    checked: tuple[str, ...] = ()
    """In a row of another paper: columns about a method implemented here."""
    requirements: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.group}: {self.label}" if self.group else self.label


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number that a paper prints for its own method."""

    paper: str
    table: str
    row: str
    column: str
    printed: str
    """The text in the paper."""
    requirements: Requirements
    remarks: tuple[Remark, ...] = ()
    ordered_against: tuple["Cell", ...] = ()
    """Numbers that are nearer than the tolerance, and that this one is printed
    to differ from: ours must have the same order."""

    @property
    def value(self) -> float:
        return float(NUMBER.match(self.printed)[0])

    @property
    def tolerance(self) -> float:
        """Largest passing difference, at least the printed precision."""
        decimals = len(NUMBER.match(self.printed)[0].partition(".")[2])
        share = self.requirements.tolerance_percent / 100 * self.value
        return max(self.requirements.tolerance, share, 0.5 * 10**-decimals)

    def agrees(self, value: float) -> bool:
        """Tests whether `value` is within the tolerance, inclusively."""
        return abs(value - self.value) <= self.tolerance + 1e-9

    def has_order(
        self, value: float, neighbour: "Cell", neighbour_value: float
    ) -> bool:
        """Tests whether our two numbers have the order of the printed ones."""
        printed_difference = self.value - neighbour.value
        return printed_difference * (value - neighbour_value) > 0

    def __str__(self) -> str:
        return f"{self.paper} {self.table}: {self.row}, {self.column}"


@dataclasses.dataclass(frozen=True)
class Table:
    """A printed table."""

    name: str
    paper: str
    year: int
    number: str
    title: str
    source: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    remarks: tuple[Remark, ...]
    orders: tuple[Order, ...] = ()

    @functools.cached_property
    def cells(self) -> dict[tuple[int, int], Cell]:
        """The paper's own numbers by (row, column), counted from 0."""
        return {
            (i, j): self._with_orders(self._cell(row, column), row, column)
            for i, row in enumerate(self.rows)
            for j, column in enumerate(self.columns)
            if (row.own or column.name in row.checked)
            and not column.text
            and NUMBER.match(row.values[j])
        }

    def _with_orders(self, cell: Cell, row: Row, column: Column) -> Cell:
        """The cell with the numbers of `orders` within its tolerance."""
        neighbours = []
        for order in self.orders:
            if row.label in order.rows:
                neighbours += [
                    self._cell(neighbour, column)
                    for neighbour in self.rows
                    if neighbour.label in order.rows and neighbour != row
                ]
            if column.name in order.columns:
                neighbours += [
                    self._cell(row, neighbour)
                    for neighbour in self.columns
                    if neighbour.name in order.columns and neighbour != column
                ]
        within = [
            neighbour
            for neighbour in neighbours
            if 0 < abs(cell.value - neighbour.value) <= cell.tolerance + 1e-9
        ]
        return dataclasses.replace(cell, ordered_against=tuple(within))

    def _cell(self, row: Row, column: Column) -> Cell:
        printed = row.values[self.columns.index(column)]
        return Cell(
            paper=self.paper,
            table=self.number,
            row=row.name,
            column=column.name,
            printed=printed,
            requirements=Requirements(**column.requirements | row.requirements),
            remarks=tuple(
                remark
                for remark in self.remarks
                if remark.is_about(row.label, column.name)
            ),
        )


@functools.cache
def tables() -> tuple[Table, ...]:
    """All tables, sorted by the year of the paper."""
    tables = [read(path) for path in listing.files(FOLDER, "*.toml")]
    return tuple(sorted(tables, key=lambda table: (table.year, table.name)))


def cells() -> list[Cell]:
    """All numbers of the papers' own rows."""
    return [cell for table in tables() for cell in table.cells.values()]


def read(path: Path) -> Table:
    """Reads one table.

    Raises:
        ValueError: the file is not such a table; the message says why.
    """
    try:
        return _table(path.stem, tomllib.loads(path.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a paper's table: {error}") from error


def _table(name: str, content: dict[str, Any]) -> Table:
    missing = {"paper", "table", "columns", "rows"} - content.keys()
    if missing:
        raise ValueError(f"it lacks {sorted(missing)}")
    common = content.pop("cell", {})
    table = Table(
        name=name,
        number=content.pop("table"),
        columns=tuple(
            _with_requirements(Column, column, common)
            for column in content.pop("columns")
        ),
        rows=tuple(
            _with_requirements(Row, row, {}) for row in content.pop("rows")
        ),
        remarks=tuple(
            Remark(**_with_tuples(remark))
            for remark in content.pop("remarks", ())
        ),
        orders=tuple(
            Order(**_with_tuples(order)) for order in content.pop("orders", ())
        ),
        **content,
    )
    _check_names(table)
    for cell in table.cells.values():
        for checked_cell in (cell, *cell.ordered_against):
            _check_requirements(checked_cell)
    return table


def _with_requirements(
    kind: type, entry: dict[str, Any], common: dict[str, Any]
):
    """A Column or Row; entries that are not its fields are requirements."""
    fields = {field.name for field in dataclasses.fields(kind)}
    attributes = {key: value for key, value in entry.items() if key in fields}
    requirement_entries = {
        key: value for key, value in entry.items() if key not in fields
    }
    requirements = _with_tuples(common | requirement_entries)
    unknown = requirements.keys() - {
        field.name for field in dataclasses.fields(Requirements)
    }
    if unknown:
        raise ValueError(f"nothing is called {sorted(unknown)}")
    return kind(**_with_tuples(attributes), requirements=requirements)


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.items()
    }


def _check_names(table: Table) -> None:
    """Checks that rows have a value per column and remarks name real ones."""
    columns = [column.name for column in table.columns]
    labels = [row.label for row in table.rows]
    if len(set(columns)) != len(columns):
        raise ValueError(f"columns have the same name: {columns}")
    for row in table.rows:
        if len(row.values) != len(columns):
            raise ValueError(
                f"{row.name!r} has {len(row.values)} values for "
                f"{len(columns)} columns"
            )
    named = {name for remark in table.remarks for name in remark.columns}
    named |= {name for row in table.rows for name in row.checked}
    named |= {name for order in table.orders for name in order.columns}
    unknown = named - set(columns)
    named = {name for remark in table.remarks for name in remark.rows}
    named |= {name for order in table.orders for name in order.rows}
    unknown |= named - set(labels)
    if unknown:
        raise ValueError(f"no row or column is called {sorted(unknown)}")


def _check_requirements(cell: Cell) -> None:
    requirements = cell.requirements
    if requirements.not_reproducible:
        return
    expected = {
        "experiment": requirements.experiment,
        "metric": requirements.metric,
        "protocol": requirements.protocol or requirements.metric == PARAMETERS,
        "tolerance": requirements.tolerance or requirements.tolerance_percent,
        "tolerance_reason": requirements.tolerance_reason,
    }
    missing = [name for name, value in expected.items() if not value]
    if missing:
        raise ValueError(f"{cell} lacks {missing}")
