"""A document as one HTML file that needs no other."""

import base64
import functools
import html
import re
from collections.abc import Sequence
from pathlib import Path

import cv2

from training.report import document as page

STYLE = Path(__file__).with_name("report.css")
# Photographs are stored as JPEG of at most so many pixels across.
WIDEST_PX = 1000
JPEG_QUALITY = 85


def write(document: page.Document, path: Path) -> None:
    """Writes the page, its pictures inside."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{html.escape(document.title)}</title>",
        f"<style>\n{STYLE.read_text('utf-8')}</style></head><body><main>",
        f"<h1>{_text(document.title)}</h1>",
        *map(block, document.blocks),
        "</main></body></html>\n",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


@functools.singledispatch
def block(what: page.Block) -> str:
    """The HTML of one block.

    Raises:
        TypeError: it is no block.
    """
    raise TypeError(f"{type(what).__name__} is no block of a report.")


@block.register
def _(what: page.Heading) -> str:
    aside = f"<small>{_text(what.aside)}</small> " if what.aside else ""
    tag = f"h{what.level}"
    anchor = f' id="{html.escape(what.anchor)}"' if what.anchor else ""
    return f"<{tag}{anchor}>{aside}{_text(what.text)}</{tag}>"


@block.register
def _(what: page.Text) -> str:
    return f'<p class="{what.kind}">{_text(what.text)}</p>'


@block.register
def _(what: page.Items) -> str:
    items = "\n".join(f"<li>{_text(item)}</li>" for item in what.items)
    return f'<ul class="{what.kind}">\n{items}\n</ul>'


@block.register
def _(what: page.Commands) -> str:
    return f"<pre>{html.escape(chr(10).join(what.lines))}</pre>"


@block.register
def _(what: page.Figure) -> str:
    alt = html.escape(what.caption.replace("`", ""), quote=True)
    kind = "half" if what.half else ""
    return (
        f'<figure class="{kind}"><img src="{_inlined(what.path)}" alt="{alt}">'
        f"<figcaption>{_text(what.caption)}</figcaption></figure>"
    )


@block.register
def _(what: page.Fold) -> str:
    inside = "\n".join(map(block, what.blocks))
    title = _text(what.title)
    return f"<details><summary>{title}</summary>\n{inside}\n</details>"


@block.register
def _(what: page.Counts) -> str:
    fields = "".join(
        f'<div class="{kind * bool(number)}"><b>{number}</b> '
        f"{_text(name)}</div>"
        for name, number, kind in what.numbers
    )
    return f'<div class="counts">{fields}</div>'


@block.register
def _(what: page.Links) -> str:
    links = "\n".join(
        f'<a href="#{html.escape(anchor)}">{_text(text)}</a>'
        for text, anchor in what.links
    )
    return f"<nav>{links}</nav>"


@block.register
def _(what: page.Grid) -> str:
    head = "\n".join(
        f"<tr>{_fields(entries, 'th')}</tr>" for entries in what.head
    )
    body = "\n".join(
        f'<tr class="{line.kind}">{_fields(line.entries, "td")}</tr>'
        for line in what.lines
    )
    kind = "wide" if len(what.head[-1]) > 8 else ""
    return (
        f'<div class="grid {kind}"><table><thead>{head}</thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _fields(entries: Sequence[page.Entry], tag: str) -> str:
    fields = []
    for entry in entries:
        span = f' colspan="{entry.span}"' if entry.span > 1 else ""
        over = " over" if tag == "th" and entry.span > 1 and entry.text else ""
        mark = f"<sup>{_text(entry.mark)}</sup>" if entry.mark else ""
        aside = f"<small>{_text(entry.aside)}</small>" if entry.aside else ""
        fields.append(
            f'<{tag} class="{entry.kind}{over}"{span}>'
            f"{_text(entry.text)}{mark}{aside}</{tag}>"
        )
    return "".join(fields)


def _text(text: str) -> str:
    """Escaped, with code where there are backticks."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))


def _inlined(path: Path) -> str:
    """A picture as a data URI: plots as they are, large ones as JPEG.

    Raises:
        ValueError: it is no picture.
    """
    picture = cv2.imread(str(path))
    if picture is None:
        raise ValueError(f"{path} is not a picture. Measure again.")
    kind, content = "png", path.read_bytes()
    height, width = picture.shape[:2]
    if len(content) > 200_000:
        if width > WIDEST_PX:
            size = (WIDEST_PX, round(height * WIDEST_PX / width))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        kind = "jpeg"
        content = cv2.imencode(".jpg", picture, flags)[1].tobytes()
    coded = base64.b64encode(content).decode("ascii")
    return f"data:image/{kind};base64,{coded}"
