"""What every conversion of foreign weights tells, and how it is written."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import method
from tf_hmr.formats import keras_files


class Report(NamedTuple):
    """What became of the variables of a checkpoint."""

    read: dict[str, int]
    """How many were converted, by part of the method."""
    constants: list[str]
    """The body's constants, compared and dropped."""
    training_state: list[str]
    """Optimiser slots and counters, dropped."""
    left_over: list[str]
    """What no part of the method takes."""
    notes: list[str]
    """What the owner of the checkpoint should know."""


def check_out(out: Path) -> None:
    """Refuses a folder that holds anything but a model.

    Raises:
        ValueError: it does.
    """
    expected = {method.CONFIG_FILE, method.WEIGHTS_FILE}
    there = {p.name for p in out.iterdir()} if out.is_dir() else set()
    if out.is_file() or not (there == expected or not there):
        raise ValueError(
            f"{out} is not empty: it holds {sorted(there)[:5]}. Give --out a "
            "folder that is new or empty."
        )


def save(model: method.Method, out: Path) -> bool:
    """Writes the model folder; False when this very model is there already.

    Raises:
        ValueError: the folder holds something else.
    """
    check_out(out)
    if not (out / method.CONFIG_FILE).is_file():
        method.save(model, out)
        return True
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder)
        method.save(model, new)
        if not _same(new, out):
            raise ValueError(
                f"{out} holds another model. Give --out a folder that is new "
                "or empty, or delete that one."
            )
    return False


def _same(new: Path, old: Path) -> bool:
    config = method.CONFIG_FILE
    if (new / config).read_text() != (old / config).read_text():
        return False
    ours = keras_files.read_datasets(new / method.WEIGHTS_FILE)
    theirs = keras_files.read_datasets(old / method.WEIGHTS_FILE)
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )


def lines(report: Report) -> Sequence[str]:
    """The report, a line for each fact, left-over names one by one."""
    counts = [f"{count} of the {part}" for part, count in report.read.items()]
    found = [
        f"Read {sum(report.read.values())} variables: {', '.join(counts)}.",
        f"Dropped {len(report.constants)} constants of the body and "
        f"{len(report.training_state)} variables of training (optimiser "
        "slots, counters).",
    ]
    if report.left_over:
        found.append(
            f"Left over, of no part of the model: {len(report.left_over)}."
        )
        found += [f"  {name}" for name in report.left_over]
    return found + report.notes
