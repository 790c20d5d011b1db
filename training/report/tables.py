"""The papers' tables as blocks: printed and measured numbers, differences."""

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


def count_states(verdicts: Verdicts) -> dict[str, collections.Counter[State]]:
    """The count of numbers in each state, by paper."""
    counts: dict[str, collections.Counter[State]] = {}
    for table in paper_tables.tables():
        states = (verdicts[cell].state for cell in table.cells.values())
        counts.setdefault(table.paper, collections.Counter()).update(states)
    return counts


def blocks(table: Table, verdicts: Verdicts) -> Iterator[Block]:
    """All blocks about one table."""
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
    """The printed rows, with our values below each of the paper's own.

    If all our values are missing for one reason, one line at the end says so.
    """
    lines = []
    width = len(table.columns)
    states = {verdicts[cell].state for cell in table.cells.values()}
    alike = len(states) == 1 and not states & MEASURED
    for group, rows in itertools.groupby(
        enumerate(table.rows), lambda pair: pair[1].group
    ):
        if group:
            group_label = Entry(group, "label", span=1 + width)
            lines.append(Line((group_label,), "group"))
        for number, row in rows:
            lines.append(_printed(table, row))
            own_cells = {
                j: c for (i, j), c in table.cells.items() if i == number
            }
            if own_cells and not alike:
                lines.append(_ours(width, own_cells, verdicts))
    if alike:
        label = Entry("ours, all rows", "label")
        entries = (label, _missing(states.pop(), width))
        lines.append(Line(entries, "ours all"))
    return Grid(_head(table), tuple(lines))


def _head(table: Table) -> tuple[tuple[Entry, ...], ...]:
    names = [Entry("", "label")]
    for column in table.columns:
        unit = f" ({column.unit})" if column.unit else ""
        marks = _marks(table, "", column.name)
        names.append(
            Entry(
                column.heading + unit,
                _kind_of_column(table, column),
                mark=marks,
            )
        )
    if not any(column.group for column in table.columns):
        return (tuple(names),)
    groups = [Entry("", "label")]
    for group, columns in itertools.groupby(c.group for c in table.columns):
        groups.append(Entry(group, span=len(list(columns))))
    return tuple(groups), tuple(names)


def _kind_of_column(table: Table, column: paper_tables.Column) -> str:
    """The kind "words" for a column of text that holds no counts."""
    index = table.columns.index(column)
    values = [row.values[index] for row in table.rows]
    counts = any(paper_tables.NUMBER.match(value) for value in values)
    return "words" if column.text and not counts else ""


def _printed(table: Table, row: paper_tables.Row) -> Line:
    label = Entry(row.label, "label", mark=_marks(table, row.label, ""))
    entries = [
        Entry(
            value,
            _kind_of_column(table, column),
            mark=_marks(table, row.label, column.name),
        )
        for column, value in zip(table.columns, row.values, strict=True)
    ]
    return Line((label, *entries), "paper" if row.own else "context")


def _ours(width: int, cells: Mapping[int, Cell], verdicts: Verdicts) -> Line:
    """Our values; neighbours in the same unmeasured state share one field."""
    states = {verdicts[cell].state for cell in cells.values()}
    entries = [Entry("ours", "label")]
    if len(states) == 1 and not states & MEASURED:
        entries.append(_missing(states.pop(), width))
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
            entries.append(_missing(state, len(run)))
    return Line(tuple(entries), "ours")


def _missing(state: State, span: int) -> Entry:
    return Entry(state.value, _kind(state), span)


def _value(cell: Cell, verdict: Verdict) -> Entry:
    number = paper_tables.NUMBER.match(cell.printed)[0]
    # Differences are small and need more digits than some papers print.
    decimals = max(3 if cell.value < 1 else 2, len(number.partition(".")[2]))
    aside = f"{verdict.value - cell.value:+.{decimals}f}".replace("-", "−")
    if verdict.state == State.PASS and cell.requirements.by_construction:
        aside += " by construction"
    return Entry(
        f"{verdict.value:.{decimals}f}", _kind(verdict.state), aside=aside
    )


def _kind(state: State) -> str:
    return state.value.replace(" ", "-")


def _remarks_by_letter(table: Table) -> dict[str, paper_tables.Remark]:
    """Remarks about particular rows or columns, by letter."""
    remarks = [
        remark for remark in table.remarks if remark.rows or remark.columns
    ]
    return dict(zip(string.ascii_lowercase, remarks, strict=False))


def _marks(table: Table, row: str, column: str) -> str:
    """Letters of the remarks about exactly this row, column or field."""
    letters = []
    for letter, remark in _remarks_by_letter(table).items():
        by_row = row in remark.rows if remark.rows else not row
        by_column = column in remark.columns if remark.columns else not column
        if by_row and by_column:
            letters.append(letter)
    return " ".join(letters)


def _remarks(table: Table) -> Iterator[str]:
    for letter, remark in _remarks_by_letter(table).items():
        yield f"{letter}: {remark.text}"
    for remark in table.remarks:
        if not remark.rows and not remark.columns:
            yield remark.text


def _tolerances(cells: Sequence[Cell]) -> Iterator[str]:
    """One sentence per reason, with the tolerances and their columns."""
    columns_by_size: dict[str, dict[str, list[str]]] = {}
    for cell in cells:
        requirements = cell.requirements
        if requirements.not_reproducible:
            continue
        size = f"{requirements.tolerance_percent:g} % of the printed number"
        if requirements.tolerance:
            unit = "points" if requirements.unit == "%" else requirements.unit
            size = f"{requirements.tolerance:g} {unit}".strip()
        sizes = columns_by_size.setdefault(requirements.tolerance_reason, {})
        sizes.setdefault(size, []).append(cell.column)
    is_single = (
        len(columns_by_size) == 1
        and len(next(iter(columns_by_size.values()))) == 1
    )
    for reason, sizes in columns_by_size.items():
        parts = [
            size if is_single else f"{size} ({_short_names(columns)})"
            for size, columns in sizes.items()
        ]
        yield f"Tolerance: {', '.join(parts)}. {reason}"


def _short_names(columns: Sequence[str]) -> str:
    """Short column names: by heading if all share it, else by group."""
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
    reasons_by_state: dict[State, dict[str, None]] = {}
    for cell in cells:
        verdict = verdicts[cell]
        if verdict.reason:
            reasons = reasons_by_state.setdefault(verdict.state, {})
            reasons[verdict.reason.rstrip(".")] = None
    for state, reasons in reasons_by_state.items():
        if state == State.NO_RESULT:
            # There can be many; one is enough.
            reasons = list(reasons)[:1]
        yield f"{state.value.capitalize()}: {'; '.join(reasons)}."


def _sources(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """The results that the measured values are from."""
    results = {v.result.path: v.result for v in verdicts if v.result}
    for path, result in results.items():
        yield (
            f"`{path}`: commit {result.commit}, "
            f"{result.content.get('measured', 0):,} examples, body "
            f"{result.content.get('body')}; `{result.command}`"
        )
