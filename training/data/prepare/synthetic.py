"""Rendered people of the open body as records.

Several processes render, this one writes. A stopped run continues after its
last finished shard; the images do not depend on the number of processes.
"""

import dataclasses
import json
import math
import shlex
from pathlib import Path
from typing import Literal

import numpy as np

from tf_hmr import progress
from tf_hmr.formats import atomic
from training.data.readers import workers as processes
from training.data.readers import writing
from training.data.records import mocap, records_folder, schema
from training.data.synthetic import people as synthetic

_SHARD_SIZE = 1000
_CHUNK = synthetic.BLOCK  # People per task: they share one body computation.
_PRIOR_CHUNK = 16 * synthetic.BLOCK
_AHEAD = 4  # Tasks per process in flight, so that memory stays bounded.
_SHEET = 24  # People on the contact sheet.


@dataclasses.dataclass
class Options:
    """Renders people of the open body, with labels of every kind."""

    out: Path
    """Folder of the records; created if missing."""
    count: int | None = None
    """Number of people for training."""
    val: int = 500
    """Number of additional people, of other seeds, to choose the model by."""
    protocol: Literal["synthetic_v1"] | None = None
    """Renders instead the frozen people of a protocol, as split test."""
    size: int = 256
    """Side of the images in pixels."""
    seed: int = 0
    """Seed of the people."""
    workers: int | None = None
    """Number of rendering processes; by default one per core."""
    shard_size: int | None = None
    """People per file; by default 1000, or fewer to make four files."""


@dataclasses.dataclass(frozen=True)
class _Split:
    """One split to make: seed, number and image settings of its people."""

    name: str
    seed: int
    count: int
    shard_size: int
    settings: synthetic.Settings


def run(options: Options) -> None:
    """Makes missing records, prior and contact sheets.

    Raises:
        ValueError: options contradict each other, or the folder holds people
            made with other options.
    """
    writing.check(options)
    splits = _plan(options)
    workers = options.workers or processes.cores()
    with (
        records_folder.locked(options.out),
        processes.pool(workers) as pool,
    ):
        for split in splits:
            _claim(options.out, split)
        for split in splits:
            if _is_finished(options.out, split.name):
                print(f"{split.name}: {split.count} people are there already")
            else:
                _write_split(pool, workers, options, split)
        if not options.protocol:
            _make_prior(pool, options)


def _plan(options: Options) -> list[_Split]:
    defaults = {
        field.name: field.default for field in dataclasses.fields(options)
    }
    if options.protocol:
        changed = [
            f"--{name}"
            for name in ("count", "val", "size", "seed")
            if getattr(options, name) != defaults[name]
        ]
        if changed:
            raise ValueError(
                f"{options.protocol} is frozen: leave out {', '.join(changed)}."
            )
        frozen = synthetic.SYNTHETIC_V1
        frozen.check()
        split_settings = [
            (frozen.split, frozen.seed, frozen.count, frozen.settings)
        ]
    elif not options.count or options.count < 1 or options.val < 0:
        raise ValueError(
            "Say how many people to render, as in --count 20000 (and --val 500 "
            "or 0), or which frozen ones, as in --protocol synthetic_v1."
        )
    else:
        settings = synthetic.Settings(size=options.size)
        split_settings = [
            ("val", options.seed, options.val, settings),
            ("train", options.seed, options.count, settings),
        ]
    return [
        _Split(name, seed, count, _shard_size(options, count), settings)
        for name, seed, count, settings in split_settings
        if count
    ]


def _shard_size(options: Options, count: int) -> int:
    return options.shard_size or min(_SHARD_SIZE, math.ceil(count / 4))


def _claim(out: Path, split: _Split) -> None:
    """Saves the split's options; refuses a folder made with others.

    Raises:
        ValueError: the folder holds the split, made with other options.
    """
    path = _options_path(out, split.name)
    made_with = synthetic.versions() | dataclasses.asdict(split)
    made_with |= made_with.pop("settings")
    made_with = json.loads(json.dumps(made_with))  # Tuples become lists.
    if path.exists():
        stored = writing.read_options(path)
        keys = sorted(stored.keys() | made_with.keys())
        changed_keys = [k for k in keys if stored.get(k) != made_with.get(k)]
        # A longer run of the same people continues a shorter unfinished one.
        if not _is_finished(out, split.name) and changed_keys == ["count"]:
            changed_keys = []
        if changed_keys:
            raise ValueError(
                f"{out} holds {split.name} people made with other options: "
                + ", ".join(
                    f"{k} was {stored.get(k)}, is {made_with.get(k)}"
                    for k in changed_keys
                )
                + ". Delete the folder, repeat the options, or choose "
                "another --out."
            )
    _write_options(path, made_with)


