"""Writes a document as Markdown; images are files beside it."""

import dataclasses
import functools
import html
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tf_hmr.formats import atomic
from training.report import document as page

# Only as many backticks as begin code end it: the one of "`<b>``" begins none.
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")


def write(document: page.Document, path: Path) -> None:
    """Writes the page; links to images are relative to it."""
    lines = [f"# {_text(document.title)}"]
    for content in document.blocks:
        lines += ["", *block(content, path.parent)]
    with atomic.replacing(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


@functools.singledispatch
def block(content: page.Block, folder: Path) -> Iterator[str]:
    """The lines of one block; `folder` is the folder of the page.

    Raises:
        TypeError: the argument is not a block.
    """
    raise TypeError(f"{type(content).__name__} is no block of a report.")


@block.register
def _(heading: page.Heading, folder: Path) -> Iterator[str]:
    aside = f"{_text(heading.aside)}, " if heading.aside else ""
    yield f"{'#' * heading.level} {aside}{_text(heading.text)}"


@block.register
def _(paragraph: page.Text, folder: Path) -> Iterator[str]:
    text = _text(paragraph.text)
    yield f"**{text}**" if paragraph.kind == "warning" else text


@block.register
def _(bullets: page.Items, folder: Path) -> Iterator[str]:
    yield from (f"- {_text(item)}" for item in bullets.items)


@block.register
def _(commands: page.Commands, folder: Path) -> Iterator[str]:
    yield from ("```sh", *commands.lines, "```")


@block.register
def _(figure: page.Figure, folder: Path) -> Iterator[str]:
    link = urllib.parse.quote(os.path.relpath(figure.path, folder))
    yield f"![{_text(figure.caption.replace('`', ''))}]({link})"


@block.register
def _(fold: page.Fold, folder: Path) -> Iterator[str]:
    yield f"{_text(fold.title)}:"
    for content in fold.blocks:
        yield ""
        yield from block(content, folder)


@block.register
def _(counts: page.Counts, folder: Path) -> Iterator[str]:
    yield ", ".join(
        f"**{number}** {name}" for name, number, _ in counts.numbers
    )


@block.register
def _(navigation: page.Links, folder: Path) -> Iterator[str]:
    yield " · ".join(text for text, _ in navigation.links)


@block.register
def _(grid: page.Grid, folder: Path) -> Iterator[str]:
    names = list(grid.head[-1])
    if len(grid.head) > 1:
        names = _joined(grid.head[0], names)
    yield _row([_entry(entry, "") for entry in names])
    rules = [":--" if e.kind in ("label", "words") else "--:" for e in names]
    yield _row(rules)
    for line in grid.lines:
        fields = []
        for entry in line.entries:
            fields += [_entry(entry, line.kind)] + [""] * (entry.span - 1)
        yield _row(fields)


def _joined(
    groups: Sequence[page.Entry], names: Sequence[page.Entry]
) -> list[page.Entry]:
    """Column names prefixed by their group: Markdown has one header row."""
    headings = [group.text for group in groups for _ in range(group.span)]
    return [
        dataclasses.replace(
            name, text=f"{group}: {name.text}" if group else name.text
        )
        for group, name in zip(headings, names, strict=True)
    ]


def _entry(entry: page.Entry, line: str) -> str:
    text = _text(entry.text).replace("|", "\\|").replace("*", "\\*")
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


def _text(text: str) -> str:
    """Escapes what Markdown would take for markup, except code in backticks.

    Names and notes come from files of results, which anyone may have written.
    """
    text, escaped, end = " ".join(text.splitlines()), "", 0
    for code in _CODE.finditer(text):
        escaped += _escape(text[end : code.start()]) + code.group()
        end = code.end()
    return escaped + _escape(text[end:])


def _escape(text: str) -> str:
    return re.sub(r"([\\\[\]])", r"\\\1", html.escape(text, quote=False))


def _row(fields: Sequence[str]) -> str:
    return "| " + " | ".join(fields) + " |"
