"""A document as Markdown; pictures are files beside it."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.report import document as page


def write(document: page.Document, path: Path) -> None:
    """Writes the page; links to pictures are relative to it."""
    lines = [f"# {document.title}"]
    for each in document.blocks:
        lines += ["", *block(each, path.parent)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@functools.singledispatch
def block(what: page.Block, folder: Path) -> Iterator[str]:
    """The lines of one block; `folder` is where the page will be.

    Raises:
        TypeError: it is no block.
    """
    raise TypeError(f"{type(what).__name__} is no block of a report.")


@block.register
def _(what: page.Heading, folder: Path) -> Iterator[str]:
    aside = f"{what.aside}, " if what.aside else ""
    yield f"{'#' * what.level} {aside}{what.text}"


@block.register
def _(what: page.Text, folder: Path) -> Iterator[str]:
    yield f"**{what.text}**" if what.kind == "warning" else what.text


@block.register
def _(what: page.Items, folder: Path) -> Iterator[str]:
    yield from (f"- {item}" for item in what.items)


@block.register
def _(what: page.Commands, folder: Path) -> Iterator[str]:
    yield from ("```sh", *what.lines, "```")


@block.register
def _(what: page.Figure, folder: Path) -> Iterator[str]:
    link = os.path.relpath(what.path, folder)
    yield f"![{what.caption.replace('`', '')}]({link})"


@block.register
def _(what: page.Fold, folder: Path) -> Iterator[str]:
    yield f"{what.title}:"
    for each in what.blocks:
        yield ""
        yield from block(each, folder)


@block.register
def _(what: page.Counts, folder: Path) -> Iterator[str]:
    yield ", ".join(f"**{number}** {name}" for name, number, _ in what.numbers)


@block.register
def _(what: page.Links, folder: Path) -> Iterator[str]:
    yield " · ".join(text for text, _ in what.links)


@block.register
def _(what: page.Grid, folder: Path) -> Iterator[str]:
    names = list(what.head[-1])
    if len(what.head) > 1:
        names = _joined(what.head[0], names)
    yield _row([_entry(entry, "") for entry in names])
    rules = [":--" if e.kind in ("label", "words") else "--:" for e in names]
    yield _row(rules)
    for line in what.lines:
        fields = []
        for entry in line.entries:
            fields += [_entry(entry, line.kind)] + [""] * (entry.span - 1)
        yield _row(fields)


def _joined(
    groups: Sequence[page.Entry], names: Sequence[page.Entry]
) -> list[page.Entry]:
    """Column names with the heading over them in front: Markdown has one."""
    over = [group.text for group in groups for _ in range(group.span)]
    return [
        dataclasses.replace(
            name, text=f"{group}: {name.text}" if group else name.text
        )
        for group, name in zip(over, names, strict=True)
    ]


def _entry(entry: page.Entry, line: str) -> str:
    text = entry.text.replace("|", "\\|").replace("*", "\\*")
    if entry.mark:
        text += f"<sup>{entry.mark}</sup>"
    if entry.kind in ("pass", "fail"):
        return f"{text} ({entry.aside}) {entry.kind}"
    if entry.aside:
        text += f" {entry.aside}"
    if line in ("paper", "group") and text and entry.kind != "words":
        return f"**{text}**"
    if line == "context" and text:
        return f"<sub>{text}</sub>"
    return f"*{text}*" if entry.kind and line.startswith("ours") else text


def _row(fields: Sequence[str]) -> str:
    return "| " + " | ".join(fields) + " |"
