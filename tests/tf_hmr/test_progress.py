"""Bars on a terminal, and a line a minute elsewhere."""

import io
import sys

import pytest

from tf_hmr import progress


@pytest.fixture
def seconds(monkeypatch):
    """A clock that only goes when it is told to; as progress sees it."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    return clock


def test_elsewhere_than_on_a_terminal_it_is_a_line_a_minute(seconds, capsys):
    bar = progress.bar(
        title="people", total=300, unit="people", mininterval=0, miniters=1
    )
    for second in range(150):
        seconds[0] = float(second)
        bar.update(2)
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    counts = [line.split(",")[0] for line in lines]
    assert counts == [f"people: {n} of 300 people" for n in (122, 242)]
    assert all(line.endswith(" left") for line in lines)


def test_a_short_step_writes_nothing(seconds, capsys):
    assert list(progress.bar(range(3), "starts")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_a_bar(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    list(progress.bar(range(3), "starts", ncols=60))
    assert "starts: 100%|" in stream.getvalue()


def test_unlike_steps_are_named(seconds, capsys):
    with progress.steps("export", 2) as next_step:
        next_step("converting")
        seconds[0] = 61.0
        next_step("comparing")
    line = capsys.readouterr().err
    assert line.startswith("export: comparing: 1 of 2 step")
