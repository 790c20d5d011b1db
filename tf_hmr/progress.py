"""Shows how far a long step is, and the time that is left.

On a terminal it is a bar; elsewhere, as in a file or a service's log, a line a
minute, and none for what takes less.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

import tqdm

LINE_S = 60.0
_LINE = (
    "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed} so far, {remaining} left"
    "{postfix}"
)


def bar(iterable: Iterable | None = None, title: str = "", **options):
    """A bar over an iterable, or one that is moved by its `update`.

    Args:
        iterable: what to go through; None: see `update` of tqdm.
        title: what is being done.
        **options: of tqdm: total, initial, unit, disable.
    """
    # A slow moment changes the estimate little.
    options.setdefault("smoothing", 0.05)
    if not sys.stderr.isatty():
        lines = {"file": _Lines(sys.stderr), "bar_format": _LINE, "ascii": True}
        options = lines | options
    return tqdm.tqdm(iterable, title, **options)


def message(text: str) -> None:
    """Writes a line to standard error without breaking a bar."""
    tqdm.tqdm.write(text, file=sys.stderr)


@contextmanager
def steps(title: str, count: int) -> Iterator:
    """A bar of a few unlike steps; gives a function that names the next one."""
    with bar(title=title, total=count, unit="step") as shown:
        started = 0

        def next_step(name: str) -> None:
            nonlocal started
            shown.set_description_str(f"{title}: {name}", refresh=False)
            shown.update(1 if started else 0)
            shown.refresh()
            started += 1

        yield next_step
        shown.update(count - shown.n)


class _Lines:
    """A file that gets the state of a bar as a line of its own, each minute."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._due = time.monotonic() + LINE_S

    def write(self, text: str) -> None:
        # A bar erases itself by blanks and returns.
        line, now = text.strip(), time.monotonic()
        if line and now >= self._due:
            self._stream.write(f"{line}\n")
            self._due = now + LINE_S

    def flush(self) -> None:
        self._stream.flush()
