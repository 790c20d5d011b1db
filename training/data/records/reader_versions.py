"""Versions of the readers of datasets, and which of them stored wrong labels.

A report names the version of the reader that made the records. A fault that
nothing else can see, as its labels look like others, gets a row here when it is
mended: the reader's version is then one more than the last with a fault.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tf_hmr.formats import json_files

_UNSTATED = 1  # of reports from before versions were written
_AMASS = "--kind amass"
_FILES = ("report.json", "prior.json")


class Fault(NamedTuple):
    """What a reader stored wrongly, up to a version."""

    reader: str
    """Name, as in `training.prepare NAME`."""
    last_version: int
    """The last version that has the fault."""
    problem: str
    """What is wrong with the labels, and of which input."""
    option: str = ""
    """Words of the commands whose records have the fault; default: all."""
    exempt: tuple[str, ...] = ()
    """Words of commands whose records do not, whatever else they say."""


FAULTS = (
    Fault(
        "coco-like",
        1,
        "keypoints have the names of the first category, also where people "
        "are of another one",
    ),
    Fault(
        "spin-npz", 1, "genders that are not written m or f are stored neutral"
    ),
    Fault("poses", 1, "betas of SMPL-X files are stored as SMPL's", _AMASS),
    Fault(
        "hmr-tfrecords",
        1,
        "bodies of Human3.6M are upside down",
        "human36m",
        ("--upside-down keep",),
    ),
    Fault(
        "mpii",
        1,
        "people of annot/valid.json, who are measured, are among those who "
        "train",
        "--rules spin",
        ("--split valid", "--labels json"),
    ),
    Fault(
        "lsp",
        1,
        "where UPi-S1h's silhouette and parts disagree, they are merged",
        "--parts",
    ),
)


def current(reader: str) -> int:
    """Version of a reader's labels now, by its name."""
    faults = (fault for fault in FAULTS if fault.reader == reader)
    return 1 + max((fault.last_version for fault in faults), default=0)


def facts(reader: str) -> dict[str, Any]:
    """Entries of a report that name the reader and its version."""
    return {"reader": reader, "reader_version": current(reader)}


def warning(folder: Path) -> str:
    """One line on records, or poses, that a faulty version made; or "".

    It says what is wrong and which commands make them again. Reports that
    cannot be read give no warning.
    """
    problems, commands = {}, {}
    for name, part in _parts(folder):
        command = str(part.get("command", ""))
        for fault in _faults(part, command):
            problems[f"{name}: {fault.problem}"] = True
            again = f"python -m training.prepare {fault.reader} ..."
            commands[command or again] = True
    if not problems:
        return ""
    return (
        f"{folder} was made by a version of its reader that is known to be "
        f"wrong ({'; '.join(problems)}). Delete the folder and make it again: "
        f"{' && '.join(commands)}"
    )


def _parts(folder: Path) -> Iterator[tuple[str, Mapping]]:
    """Yields the name and the report of each split, and of unpaired poses."""
    report, prior = (_read(Path(folder) / name) for name in _FILES)
    splits = report.get("splits")
    for name, part in splits.items() if isinstance(splits, dict) else ():
        if isinstance(part, dict):
            yield name, {"reader": report.get("dataset")} | part
    yield "prior.npz", {"reader": "poses"} | prior


def _read(path: Path) -> dict:
    try:
        content = json_files.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _faults(part: Mapping, command: str) -> Iterator[Fault]:
    version = part.get("reader_version", _UNSTATED)
    for fault in FAULTS:
        if (
            part.get("reader") == fault.reader
            and isinstance(version, int)
            and version <= fault.last_version
            and fault.option in command
            and not any(words in command for words in fault.exempt)
        ):
            yield fault
