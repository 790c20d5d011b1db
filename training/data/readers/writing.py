"""What the readers of datasets share: from their files to a records folder.

A reader lists tasks, which are small and travel to other processes, and reads
a task into examples. Here the processes are run, broken pictures and labels
are counted by cause, the order is kept, and a stopped run goes on after its
last finished file.
"""

import collections
import dataclasses
import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tqdm

from training.data.pipeline import pixels
from training.data.readers import workers as processes
from training.data.records import records_folder, schema, shards

_AHEAD = 4  # Tasks per process in flight, so that memory stays bounded.
_SHEET_PEOPLE = 24
_LABELS = ("keypoints", "joints3d", "pose", "betas", "parts")


@dataclasses.dataclass
class Options:
    """What every reader is told; a reader's Options may add to it."""

    root: Path
    """Folder of the dataset as its publisher ships it."""
    out: Path
    """Folder of the records; made if needed."""
    split: str = "train"
    """Which part of the dataset."""
    workers: int | None = None
    """Processes that read; one per core by default."""
    shard_size: int = 1000
    """People per file."""


class Skipped(NamedTuple):
    """A person who is not stored."""

    example_id: str
    """Who."""
    cause: str
    """Why, in a few words that are the same for all of a kind."""


Found = schema.Example | Skipped
Read = Callable[[Any], Iterable[Found]]


def write(
    name: str, options: Options, tasks: Sequence[Any], read: Read
) -> dict:
    """Reads all tasks into a split of a records folder.

    Args:
        name: of the dataset, as in `training.prepare NAME`.
        options: of the reader; noted, and a folder of others is refused.
        tasks: picklable; a few dozen people each keep the processes busy.
        read: a function of a module (it travels to processes) from a task to
            its people, in a fixed order.

    Returns:
        The split's part of report.json: count, shards, "skipped" by cause,
        and under "labels" how many people have each.

    Raises:
        ValueError: nothing was found; or the folder holds people of other
            options.
    """
    folder = options.out
    if _is_finished(folder, options.split):
        print(f"{options.split}: the people are in {folder} already")
        return records_folder.read_report(folder)["splits"][options.split]
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, name, options)
    progress = _Progress.read(folder, options.split)
    writer = records_folder.Writer(
        folder, options.split, options.shard_size, progress.shards
    )
    if len(writer.counts) != progress.shards:
        progress = _Progress()  # a file is gone or damaged: all anew
        writer = records_folder.Writer(
            folder, options.split, options.shard_size
        )
    _read_all(options, tasks, read, writer, progress)
    if not sum(writer.counts):
        raise ValueError(
            f"{options.root} gave no person for {options.split!r}: "
            f"{dict(progress.skipped) or 'no task was found'}. Check --root "
            "and --split."
        )
    facts = {"skipped": dict(progress.skipped), "labels": dict(progress.labels)}
    report = writer.finish(None, command(name, options), facts)
    _Progress.path(folder, options.split).unlink(missing_ok=True)
    _show(folder, options.split, progress)
    return report["splits"][options.split]


def command(name: str, options: Options) -> str:
    """What to type for the same records."""
    words = ["python", "-m", "training.prepare", name]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            words += [f"--{field.name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def checked(found: Found) -> Found:
    """The example, or why it cannot be stored: its picture is decoded."""
    if isinstance(found, Skipped):
        return found
    try:
        pixels.decode_jpeg(found.image, (found.width, found.height))
        schema.check(found)
    except pixels.BadImage as error:
        return Skipped(found.example_id, str(error))
    except ValueError as error:
        # "... is not written: CAUSE."
        cause = str(error).rpartition("written: ")[2].rstrip(".")
        return Skipped(found.example_id, cause)
    return found


@dataclasses.dataclass
class _Progress:
    """Where a run stands after its last finished file."""

    shards: int = 0
    task: int = 0
    """The task that the next person comes from,"""
    used: int = 0
    """and how many of it are dealt with."""
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
    def read(cls, folder: Path, split: str) -> "_Progress":
        path = cls.path(folder, split)
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text())
        for name in ("skipped", "labels"):
            stored[name] = collections.Counter(stored[name])
        return cls(**stored)

    def write(self, folder: Path, split: str) -> None:
        _write_json(self.path(folder, split), vars(self))


def _read_all(options, tasks, read, writer, progress: _Progress) -> None:
    workers = options.workers or processes.cores()
    bar = tqdm.tqdm(
        total=len(tasks),
        initial=progress.task,
        desc=f"{options.split}",
        unit="task",
        disable=None,
    )
    jobs = [(read, task) for task in tasks[progress.task :]]
    with bar, processes.pool(workers) as pool:
        results = processes.in_order(pool, _found, jobs, _AHEAD * workers)
        for found in results:
            for each in found[progress.used :]:
                progress.used += 1
                _store(each, writer, progress)
                if len(writer.counts) > progress.shards and (
                    writer.counts[-1] == writer.shard_size
                ):
                    progress.shards = len(writer.counts)
                    progress.write(options.out, options.split)
            progress.task, progress.used = progress.task + 1, 0
            bar.update()
            bar.set_postfix(
                people=sum(writer.counts), skipped=progress.skipped.total()
            )


def _found(job: tuple[Read, Any]) -> list[Found]:
    read, task = job
    return [checked(found) for found in read(task)]


def _store(found: Found, writer, progress: _Progress) -> None:
    if isinstance(found, Skipped):
        progress.skipped[found.cause] += 1
        return
    writer.write(found)
    for label in _LABELS:
        progress.labels[label] += found.has(label)


def _is_finished(folder: Path, split: str) -> bool:
    if not (folder / "report.json").exists():
        return False
    return split in records_folder.read_report(folder)["splits"]


def _claim(folder: Path, name: str, options: Options) -> None:
    """Notes what the split is read with; refuses to mix it with another."""
    path = folder / f"{options.split}.options.json"
    given = {"dataset": name} | dataclasses.asdict(options)
    del given["workers"]
    given = json.loads(json.dumps(given, default=str))
    found = json.loads(path.read_text()) if path.exists() else given
    other = {k for k in found | given if found.get(k) != given.get(k)}
    if other:
        told = [f"{k} was {found.get(k)}, is {given.get(k)}" for k in other]
        raise ValueError(
            f"{folder} holds {options.split!r} people of other options: "
            f"{'; '.join(sorted(told))}. Delete the folder, repeat the "
            "options, or choose another --out."
        )
    _write_json(path, given)


def _write_json(path: Path, content: dict) -> None:
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(content, indent=1) + "\n")
    aside.replace(path)


def _show(folder: Path, split: str, progress: _Progress) -> None:
    """The contact sheet, of what was stored, and the counts."""
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
    for cause, count in progress.skipped.most_common():
        print(f"  {count} left out: {cause}")
