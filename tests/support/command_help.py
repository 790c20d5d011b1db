"""The help of many commands, asked for in one process: imports cost most."""

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple

from tests.support.paths import ROOT

Words = tuple[str, ...]


class Help(NamedTuple):
    """What `python -m WORDS --help` gives."""

    status: int
    text: str
    errors: str


def helps(commands: Iterable[Words]) -> dict[Words, Help]:
    """The help of each command: a module, then its sub-commands."""
    commands = list(commands)
    process = subprocess.run(
        [sys.executable, "-m", "tests.support.command_help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "400", "NO_COLOR": "1"},
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    outputs = json.loads(process.stdout.splitlines()[-1])
    return {
        words: Help(*output)
        for words, output in zip(commands, outputs, strict=True)
    }


def _help(words: list[str]) -> Help:
    text, errors = io.StringIO(), io.StringIO()
    sys.argv = [*words, "--help"]
    status = 0
    with (
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(errors),
    ):
        try:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code or 0
        except Exception as error:  # Told to the test that asks for it.
            status = f"{type(error).__name__}: {error}"
    return Help(status, text.getvalue(), errors.getvalue())


if __name__ == "__main__":
    answers = [_help(words) for words in json.load(sys.stdin)]
    print("\n" + json.dumps(answers))
