"""Runs other benchmarks several times, and prints their numbers as ranges.

    python -m training.benchmark repeat
    python -m training.benchmark repeat --commands metrics "step --rounds 3"
    python -m training.benchmark repeat --runs 5 --out ranges.txt

Each run is a process of its own, and the benchmarks take turns, so that what
another program does for a while touches one run of each. Lines that differ in
numbers alone are one line: `pa_mpjpe 0.79 to 0.83 s`. --out is written after
each run; a benchmark that fails is run no more and named at the end. The
defaults are the benchmarks of docs/speed.md, for an idle machine: about a
quarter of an hour a run on two cores.
"""

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tf_hmr import progress

# Numbers that stand alone, not inside words such as float16.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*[A-Za-z_])")


@dataclasses.dataclass
class Options:
    """Ranges of the numbers that benchmarks print."""

    commands: tuple[str, ...] = (
        *("body", "pipeline", "step --rounds 3", "data-service", "smplify"),
        *("synthetic", "part-maps", "metrics", "prepare", "start --runs 1"),
    )
    """Benchmarks; one with options is a single quoted word."""
    runs: int = 3
    """Runs of each."""
    out: Path | None = None
    """File for what is printed."""


def run(options: Options) -> dict[str, list[str]]:
    """Measures and prints; returns the lines of each command.

    Raises:
        ValueError: there is no run; or some benchmark failed, once all others
            are done, with its last line.
    """
    if options.runs < 1:
        raise ValueError(f"--runs {options.runs}: expected 1 or more.")
    texts = {command: [] for command in options.commands}
    errors = {}
    turns = [c for _ in range(options.runs) for c in options.commands]
    for command in progress.bar(turns, "benchmarks", unit="runs"):
        if command in errors:
            continue
        try:
            texts[command].append(_output(command))
        except ValueError as error:
            errors[command] = error
        if options.out is not None:
            options.out.write_text(_page(texts))
    print(_page(texts))
    if errors:
        raise ValueError("; ".join(map(str, errors.values())))
    return {command: ranges(texts[command]) for command in texts}


def _page(texts: dict[str, list[str]]) -> str:
    """Ranges of all benchmarks that have run."""
    return "\n".join(
        "\n".join([f"python -m training.benchmark {command}", *rows, ""])
        for command, runs in texts.items()
        if (rows := ranges(runs) if runs else [])
    )


def ranges(texts: list[str]) -> list[str]:
    """Joins lines that differ in numbers alone.

    Args:
        texts: what runs of one command printed.

    Returns:
        The lines with ranges, in the order in which they were first printed;
        one that some runs lack says how many have it.
    """
    rows = [_numbers_by_words(text) for text in texts]
    lines = []
    for words in dict.fromkeys(words for row in rows for words in row):
        columns = [row[words] for row in rows if words in row]
        line = _filled(words, zip(*columns, strict=True))
        if len(columns) < len(rows):
            line += f" (in {len(columns)} of {len(rows)} runs)"
        lines.append(line)
    return lines


def _numbers_by_words(text: str) -> dict[str, list[str]]:
    """The numbers of each line by its words; equal lines count once."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return {
        _NUMBER.sub("\0", line): _NUMBER.findall(line) for line in lines if line
    }


def _filled(words: str, columns) -> str:
    first, *others = words.split("\0")
    spans = (_span(column) for column in columns)
    pairs = zip(spans, others, strict=True)
    return first + "".join(span + other for span, other in pairs)


def _span(numbers: tuple[str, ...]) -> str:
    low, high = min(numbers, key=float), max(numbers, key=float)
    return low if float(low) == float(high) else f"{low} to {high}"


def _output(command: str) -> str:
    """What a benchmark prints.

    Raises:
        ValueError: it failed.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "training.benchmark", *shlex.split(command)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [""])[-1]
        raise ValueError(f"{command}: ended with {ended.returncode}. {last}")
    return ended.stdout
