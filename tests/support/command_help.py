"""What many commands answer, in one process: imports cost most."""

import contextlib
import io
import json
import logging
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

Words = tuple[str, ...]


class Answer(NamedTuple):
    """What `python -m WORDS` gives."""

    status: int
    text: str
    errors: str
    has_tensorflow: bool
    """Whether this command, or one before it, imported TensorFlow."""


def helps(commands: Iterable[Words]) -> dict[Words, Answer]:
    """The help of each command: a module, then its sub-commands."""
    commands = list(commands)
    lines = [(*words, "--help") for words in commands]
    return dict(zip(commands, answers(lines).values(), strict=True))


def answers(
    commands: Iterable[Words], folder: Path = ROOT
) -> dict[Words, Answer]:
    """What each command line answers, run after each other in one process.

    Args:
        commands: a module, then its words.
        folder: in which they run.
    """
    commands = list(commands)
    process = subprocess.run(
        [sys.executable, "-m", "tests.support.command_help"],
        cwd=folder,
        env=os.environ
        | {"COLUMNS": "400", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    outputs = json.loads(process.stdout.splitlines()[-1])
    return {
        words: Answer(*output)
        for words, output in zip(commands, outputs, strict=True)
    }


def _answer(words: list[str]) -> Answer:
    text, errors = io.StringIO(), io.StringIO()
    sys.argv = list(words)
    logging.root.handlers.clear()  # Those of the command before.
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
    has_tensorflow = "tensorflow" in sys.modules
    return Answer(status, text.getvalue(), errors.getvalue(), has_tensorflow)


if __name__ == "__main__":
    outputs = [_answer(words) for words in json.load(sys.stdin)]
    print("\n" + json.dumps(outputs))
