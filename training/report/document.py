"""A page as data: blocks that html and markdown both write.

Texts are plain; what stands between backticks is code.
"""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Heading:
    """A title; the anchor is what links lead to."""

    level: int
    text: str
    anchor: str = ""
    aside: str = ""
    """Small words beside it."""


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph. `kind` "warning" stands out, "small" stands back."""

    text: str
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Items:
    """A list; kind as of Text."""

    items: tuple[str, ...]
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Commands:
    """Lines to type."""

    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture file."""

    path: Path
    caption: str
    half: bool = False
    """Two fit beside each other."""


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
    """After it, smaller: a difference."""
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
    """Blocks behind a title that opens them."""

    title: str
    blocks: tuple["Block", ...]


@dataclasses.dataclass(frozen=True)
class Counts:
    """Numbers with a name each, as (name, number, kind)."""

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
    """A whole page."""

    title: str
    blocks: tuple[Block, ...]
