"""Steps shared by all dataset readers: from their files to a records folder.

A reader lists tasks, which are small and travel to other processes, and reads
a task into examples. This module runs the processes, counts broken images
and labels by cause, keeps the order, and lets a stopped run continue after
its last finished file.
"""

import collections
import dataclasses
import json
import logging
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import progress as bars
from tf_hmr.formats import atomic, json_files
from training.data.pipeline import pixels
from training.data.readers import workers as processes
from training.data.records import (
    reader_versions,
    records_folder,
    schema,
    shards,
)

_log = logging.getLogger(__name__)
_AHEAD = 4  # Tasks per process in flight, so that memory stays bounded.
_SHEET_PEOPLE = 24
_MAX_CAUSES = 10  # of leaving people out, in a message; a report has all
_LABELS = ("keypoints", "joints3d", "pose", "betas", "parts")


@dataclasses.dataclass
class Options:
    """Options of every reader; a reader may add its own."""

    root: Path
    """Folder of the dataset as its publisher ships it."""
    out: Path
    """Folder of the records; created if missing."""
    split: str = "train"
    """Split of the dataset."""
    workers: int | None = None
    """Number of reading processes; by default one per core."""
    shard_size: int = 1000
    """People per file."""


class Skipped(NamedTuple):
    """A person who is not stored."""

    example_id: str
    """Id that the record would have had."""
    cause: str
    """Reason in a few words; the same words for all people of a kind."""


ReadPerson = schema.Example | Skipped
Read = Callable[[Any], Iterable[ReadPerson]]


def write(
    name: str, options: Options, tasks: Sequence[Any], read: Read
) -> dict:
    """Reads all tasks into a split of a records folder.

    Args:
        name: name of the dataset, as in `training.prepare NAME`.
        options: options of the reader; they are saved in the folder, and a
            folder with other options is refused.
        tasks: picklable; a few dozen people each keep the processes busy.
        read: module-level function (it is pickled) that maps a task to its
            people, in a fixed order.

    Returns:
        The split's part of report.json: count, shards, "skipped" by cause,
        and under "labels" the number of people with each label.

    Raises:
        ValueError: no person was read; or the folder holds people read with
            other options.
    """
    check(options)
    with records_folder.locked(options.out):
        if _is_finished(options.out, options.split):
            print(f"{options.split}: the people are in {options.out} already")
            report = records_folder.read_report(options.out)
        else:
            report = _write_split(name, options, tasks, read)
    return report["splits"][options.split]


def check(options: Any) -> None:
    """Checks the numbers of processes and of people per file.

    Args:
        options: of a command that writes records; None stands for a default.

    Raises:
        ValueError: one is below 1.
    """
    for name in ("workers", "shard_size"):
        number = getattr(options, name, None)
        if number is not None and number < 1:
            raise ValueError(
                f"--{name.replace('_', '-')} {number}: expected 1 or more."
            )


def _write_split(
    name: str, options: Options, tasks: Sequence[Any], read: Read
) -> dict:
    folder = options.out
    _claim(folder, name, options)
    progress = _Progress.read(folder, options.split, len(tasks))
    writer = records_folder.Writer(
        folder, options.split, options.shard_size, progress.shards
    )
    if len(writer.counts) != progress.shards:
        progress = _Progress()  # A file is missing or damaged: start over.
        writer = records_folder.Writer(
            folder, options.split, options.shard_size
        )
    _read_all(options, tasks, read, writer, progress)
    if not sum(writer.counts):
        # Nothing is lost: another --root may be right for this folder.
        _options_path(folder, options.split).unlink()
        raise ValueError(
            f"{options.root} gave no person for {options.split!r}: "
            f"{_causes(progress.skipped)}. Check --root and --split."
        )
    facts = reader_versions.facts(name) | {
        "skipped": dict(progress.skipped),
        "labels": dict(progress.labels),
    }
    report = writer.finish(None, command(name, options), facts)
    _Progress.path(folder, options.split).unlink(missing_ok=True)
    _show(folder, options.split, progress)
    return report


def command(name: str, options: Options) -> str:
    """Command line that makes the same records."""
    words = ["python", "-m", "training.prepare", name]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            words += [f"--{field.name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def checked(person: ReadPerson) -> ReadPerson:
    """Decodes an example's image; returns Skipped if it cannot be stored."""
    if isinstance(person, Skipped):
        return person
    try:
        size = person.width, person.height
        pixels.decode_jpeg(person.image, size, undamaged=True)
        schema.check(person)
    except pixels.BadImage as error:
        return Skipped(person.example_id, str(error))
    except ValueError as error:
        # "... is not written: CAUSE."
        cause = str(error).rpartition("written: ")[2].rstrip(".")
        return Skipped(person.example_id, cause)
    return person


@dataclasses.dataclass
class _Progress:
    """State of a run after its last finished file; stored as JSON."""

    shards: int = 0
    task: int = 0
    """Index of the task that the next person comes from."""
    used: int = 0
    """Number of people of that task that are already stored or skipped."""
    skipped: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    labels: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )

    @staticmethod
    def path(folder: Path, split: str) -> Path:
        return folder / f"{split}.progress.json"

    @classmethod
    def read(cls, folder: Path, split: str, tasks: int) -> "_Progress":
        """Reads it; one that is missing or damaged is the start.

        Args:
            folder: of the records.
            split: of the dataset.
            tasks: their number in this run.
        """
        path = cls.path(folder, split)
        if not path.exists():
            return cls()
        try:
            progress = cls(**json_files.loads(path.read_bytes()))
            progress._check(tasks)
        except (ValueError, TypeError) as error:
            _log.warning("%s is damaged (%s): starting over", path, error)
            return cls()
        return progress

    def _check(self, tasks: int) -> None:
        """Makes counters of the counts.

        Raises:
            ValueError: a number is none, or beyond the tasks.
        """
        for name in ("skipped", "labels"):
            counts = collections.Counter(getattr(self, name))
            setattr(self, name, counts)
        numbers = [self.shards, self.task, self.used]
        numbers += [*self.skipped.values(), *self.labels.values()]
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError(f"expected counts, received {numbers}")
        if self.task >= tasks:
            raise ValueError(f"it stopped in task {self.task} of {tasks}")

    def write(self, folder: Path, split: str) -> None:
        _write_json(self.path(folder, split), vars(self))


