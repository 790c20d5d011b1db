"""The report and the model folder of every conversion of weights."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import method
from tf_hmr.formats import keras_files, listing, model_files


class Report(NamedTuple):
    """Use that was made of a checkpoint's variables."""

    read: dict[str, int]
    """How many were converted, by part of the method."""
    constants: list[str]
    """The body's constants, compared and dropped."""
    training_state: list[str]
    """Optimiser slots and counters, dropped."""
    left_over: list[str]
    """Variables that no part of the method takes."""
    notes: list[str]
    """Sentences for the owner of the checkpoint."""


def check_out(out: Path) -> None:
    """Refuses a folder that holds anything but a model.

    Raises:
        ValueError: the folder holds other files.
    """
    expected = {method.CONFIG_FILE, method.WEIGHTS_FILE}
    names = {path.name for path in listing.files(out, "*")}
    if out.is_file() or not (names == expected or not names):
        raise ValueError(
            f"{out} is not empty: it holds {sorted(names)[:5]}. Give --out a "
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
        new_folder = Path(folder)
        method.save(model, new_folder)
        if not _same(new_folder, out):
            raise ValueError(
                f"{out} holds another model. Give --out a folder that is new "
                "or empty, or delete that one."
            )
    return False


def _same(new_folder: Path, old_folder: Path) -> bool:
    new_config, old_config = (
        model_files.read_config(folder) for folder in (new_folder, old_folder)
    )
    for config in (new_config, old_config):  # The arrays are compared.
        config.pop(model_files.DIGESTS, None)
    if new_config != old_config:
        return False
    new_weights = keras_files.read_datasets(new_folder / method.WEIGHTS_FILE)
    old_weights = keras_files.read_datasets(old_folder / method.WEIGHTS_FILE)
    return new_weights.keys() == old_weights.keys() and all(
        np.array_equal(new_weights[name], old_weights[name])
        for name in new_weights
    )


def lines(report: Report) -> Sequence[str]:
    """The report as text, one line per fact and per left-over variable."""
    counts = [f"{count} of the {part}" for part, count in report.read.items()]
    report_lines = [
        f"Read {sum(report.read.values())} variables: {', '.join(counts)}.",
        f"Dropped {len(report.constants)} constants of the body and "
        f"{len(report.training_state)} variables of training (optimiser "
        "slots, counters).",
    ]
    if report.left_over:
        report_lines.append(
            f"Left over, of no part of the model: {len(report.left_over)}."
        )
        report_lines += [f"  {name}" for name in report.left_over]
    return report_lines + report.notes
