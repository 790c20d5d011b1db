"""Writes a document as one self-contained HTML file."""

import base64
import functools
import html
import re
from collections.abc import Sequence
from pathlib import Path

import cv2

from tf_hmr.formats import atomic
from training.report import document as page

STYLE = Path(__file__).with_name("report.css")
# Photographs are stored as JPEG of at most this width.
WIDEST_PX = 1000
JPEG_QUALITY = 85


def write(document: page.Document, path: Path) -> None:
    """Writes the page with its images embedded."""
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
    with atomic.replacing(path) as part:
        part.write_text("\n".join(parts), encoding="utf-8")


@functools.singledispatch
def block(content: page.Block) -> str:
    """The HTML of one block.

    Raises:
        TypeError: the argument is not a block.
    """
    raise TypeError(f"{type(content).__name__} is no block of a report.")


@block.register
def _(heading: page.Heading) -> str:
    aside = f"<small>{_text(heading.aside)}</small> " if heading.aside else ""
    tag = f"h{heading.level}"
    anchor = f' id="{html.escape(heading.anchor)}"' if heading.anchor else ""
    return f"<{tag}{anchor}>{aside}{_text(heading.text)}</{tag}>"


@block.register
def _(paragraph: page.Text) -> str:
    return f'<p class="{paragraph.kind}">{_text(paragraph.text)}</p>'


@block.register
def _(bullets: page.Items) -> str:
    items = "\n".join(f"<li>{_text(item)}</li>" for item in bullets.items)
    return f'<ul class="{bullets.kind}">\n{items}\n</ul>'


@block.register
def _(commands: page.Commands) -> str:
    return f"<pre>{html.escape(chr(10).join(commands.lines))}</pre>"


@block.register
def _(figure: page.Figure) -> str:
    alt = html.escape(figure.caption.replace("`", ""), quote=True)
    kind = "half" if figure.half else ""
    source = _data_uri(figure.path)
    return (
        f'<figure class="{kind}"><img src="{source}" alt="{alt}">'
        f"<figcaption>{_text(figure.caption)}</figcaption></figure>"
    )


@block.register
def _(fold: page.Fold) -> str:
    inside = "\n".join(map(block, fold.blocks))
    title = _text(fold.title)
    return f"<details><summary>{title}</summary>\n{inside}\n</details>"


@block.register
def _(counts: page.Counts) -> str:
    fields = "".join(
        f'<div class="{kind * bool(number)}"><b>{number}</b> '
        f"{_text(name)}</div>"
        for name, number, kind in counts.numbers
    )
    return f'<div class="counts">{fields}</div>'


@block.register
def _(navigation: page.Links) -> str:
    links = "\n".join(
        f'<a href="#{html.escape(anchor)}">{_text(text)}</a>'
        for text, anchor in navigation.links
    )
    return f"<nav>{links}</nav>"


@block.register
def _(grid: page.Grid) -> str:
    head = "\n".join(
        f"<tr>{_fields(entries, 'th')}</tr>" for entries in grid.head
    )
    body = "\n".join(
        f'<tr class="{line.kind}">{_fields(line.entries, "td")}</tr>'
        for line in grid.lines
    )
    kind = "wide" if len(grid.head[-1]) > 8 else ""
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
    """The escaped text, with backticks turned into code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))


def _data_uri(path: Path) -> str:
    """An image as a data URI: plots unchanged, large images as JPEG.

    Raises:
        ValueError: the file is not an image.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path} is not a picture. Measure again.")
    kind, content = "png", path.read_bytes()
    height, width = image.shape[:2]
    if len(content) > 200_000:
        if width > WIDEST_PX:
            size = (WIDEST_PX, round(height * WIDEST_PX / width))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        kind = "jpeg"
        content = cv2.imencode(".jpg", image, flags)[1].tobytes()
    encoded = base64.b64encode(content).decode("ascii")
    return f"data:image/{kind};base64,{encoded}"
