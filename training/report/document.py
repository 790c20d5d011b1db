"""A page as data: blocks that html and markdown write.

Texts are plain; text between backticks is code.
"""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Heading:
    """A title; links lead to its anchor."""

    level: int
    text: str
    anchor: str = ""
    aside: str = ""
    """Small text in front of the title."""


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is "", "warning" or "small"."""

    text: str
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Items:
    """A list; `kind` as in Text."""

    items: tuple[str, ...]
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Commands:
    """Shell commands, one a line."""

    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Figure:
    """An image file with a caption."""

    path: Path
    caption: str
    half: bool = False
    """Half the width of the page."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One field of a grid.

    `kind` says how it looks: "" a number, "label", or a state of
    training.papers.parity with dashes for blanks.
    """

    text: str = ""
    kind: str = ""
    span: int = 1
    aside: str = ""
    """Smaller text after it, such as a difference."""
    mark: str = ""
    """Letters of the remarks about it."""


@dataclasses.dataclass(frozen=True)
class Line:
    """One row of a grid; kind "context", "paper", "ours" or "group"."""

    entries: tuple[Entry, ...]
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table; `head` has one or two rows that end with the columns' names."""

    head: tuple[tuple[Entry, ...], ...]
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class Fold:
    """Blocks folded behind a title."""

    title: str
    blocks: tuple["Block", ...]


@dataclasses.dataclass(frozen=True)
class Counts:
    """Named numbers, as (name, number, kind)."""

    numbers: tuple[tuple[str, int, str], ...]


@dataclasses.dataclass(frozen=True)
class Links:
    """Links to headings of this page, as (text, anchor)."""

    links: tuple[tuple[str, str], ...]


Block = (
    Heading | Text | Items | Commands | Figure | Grid | Fold | Counts | Links
)


@dataclasses.dataclass(frozen=True)
class Document:
    """A page."""

    title: str
    blocks: tuple[Block, ...]
