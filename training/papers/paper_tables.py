"""The tables that the four papers print, and what each number of theirs needs.

One file of the folder paper_tables is one printed table (or one half of it):

    paper, year, table, title, source   whose it is
    [cell]        what holds for all of the paper's own numbers
    [[columns]]   heading, perhaps a group over several; `text` for words
    [[rows]]      label, values as printed; `own` for the paper's own rows
    [[remarks]]   doubts, of all or of named rows and columns

A number of a row that is the paper's own is a Cell. What it needs (the fields
of `Needs`) is written where it holds: [cell], the column, then the row, each
over the one before. Other rows are context; `checked` names columns of such a
row that are about a method of ours.
"""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("paper_tables")
NUMBER = re.compile(r"\d+(\.\d+)?")
PARAMETERS = "parameters"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """What makes a number, and how near ours has to come."""

    method: str
    """The method of tf_hmr.methods."""
    experiment: str = ""
    """The experiment of training.experiments."""
    options: tuple[str, ...] = ()
    """Words after it that change the experiment."""
    protocol: str = ""
    """The protocol of training.evaluation.protocols."""
    metric: str = ""
    """The metric of its results; "parameters" is counted in the model."""
    unit: str = ""
    """Of the printed number and of the metric."""
    tolerance: float = 0.0
    """Largest difference, either way, in the unit."""
    tolerance_percent: float = 0.0
    """The same in percent of the printed number; the larger one holds."""
    tolerance_reason: str = ""
    """Why so much."""
    not_reproducible: str = ""
    """Why nobody else can measure it; empty where they can."""


@dataclasses.dataclass(frozen=True)
class Remark:
    """A doubt about what is printed."""

    text: str
    doubt: int = 0
    """Its number in the list of doubts of whoever typed the tables; 0: none."""
    rows: tuple[str, ...] = ()
    """Labels of the rows it is about; all when empty."""
    columns: tuple[str, ...] = ()
    """Names of the columns it is about; all when empty."""

    def is_about(self, row: str, column: str) -> bool:
        """Whether it is about this number in particular."""
        if not self.rows and not self.columns:
            return False
        return (not self.rows or row in self.rows) and (
            not self.columns or column in self.columns
        )


@dataclasses.dataclass(frozen=True)
class Column:
    """One column; its name is "group: heading", or the heading."""

    heading: str
    group: str = ""
    """A heading over this and its neighbours of the same group."""
    text: bool = False
    """It holds words or counts, nothing that is measured."""
    needs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.group}: {self.heading}" if self.group else self.heading

    @property
    def unit(self) -> str:
        return "" if self.text else self.needs.get("unit", "")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row, its values as printed."""

    label: str
    values: tuple[str, ...]
    group: str = ""
    own: bool = False
    """It is the paper's own method."""
    checked: tuple[str, ...] = ()
    """Of another's row: columns about a method that is here."""
    needs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.group}: {self.label}" if self.group else self.label


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of the paper's own."""

    paper: str
    table: str
    row: str
    column: str
    printed: str
    """As in the paper."""
    needs: Needs
    remarks: tuple[Remark, ...] = ()

    @property
    def value(self) -> float:
        return float(NUMBER.match(self.printed)[0])

    @property
    def tolerance(self) -> float:
        """Largest difference that passes; the printed precision at least."""
        decimals = len(NUMBER.match(self.printed)[0].partition(".")[2])
        share = self.needs.tolerance_percent / 100 * self.value
        return max(self.needs.tolerance, share, 0.5 * 10**-decimals)

    def agrees(self, value: float) -> bool:
        """Whether `value` is within the tolerance, its edge included."""
        return abs(value - self.value) <= self.tolerance + 1e-9

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

    @functools.cached_property
    def cells(self) -> dict[tuple[int, int], Cell]:
        """The paper's own numbers, by row and column from 0."""
        return {
            (i, j): self._cell(row, column, row.values[j])
            for i, row in enumerate(self.rows)
            for j, column in enumerate(self.columns)
            if (row.own or column.name in row.checked)
            and not column.text
            and NUMBER.match(row.values[j])
        }

    def _cell(self, row: Row, column: Column, printed: str) -> Cell:
        return Cell(
            paper=self.paper,
            table=self.number,
            row=row.name,
            column=column.name,
            printed=printed,
            needs=Needs(**column.needs | row.needs),
            remarks=tuple(
                remark
                for remark in self.remarks
                if remark.is_about(row.label, column.name)
            ),
        )


@functools.cache
def tables() -> tuple[Table, ...]:
    """All tables, the papers by year."""
    found = [read(path) for path in sorted(FOLDER.glob("*.toml"))]
    return tuple(sorted(found, key=lambda each: (each.year, each.name)))


def cells() -> list[Cell]:
    """All numbers of the papers' own rows."""
    return [cell for table in tables() for cell in table.cells.values()]


def read(path: Path) -> Table:
    """One file.

    Raises:
        ValueError: it is no such table; names file and fault.
    """
    try:
        return _table(path.stem, tomllib.loads(path.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a paper's table: {error}") from error


def _table(name: str, content: dict[str, Any]) -> Table:
    lacking = {"paper", "table", "columns", "rows"} - content.keys()
    if lacking:
        raise ValueError(f"it lacks {sorted(lacking)}")
    common = content.pop("cell", {})
    table = Table(
        name=name,
        number=content.pop("table"),
        columns=tuple(
            _with_needs(Column, column, common)
            for column in content.pop("columns")
        ),
        rows=tuple(_with_needs(Row, row, {}) for row in content.pop("rows")),
        remarks=tuple(
            Remark(**_with_tuples(each)) for each in content.pop("remarks", ())
        ),
        **content,
    )
    _check_names(table)
    for cell in table.cells.values():
        _check_needs(cell)
    return table


def _with_needs(kind: type, given: dict[str, Any], common: dict[str, Any]):
    """A Column or Row; what is none of its fields is what its cells need."""
    fields = {field.name for field in dataclasses.fields(kind)}
    own = {key: value for key, value in given.items() if key in fields}
    rest = {key: value for key, value in given.items() if key not in fields}
    needs = _with_tuples(common | rest)
    unknown = needs.keys() - {each.name for each in dataclasses.fields(Needs)}
    if unknown:
        raise ValueError(f"nothing is called {sorted(unknown)}")
    return kind(**_with_tuples(own), needs=needs)


def _with_tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in given.items()
    }


def _check_names(table: Table) -> None:
    """Rows are as long as there are columns; what remarks name is there."""
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
    named = {name for each in table.remarks for name in each.columns}
    named |= {name for row in table.rows for name in row.checked}
    lost = named - set(columns)
    lost |= {name for each in table.remarks for name in each.rows} - set(labels)
    if lost:
        raise ValueError(f"no row or column is called {sorted(lost)}")


def _check_needs(cell: Cell) -> None:
    needs = cell.needs
    if needs.not_reproducible:
        return
    wanted = {
        "experiment": needs.experiment,
        "metric": needs.metric,
        "protocol": needs.protocol or needs.metric == PARAMETERS,
        "tolerance": needs.tolerance or needs.tolerance_percent,
        "tolerance_reason": needs.tolerance_reason,
    }
    lacking = [name for name, value in wanted.items() if not value]
    if lacking:
        raise ValueError(f"{cell} lacks {lacking}")
