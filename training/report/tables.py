"""The papers' tables as blocks of a page: printed, measured, difference."""

import collections
import itertools
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence

from training.papers import paper_tables, parity
from training.papers.paper_tables import Cell, Table
from training.papers.parity import State, Verdict
from training.report.document import (
    Block,
    Commands,
    Entry,
    Fold,
    Grid,
    Heading,
    Items,
    Line,
)

Verdicts = Mapping[Cell, Verdict]
MEASURED = {State.PASS, State.FAIL}


def judge_all(results: Sequence[parity.Result]) -> dict[Cell, Verdict]:
    """The verdict on every number of the papers' own rows."""
    return {cell: parity.judge(cell, results) for cell in paper_tables.cells()}


def counted(verdicts: Verdicts) -> dict[str, collections.Counter[State]]:
    """How many numbers of each paper are in each state."""
    found: dict[str, collections.Counter[State]] = {}
    for table in paper_tables.tables():
        states = (verdicts[cell].state for cell in table.cells.values())
        found.setdefault(table.paper, collections.Counter()).update(states)
    return found


def blocks(table: Table, verdicts: Verdicts) -> Iterator[Block]:
    """Everything about one table."""
    yield Heading(3, f"{table.number}. {table.title}", table.name, table.paper)
    yield grid(table, verdicts)
    cells = list(table.cells.values())
    notes = [
        *_remarks(table),
        *_tolerances(cells),
        *_reasons(cells, verdicts),
    ]
    yield Items(tuple(notes), "small")
    sources = tuple(_sources(verdicts[cell] for cell in cells))
    if sources:
        yield Fold("Where ours is from", (Items(sources, "small"),))
    lines = [line for cell in cells for line in verdicts[cell].missing_commands]
    if lines:
        commands = Commands(tuple(dict.fromkeys(lines)))
        yield Fold("How to make what is missing", (commands,))


def grid(table: Table, verdicts: Verdicts) -> Grid:
    """Others' rows, the paper's own, and below each of these what is ours.

    Where all of ours is missing alike, one line at the end says so.
    """
    lines = []
    width = len(table.columns)
    missing = {verdicts[cell].state for cell in table.cells.values()}
    alike = len(missing) == 1 and not missing & MEASURED
    for group, rows in itertools.groupby(
        enumerate(table.rows), lambda pair: pair[1].group
    ):
        if group:
            wide = Entry(group, "label", span=1 + width)
            lines.append(Line((wide,), "group"))
        for number, row in rows:
            lines.append(_printed(table, row))
            mine = {j: c for (i, j), c in table.cells.items() if i == number}
            if mine and not alike:
                lines.append(_ours(width, mine, verdicts))
    if alike:
        label = Entry("ours, all rows", "label")
        entries = (label, _lacking(missing.pop(), width))
        lines.append(Line(entries, "ours all"))
    return Grid(_head(table), tuple(lines))


def _head(table: Table) -> tuple[tuple[Entry, ...], ...]:
    names = [Entry("", "label")]
    for column in table.columns:
        unit = f" ({column.unit})" if column.unit else ""
        marks = _marks(table, "", column.name)
        names.append(
            Entry(column.heading + unit, _look(table, column), mark=marks)
        )
    if not any(column.group for column in table.columns):
        return (tuple(names),)
    groups = [Entry("", "label")]
    for group, found in itertools.groupby(c.group for c in table.columns):
        groups.append(Entry(group, span=len(list(found))))
    return tuple(groups), tuple(names)


def _look(table: Table, column: paper_tables.Column) -> str:
    """The kind "words" for a column of text that holds no counts."""
    place = table.columns.index(column)
    values = [row.values[place] for row in table.rows]
    counts = any(paper_tables.NUMBER.match(value) for value in values)
    return "words" if column.text and not counts else ""


def _printed(table: Table, row: paper_tables.Row) -> Line:
    label = Entry(row.label, "label", mark=_marks(table, row.label, ""))
    values = [
        Entry(
            value,
            _look(table, column),
            mark=_marks(table, row.label, column.name),
        )
        for column, value in zip(table.columns, row.values, strict=True)
    ]
    return Line((label, *values), "paper" if row.own else "context")