def _options_path(out: Path, name: str) -> Path:
    return out / f"{name}.options.json"


def _write_options(path: Path, made_with: dict) -> None:
    with atomic.replacing(path) as part:
        part.write_text(json.dumps(made_with, indent=1) + "\n")


def _is_finished(out: Path, split: str) -> bool:
    if not (out / "report.json").exists():
        return False
    return split in records_folder.read_report(out)["splits"]


def _write_split(pool, workers: int, options: Options, split: _Split) -> None:
    out = options.out
    full = split.count // split.shard_size
    writer = records_folder.Writer(out, split.name, split.shard_size, keep=full)
    start = sum(writer.counts)
    chunks = [
        (split, first, min(first + _CHUNK, split.count))
        for first in range(start, split.count, _CHUNK)
    ]
    bar = progress.bar(
        title=f"{split.name} people",
        total=split.count,
        initial=start,
        unit="people",
    )
    with bar:
        for examples in processes.in_order(
            pool, _render, chunks, _AHEAD * workers
        ):
            for example in examples:
                writer.write(example)
            bar.update(len(examples))
    writer.finish(split.seed, _command(options))
    path = out / f"{split.name}.png"
    _write_sheet(path, split)
    print(f"{split.name}: {split.count} people in {out}, shown in {path}")


def _command(options: Options) -> str:
    """Command line that makes the same records."""
    words = ["python", "-m", "training.prepare", "synthetic"]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            words += [f"--{field.name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _make_prior(pool, options: Options) -> None:
    """Makes poses and shapes unpaired with images, for the adversary."""
    made_with = synthetic.versions()
    made_with |= {"seed": options.seed, "count": options.count}
    options_path = _options_path(options.out, "prior")
    # Its options are saved last: without them it may be incomplete.
    if (
        options_path.exists()
        and writing.read_options(options_path) == made_with
    ):
        try:
            count = len(mocap.read(options.out).pose)
        except (FileNotFoundError, ValueError):
            count = 0  # Missing or damaged: make it again.
        if count == options.count:
            print(f"prior: {count} unpaired people are there already")
            return
    _write_prior(pool, options)
    _write_options(options_path, made_with)


def _write_prior(pool, options: Options) -> None:
    chunks = [
        (options.seed, first, min(first + _PRIOR_CHUNK, options.count))
        for first in range(0, options.count, _PRIOR_CHUNK)
    ]
    bar = progress.bar(
        title="unpaired people", total=options.count, unit="people"
    )
    bodies_by_chunk = []
    with bar:
        for bodies in pool.map(_draw_bodies, chunks):
            bodies_by_chunk.append(bodies)
            bar.update(len(bodies[0]))
    rotvecs, betas, genders = (
        np.concatenate(parts) for parts in zip(*bodies_by_chunk, strict=True)
    )
    topology = records_folder.read_report(options.out)["topology"]
    unpaired = mocap.Prior(
        rotvecs.reshape(-1, 72),
        betas,
        topology,
        np.array([mocap.GENDERS[gender] for gender in genders]),
    )
    mocap.write(options.out, unpaired)
    print(f"prior: {options.count} unpaired people in {options.out}")


def _write_sheet(path: Path, split: _Split) -> None:
    """Draws the first people, with keypoints and with parts."""
    from training.data.readers import label_sheet

    people = synthetic.People(split.seed, split.name, split.settings)
    label_sheet.write(path, people.examples(0, min(_SHEET, split.count)))


_people: dict = {}  # Of this worker, by split.


def _render(chunk: tuple[_Split, int, int]) -> list[schema.Example]:
    split, start, stop = chunk
    if split not in _people:
        _people[split] = synthetic.People(
            split.seed, split.name, split.settings
        )
    return list(_people[split].examples(start, stop))


def _draw_bodies(chunk: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    seed, start, stop = chunk
    return synthetic.People(seed, "prior").bodies(start, stop)
