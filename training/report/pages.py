"""Writes the page of the papers' numbers and our results."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tf_hmr.formats import atomic
from training.engine import workdir
from training.papers import paper_tables, parity
from training.papers.parity import State
from training.report import claims, html, markdown, tables
from training.report import results as pages
from training.report.document import (
    Block,
    Counts,
    Document,
    Figure,
    Heading,
    Items,
    Links,
    Text,
)

if TYPE_CHECKING:
    from training.report.__main__ import Report

MEANINGS = {
    State.PASS: "within the tolerance written under its table, and in the "
    "printed order of numbers that are nearer than it.",
    State.FAIL: "measured, and further off than that, either way, or in the "
    "other order.",
    State.NO_RESULT: "everything is there but the result; the commands that "
    "make it stand under the table.",
    State.NOT_IMPLEMENTED: "its method, experiment or protocol is not there.",
    State.NOT_REPRODUCIBLE: "needs what only its authors have, as their "
    "machine or labels that are held out.",
}


def report(flags: Report) -> tuple[Path, Path]:
    """Writes the pages; returns their paths.

    Raises:
        FileNotFoundError: a folder of results is missing.
        ValueError: a result, a claim or a figure cannot be read.
    """
    results = parity.read_results(flags.results)
    verdicts = tables.judge_all(results)
    flags.out.mkdir(parents=True, exist_ok=True)
    plots = flags.out / "pictures"
    document = Document(
        "Paper tables, and what was measured here",
        tuple(_blocks(flags, results, verdicts, plots)),
    )
    text, page = flags.out / "RESULTS.md", flags.out / "results.html"
    markdown.write(document, text)
    html.write(document, page)
    return text, page


def _blocks(flags, results, verdicts, plots: Path) -> Iterator[Block]:
    yield from _overview(results, verdicts, plots)
    for paper, printed_tables in itertools.groupby(
        paper_tables.tables(), lambda table: table.paper
    ):
        printed_tables = list(printed_tables)
        yield Heading(2, paper, paper.lower())
        yield Text(f"{printed_tables[0].source}.", "small")
        for table in printed_tables:
            yield from tables.blocks(table, verdicts)
    tabulated = {v.result.path for v in verdicts.values() if v.result}
    yield from pages.other_results(results, tabulated)
    yield from pages.synthetic(results, plots)
    yield from claims.blocks(flags.results)


def _overview(results, verdicts, plots: Path) -> Iterator[Block]:
    counts = tables.count_states(verdicts)
    environment = workdir.environment()
    yield Text(
        f"{len(counts)} papers, {len(paper_tables.tables())} tables, "
        f"{len(verdicts)} numbers of the papers' own rows, held against "
        f"{len(results)} results. Written by `python -m training.report "
        f"{' '.join(sys.argv[1:])}` at commit {environment['commit']}.",
        "small",
    )
    total = {s: sum(c[s] for c in counts.values()) for s in State}
    yield Counts(
        tuple((s.value, n, s.value.replace(" ", "-")) for s, n in total.items())
    )
    anchors = [(paper, paper.lower()) for paper in counts]
    anchors += [("Synthetic results", "synthetic"), ("Claims", "claims")]
    yield Links(tuple(anchors))
    yield Items(
        tuple(f"{state.value}: {text}" for state, text in MEANINGS.items()),
        "small",
    )
    yield Figure(plot(counts, plots), "The papers' own numbers by state.")
    yield Text(
        "In the tables, a paper's own rows are dark, with ours and the "
        "difference below; other rows are context, as that paper quotes them. "
        "Letters lead to remarks about what is printed."
    )


def plot(counts: Mapping[str, Mapping[State, int]], folder: Path) -> Path:
    """Draws a bar of states for each paper."""
    # Figure, not pyplot: no display is touched and no global state is left.
    from matplotlib.figure import Figure as Plot

    colours = ("#2e8b57", "#c0392b", "#e0a100", "#c9ced6", "#e9ecf0")
    figure = Plot(figsize=(9, 0.45 * len(counts) + 0.7), layout="constrained")
    axes = figure.subplots()
    papers = list(counts)[::-1]
    left = [0] * len(papers)
    for state, colour in zip(State, colours, strict=True):
        widths = [counts[paper][state] for paper in papers]
        bars = axes.barh(
            papers, widths, 0.6, left, color=colour, label=state.value
        )
        names = [str(width) if width else "" for width in widths]
        axes.bar_label(bars, names, label_type="center", fontsize=8)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    figure.legend(ncols=len(State), loc="outside lower center", frameon=False)
    path = folder / "states.png"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as part:
        figure.savefig(part, dpi=150)
    return path