def _ours(width: int, cells: Mapping[int, Cell], verdicts: Verdicts) -> Line:
    """Measured values; neighbours that lack the same share one field."""
    states = {verdicts[cell].state for cell in cells.values()}
    entries = [Entry("ours", "label")]
    if len(states) == 1 and not states & MEASURED:
        entries.append(_lacking(states.pop(), width))
        return Line(tuple(entries), "ours")
    fields = [cells.get(column) for column in range(width)]
    for state, run in itertools.groupby(
        fields, lambda cell: verdicts[cell].state if cell else None
    ):
        run = list(run)
        if state in MEASURED:
            entries += [_value(cell, verdicts[cell]) for cell in run]
        elif state is None:
            entries += [Entry() for _ in run]
        else:
            entries.append(_lacking(state, len(run)))
    return Line(tuple(entries), "ours")


def _lacking(state: State, span: int) -> Entry:
    return Entry(state.value, _kind(state), span)


def _value(cell: Cell, verdict: Verdict) -> Entry:
    number = paper_tables.NUMBER.match(cell.printed)[0]
    # Differences are small: a digit more where few are printed.
    decimals = max(3 if cell.value < 1 else 2, len(number.partition(".")[2]))
    return Entry(
        f"{verdict.value:.{decimals}f}",
        _kind(verdict.state),
        aside=f"{verdict.value - cell.value:+.{decimals}f}".replace("-", "−"),
    )


def _kind(state: State) -> str:
    return state.value.replace(" ", "-")


def _lettered(table: Table) -> dict[str, paper_tables.Remark]:
    """Remarks about some rows or columns, each with a letter."""
    some = [each for each in table.remarks if each.rows or each.columns]
    return dict(zip(string.ascii_lowercase, some, strict=False))


def _marks(table: Table, row: str, column: str) -> str:
    """Letters of the remarks about exactly this row, column or field."""
    found = []
    for letter, remark in _lettered(table).items():
        by_row = row in remark.rows if remark.rows else not row
        by_column = column in remark.columns if remark.columns else not column
        if by_row and by_column:
            found.append(letter)
    return " ".join(found)


def _remarks(table: Table) -> Iterator[str]:
    for letter, remark in _lettered(table).items():
        yield f"{letter}: {remark.text}"
    for remark in table.remarks:
        if not remark.rows and not remark.columns:
            yield remark.text


def _tolerances(cells: Sequence[Cell]) -> Iterator[str]:
    """One sentence for each reason, with the sizes and their columns."""
    said: dict[str, dict[str, list[str]]] = {}
    for cell in cells:
        needs = cell.needs
        if needs.not_reproducible:
            continue
        size = f"{needs.tolerance_percent:g} % of the printed number"
        if needs.tolerance:
            unit = "points" if needs.unit == "%" else needs.unit
            size = f"{needs.tolerance:g} {unit}".strip()
        sizes = said.setdefault(needs.tolerance_reason, {})
        sizes.setdefault(size, []).append(cell.column)
    alone = len(said) == 1 and len(next(iter(said.values()))) == 1
    for reason, sizes in said.items():
        parts = [
            size if alone else f"{size} ({_named(columns)})"
            for size, columns in sizes.items()
        ]
        yield f"Tolerance: {', '.join(parts)}. {reason}"


def _named(columns: Sequence[str]) -> str:
    """Columns in short: by heading where groups have one, else by group."""
    pairs = [column.rpartition(": ")[::2] for column in columns]
    headings = {heading for _, heading in pairs}
    return ", ".join(
        dict.fromkeys(
            heading if len(headings) == 1 or not group else group
            for group, heading in pairs
        )
    )


def _reasons(cells: Sequence[Cell], verdicts: Verdicts) -> Iterator[str]:
    """Why values are missing, and which results nearly count."""
    whys: dict[State, dict[str, None]] = {}
    for cell in cells:
        verdict = verdicts[cell]
        if verdict.reason:
            whys.setdefault(verdict.state, {})[verdict.reason.rstrip(".")] = (
                None
            )
    for state, reasons in whys.items():
        if state == State.NO_RESULT:
            # Of many numbers: the first says enough.
            reasons = list(reasons)[:1]
        yield f"{state.value.capitalize()}: {'; '.join(reasons)}."


def _sources(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Where the measured values are from."""
    used = {v.result.path: v.result for v in verdicts if v.result}
    for path, result in used.items():
        yield (
            f"`{path}`: commit {result.commit}, "
            f"{result.content.get('measured', 0):,} examples, body "
            f"{result.content.get('body')}; `{result.command}`"
        )
