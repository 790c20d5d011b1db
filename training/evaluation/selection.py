"""The records of a protocol: found, chosen, and held against its rules."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from training.data.records import records_folder, schema, shards
from training.evaluation import protocol

_CHUNK = 512


class Chosen(NamedTuple):
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


def every(people: Chosen, step: int) -> Chosen:
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


def find(root: Path, rule: protocol.Protocol) -> Chosen:
    """The people of a protocol.

    Args:
        root: the folder of record folders, or the records folder itself.
        rule: whose people.

    Raises:
        FileNotFoundError: there are no such records; says how to make them.
        ValueError: none of the records is one of the protocol's.
    """
    folder = root if (root / "report.json").is_file() else root / rule.records
    command = f"python -m training.prepare {rule.prepare} --out {folder}"
    if not (folder / "report.json").is_file():
        raise FileNotFoundError(
            f"{rule.name} needs records, but {folder} holds none. Make them "
            f"with: {command}"
        )
    report = records_folder.read_report(folder)
    split = next((s for s in rule.splits if s in report["splits"]), None)
    if split is None:
        raise FileNotFoundError(
            f"{rule.name} needs a split of {list(rule.splits)}, but {folder} "
            f"has {sorted(report['splits'])}. Make it with: {command}"
        )
    ids = example_ids(folder, split)
    chosen = [bool(each) and rule.chosen(each) for each in ids]
    rows = np.flatnonzero(chosen)
    if not len(rows):
        raise ValueError(
            f"None of the {len(ids)} records of {folder} {split!r} is one of "
            f"{rule.name}: {rule.rule.split}. The first is called "
            f"{str(ids[0])!r}."
        )
    told = deviations(folder, split, rule)
    return Chosen(folder, split, rows, ids[rows], report, told)


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


def deviations(
    folder: Path, split: str, rule: protocol.Protocol
) -> tuple[str, ...]:
    """How the records were made otherwise than the protocol says."""
    path = folder / f"{split}.options.json"
    options = json.loads(path.read_text()) if path.is_file() else {}
    told = []
    reader = rule.prepare.split()[0]
    made_by = options.get("dataset", reader)
    if made_by not in (reader, *rule.also):
        told.append(f"the records were made by {made_by}, not by {reader}")
    given = options.get("rules", rule.box_rules)
    if rule.box_rules and given != rule.box_rules:
        told.append(
            f"the records were made with --rules {given}, the protocol has "
            f"those of {rule.box_rules}"
        )
    return tuple(told)
