"""What `training.benchmark start` makes of the runs that it starts."""

import json
import pathlib

import pytest

from training.benchmarks import start


@pytest.fixture
def runs(monkeypatch):
    """Processes that report 9 s, then 1, 2, ... and 3 s of two stages."""
    seconds = iter([9, 1, 2, 4])

    def python(*words):
        if "-c" in words:
            values = {"imports": next(seconds), "tracing": 3.0}
            pathlib.Path(words[2]).write_text(json.dumps(values))

    monkeypatch.setattr(start, "_python", python)


def test_the_first_run_does_not_count(runs, capsys):
    assert len(start.run(start.Options(runs=3))) == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines[1:3]] == [
        "1.0 to 4.0 s",
        "3.0 s",
    ]
    assert lines[-1] == "first step 4.0 to 7.0 s"


def test_a_run_that_fails_ends_the_measurement():
    with pytest.raises(ValueError, match="^why$"):
        start._python("-c", "import sys; sys.exit('and more\\nwhy')")
    with pytest.raises(ValueError, match="--runs 0"):
        start.run(start.Options(runs=0))
