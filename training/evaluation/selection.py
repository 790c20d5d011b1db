"""The records of a protocol: found, chosen, and held against its rules."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from training.data.records import records_folder, schema, shards
from training.evaluation.protocol import Protocol

_CHUNK = 512


class Selection(NamedTuple):
    """The people of a protocol in a records folder."""

    folder: Path
    split: str
    rows: np.ndarray
    """(N,) their numbers in the split."""
    ids: np.ndarray
    """(N,) str: their example_id; "" where a record is damaged."""
    report: dict
    """Of the folder."""
    deviations: tuple[str, ...]
    """What is otherwise than the protocol has it."""


def every(people: Selection, step: int) -> Selection:
    """Every `step`-th of the people, from the first, named as a deviation.

    Raises:
        ValueError: the step is below 1.
    """
    if step < 1:
        raise ValueError(f"Expected every 1st example or fewer, got {step}.")
    if step == 1:
        return people
    told = f"of {len(people.rows)} examples one in {step} was measured"
    return people._replace(
        rows=people.rows[::step],
        ids=people.ids[::step],
        deviations=(*people.deviations, told),
    )


def find(root: Path, protocol: Protocol) -> Selection:
    """The people of a protocol.

    Args:
        root: the folder of record folders, or the records folder itself.
        protocol: whose people.

    Raises:
        FileNotFoundError: there are no such records; says how to make them.
        ValueError: none of the records is one of the protocol's.
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
    report = records_folder.read_report(folder)
    split = next((s for s in protocol.splits if s in report["splits"]), None)
    if split is None:
        raise FileNotFoundError(
            f"{protocol.name} needs a split of {list(protocol.splits)}, but "
            f"{folder} has {sorted(report['splits'])}. Make it with: {command}"
        )
    ids = example_ids(folder, split)
    chosen = [bool(each) and protocol.chosen(each) for each in ids]
    rows = np.flatnonzero(chosen)
    if not len(rows):
        raise ValueError(
            f"None of the {len(ids)} records of {folder} {split!r} is one of "
            f"{protocol.name}: {protocol.description.split}. The first is "
            f"called {str(ids[0])!r}."
        )
    told = deviations(folder, split, protocol)
    return Selection(folder, split, rows, ids[rows], report, told)


def example_ids(folder: Path, split: str) -> np.ndarray:
    """(N,) str: the example_id of each record; "" of a damaged one."""
    stored = shards.Records(folder, split)
    spec = {"example_id": tf.io.FixedLenFeature((), tf.string)}
    blank = schema.blank()
    found: list[str] = []
    for start in range(0, len(stored), _CHUNK):
        serialized = []
        for row in range(start, min(start + _CHUNK, len(stored))):
            try:
                serialized.append(stored.read(row))
            except shards.DamagedRecord:
                serialized.append(blank)
        fields = tf.io.parse_example(serialized, spec)
        found += [each.decode() for each in fields["example_id"].numpy()]
    return np.array(found)


def deviations(folder: Path, split: str, protocol: Protocol) -> tuple[str, ...]:
    """How the records were made otherwise than the protocol says."""
    path = folder / f"{split}.options.json"
    options = json.loads(path.read_text()) if path.is_file() else {}
    told = []
    reader = protocol.prepare.split()[0]
    made_by = options.get("dataset", reader)
    if made_by not in (reader, *protocol.also):
        told.append(f"the records were made by {made_by}, not by {reader}")
    given = options.get("rules", protocol.box_rules)
    if protocol.box_rules and given != protocol.box_rules:
        told.append(
            f"the records were made with --rules {given}, the protocol has "
            f"those of {protocol.box_rules}"
        )
    return tuple(told)