def _read_all(options, tasks, read, writer, progress: _Progress) -> None:
    workers = options.workers or processes.cores()
    bar = bars.bar(
        title=f"{options.split}",
        total=len(tasks),
        initial=progress.task,
        unit="task",
    )
    jobs = [(read, task) for task in tasks[progress.task :]]
    with bar, processes.pool(workers) as pool:
        people_by_task = processes.in_order(
            pool, _read_and_check, jobs, _AHEAD * workers
        )
        for people in people_by_task:
            if progress.used > len(people):
                raise ValueError(
                    f"{_Progress.path(options.out, options.split)} says that "
                    f"{progress.used} people of task {progress.task} are "
                    f"stored, which has {len(people)}. Delete the folder and "
                    "make it again."
                )
            for person in people[progress.used :]:
                progress.used += 1
                _store(person, writer, progress)
                if len(writer.counts) > progress.shards and (
                    writer.counts[-1] == writer.shard_size
                ):
                    progress.shards = len(writer.counts)
                    progress.write(options.out, options.split)
            progress.task, progress.used = progress.task + 1, 0
            bar.update()
            bar.set_postfix(
                people=sum(writer.counts),
                skipped=progress.skipped.total(),
                refresh=False,
            )


def _read_and_check(job: tuple[Read, Any]) -> list[ReadPerson]:
    read, task = job
    return [checked(person) for person in read(task)]


def _store(person: ReadPerson, writer, progress: _Progress) -> None:
    if isinstance(person, Skipped):
        progress.skipped[person.cause] += 1
        return
    writer.write(person)
    for label in _LABELS:
        progress.labels[label] += person.has(label)


def _is_finished(folder: Path, split: str) -> bool:
    if not (folder / "report.json").exists():
        return False
    return split in records_folder.read_report(folder)["splits"]


def _options_path(folder: Path, split: str) -> Path:
    return folder / f"{split}.options.json"


def _claim(folder: Path, name: str, options: Options) -> None:
    """Saves the options of the split; refuses a folder with other options."""
    path = _options_path(folder, options.split)
    split_options = {"dataset": name} | dataclasses.asdict(options)
    del split_options["workers"]
    split_options = json.loads(json.dumps(split_options, default=str))
    stored = read_options(path) if path.exists() else split_options
    changed_keys = {
        k
        for k in stored | split_options
        if stored.get(k) != split_options.get(k)
    }
    if changed_keys:
        changes = [
            f"{k} was {stored.get(k)}, is {split_options.get(k)}"
            for k in changed_keys
        ]
        raise ValueError(
            f"{folder} holds {options.split!r} people of other options: "
            f"{'; '.join(sorted(changes))}. Delete the folder, repeat the "
            "options, or choose another --out."
        )
    _write_json(path, split_options)


def read_options(path: Path) -> dict:
    """Reads the options that a split was made with.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        content = json_files.loads(path.read_bytes())
        if isinstance(content, dict):
            return content
        error = "it holds no object"
    except ValueError as cause:
        error = cause
    raise ValueError(
        f"{path} is damaged ({error}), expected the options that "
        f"{path.parent} was made with. Delete the folder and make it again, "
        "or choose another --out."
    )


def _write_json(path: Path, content: dict) -> None:
    with atomic.replacing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")


def _show(folder: Path, split: str, progress: _Progress) -> None:
    """Writes a contact sheet of the stored people and prints the counts."""
    from training.data.readers import label_sheet

    stored = shards.Records(folder, split)
    picked = np.linspace(0, len(stored) - 1, _SHEET_PEOPLE).round()
    rows = dict.fromkeys(picked.astype(int).tolist())
    examples = (schema.decode(stored.read(row)) for row in rows)
    path = folder / f"{split}.png"
    label_sheet.write(path, examples)
    print(f"{split}: {len(stored)} people in {folder}, shown in {path}")
    for label, count in progress.labels.items():
        print(f"  {count} with {label}")
    for cause, count in progress.skipped.most_common(_MAX_CAUSES):
        print(f"  {count} left out: {cause}")
    others = len(progress.skipped) - _MAX_CAUSES
    if others > 0:
        print(f"  {others} more causes are in {folder / 'report.json'}")


def _causes(skipped: collections.Counter) -> str:
    """Most frequent causes with their counts, for an error's one line."""
    if not skipped:
        return "no task was found"
    shown = dict(skipped.most_common(_MAX_CAUSES))
    others = len(skipped) - len(shown)
    return f"{shown}{f' and {others} more causes' if others else ''}"
