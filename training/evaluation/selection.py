"""Selects the records of a protocol and checks how they were made."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.data.records import records_folder, schema, shards
from training.evaluation.protocol import Protocol

_CHUNK = 512


class Selection(NamedTuple):
    """The people of a protocol in a records folder."""

    folder: Path
    split: str
    rows: np.ndarray
    """(N,) indices of their records in the split."""
    ids: np.ndarray
    """(N,) str: their example_id; "" where a record is damaged."""
    report: dict
    """The report of the records folder."""
    deviations: tuple[str, ...]
    """Deviations from the protocol."""


def subsample(selection: Selection, step: int) -> Selection:
    """Every `step`-th person from the first, recorded as a deviation.

    Raises:
        ValueError: the step is below 1.
    """
    if step < 1:
        raise ValueError(f"Expected every 1st example or fewer, got {step}.")
    if step == 1:
        return selection
    deviation = f"of {len(selection.rows)} examples one in {step} was measured"
    return selection._replace(
        rows=selection.rows[::step],
        ids=selection.ids[::step],
        deviations=(*selection.deviations, deviation),
    )


def find_split(root: Path, protocol: Protocol) -> tuple[Path, str]:
    """The records folder of a protocol and its split; reads no record.

    Args:
        root: the folder of record folders, or the records folder itself.
        protocol: the protocol.

    Raises:
        FileNotFoundError: they are missing; the message says how to make them.
    """
    folder = (
        root if (root / "report.json").is_file() else root / protocol.records
    )
    command = f"python -m training.prepare {protocol.prepare} --out {folder}"
    if not (folder / "report.json").is_file():
        raise FileNotFoundError(
            f"{protocol.name} needs records, but {folder} holds none. Make "
            f"them with: {command}"
        )
    splits = records_folder.read_report(folder)["splits"]
    split = next((s for s in protocol.splits if s in splits), None)
    if split is None:
        raise FileNotFoundError(
            f"{protocol.name} needs a split of {list(protocol.splits)}, but "
            f"{folder} has {sorted(splits)}. Make it with: {command}"
        )
    return folder, split


def find(root: Path, protocol: Protocol) -> Selection:
    """The people of a protocol.

    Args:
        root: the folder of record folders, or the records folder itself.
        protocol: the protocol.

    Raises:
        FileNotFoundError: the records are missing; the message says how to
            make them.
        ValueError: none of the records belongs to the protocol.
    """
    folder, split = find_split(root, protocol)
    report = records_folder.read_report(folder)
    ids = example_ids(folder, split)
    included = [
        bool(example_id) and protocol.includes(example_id) for example_id in ids
    ]
    rows = np.flatnonzero(included)
    if not len(rows):
        raise ValueError(
            f"None of the {len(ids)} records of {folder} {split!r} is one of "
            f"{protocol.name}: {protocol.description.split}. The first is "
            f"called {str(ids[0])!r}."
        )
    notes = deviations(folder, split, protocol)
    return Selection(folder, split, rows, ids[rows], report, notes)


def example_ids(folder: Path, split: str) -> np.ndarray:
    """(N,) str: the example_id of each record; "" if it is damaged."""
    # Not at the top: what is missing is said before TensorFlow starts.
    import tensorflow as tf

    stored = shards.Records(folder, split)
    spec = {"example_id": tf.io.FixedLenFeature((), tf.string)}
    blank = schema.blank()
    ids: list[str] = []
    for start in range(0, len(stored), _CHUNK):
        serialized = []
        for row in range(start, min(start + _CHUNK, len(stored))):
            try:
                serialized.append(stored.read(row))
            except shards.DamagedRecord:
                serialized.append(blank)
        fields = tf.io.parse_example(serialized, spec)
        ids += [
            example_id.decode() for example_id in fields["example_id"].numpy()
        ]
    return np.array(ids)


def deviations(folder: Path, split: str, protocol: Protocol) -> tuple[str, ...]:
    """Deviations from the protocol in how the records were made."""
    options = records_folder.made_by(folder, split)
    notes = []
    reader = protocol.prepare.split()[0]
    made_by = options.get("dataset", reader)
    if made_by not in (reader, *protocol.other_readers):
        notes.append(f"the records were made by {made_by}, not by {reader}")
    rules = options.get("rules", protocol.box_rules)
    if protocol.box_rules and rules != protocol.box_rules:
        notes.append(
            f"the records were made with --rules {rules}, the protocol has "
            f"those of {protocol.box_rules}"
        )
    return tuple(notes)
