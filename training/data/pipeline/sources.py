"""Resolves the names of an experiment's datasets to record folders.

An experiment names its datasets; the user says where they are:

    --records data               its datasets, as folders of those names in data
    --records data/h36m data/lsp    those of its datasets, in its proportions
    --records synthetic          rendered people (data/synthetic) instead
    --records DIR1 DIR2          the user's own record folders instead
"""

import dataclasses
import importlib.util
import logging
import os
import pathlib
import re
import shlex
from collections.abc import Iterator, Sequence

from training import config
from training.data.records import mocap, reader_versions, records_folder

ROOT = "data"
SYNTHETIC = "synthetic"
# HMR and SPIN train on two versions of one dataset, each with its own reader.
_READERS_OF_RULES = {
    ("lsp-ext", "hmr"): "lsp-ext",
    ("lsp-ext", "spin"): "hr-lspet",
}
_PREPARE = ["python", "-m", "training.prepare"]
log = logging.getLogger(__name__)

# Labels of a source, as the log of the mix calls them.
_SHOWN = {
    "all": "all labels",
    "2d+parts": "keypoints and parts",
    "2d": "keypoints alone",
    "none": "no labels",
}


def resolve(data: config.Data, words: Sequence[str]) -> config.Data:
    """Replaces the names of the records in `data` by paths.

    A name is one path component; anything else is a path already.

    Args:
        data: of an experiment.
        words: values of --records, see above.

    Raises:
        FileNotFoundError: records are missing; names dataset, path and the
            command that makes them.
        ValueError: `words` is empty, or mixes a root with record folders.
    """
    if not words:
        raise ValueError(
            "--records is empty. Pass the folder that holds the experiment's "
            "record folders (default: data), 'synthetic', or record folders."
        )
    folders = [
        os.path.join(ROOT, word) if word == SYNTHETIC else word
        for word in words
    ]
    dataset_names = {source.records for source in data.sources}
    names = set(map(_name, folders))
    if (
        list(words) == folders
        and len(folders) == 1
        and not _has_records(folders[0])
    ):
        located = _under_root(data, folders[0])
    elif names <= dataset_names and len(names) == len(folders):
        located = _subset(data, folders)
    else:
        located = _replaced(data, folders)
    _check(located)
    for line in _foreign_rules(located.sources):
        log.warning(line)
    _log_mix(located)
    folders = [source.records for source in located.sources]
    for folder in dict.fromkeys([*folders, *filter(None, [located.prior])]):
        if warning := reader_versions.warning(pathlib.Path(folder)):
            log.warning(warning)
    return located


def made_by(sources: Sequence[config.Source]) -> list[dict[str, str]]:
    """Folder, split, reader and rules of each source's records, once each.

    Readers and rules are missing where the records do not say them.
    """
    folders = dict.fromkeys((s.records, s.split) for s in sources)
    return [
        {"records": records, "split": split}
        | records_folder.made_by(records, split)
        for records, split in folders
    ]


def _foreign_rules(sources: Sequence[config.Source]) -> Iterator[str]:
    """Says which records were not made by the rules that their source needs.

    Yields:
        A line for each such split, which ends with the command for new ones.
    """
    needed = {(s.records, s.split): s.rules for s in sources if s.rules}
    for (folder, split), rules in needed.items():
        made_by = records_folder.made_by(folder, split)
        own = records_folder.rules(made_by)
        if made_by and own in (None, rules):
            continue
        was_made = (
            f"was made by the rules of {own!r}"
            if made_by
            else "does not say by which rules it was made"
        )
        yield (
            f"{folder} {was_made}, and the experiment expects those of "
            f"{rules!r}: other people and boxes. To follow it, delete the "
            f"folder and make it again: {_command(folder, split, rules)}"
        )


def _command(folder: str, split: str, rules: str) -> str:
    """The command that makes a split by other rules, as far as it is known."""
    splits = records_folder.read_report(folder)["splits"]
    words = shlex.split(splits.get(split, {}).get("command") or "")
    made_by = records_folder.made_by(folder, split)
    if words[:3] != _PREPARE or "rules" not in made_by:
        name = pathlib.Path(folder).name
        reader = _READERS_OF_RULES.get((name, rules), name)
        words = [*_PREPARE, reader, "--root", "DIR", "--out", folder]
        if (name, rules) in _READERS_OF_RULES:
            return shlex.join(words)
    if "--rules" in words:
        start = words.index("--rules")
        del words[start : start + 2]
    return shlex.join([*words, "--rules", rules])


def _has_records(folder: str) -> bool:
    """Whether `folder` itself holds records."""
    return (pathlib.Path(folder) / "report.json").is_file()


def _name(folder: str) -> str:
    return pathlib.Path(folder).name


def _is_name(records_or_prior: str) -> bool:
    return bool(records_or_prior) and os.sep not in records_or_prior


def _under_root(data: config.Data, root: str) -> config.Data:
    def path(name: str) -> str:
        return str(pathlib.Path(root) / name) if _is_name(name) else name

    sources = tuple(
        dataclasses.replace(source, records=path(source.records))
        for source in data.sources
    )
    return dataclasses.replace(data, sources=sources, prior=path(data.prior))


def _subset(data: config.Data, folders: list[str]) -> config.Data:
    """Keeps the experiment's datasets that are among `folders`.

    Shares of the others go to those with the same kind of labels, so that
    as much of a batch has 3D labels as with all of them.
    """
    paths = {_name(folder): folder for folder in folders}
    available = [source for source in data.sources if source.records in paths]

    def total(sources, labels: str) -> float:
        return sum(s.share for s in sources if s.labels == labels)

    sources = tuple(
        dataclasses.replace(
            source,
            records=paths[source.records],
            share=source.share
            * total(data.sources, source.labels)
            / total(available, source.labels),
        )
        for source in available
    )
    prior_folder = _prior_of(data.prior, folders)
    return dataclasses.replace(data, sources=sources, prior=prior_folder)


def _replaced(data: config.Data, folders: list[str]) -> config.Data:
    """Replaces the datasets by `folders`, with the same share of 3D labels.

    If the experiment has sources that show different labels, each folder's
    shards are split between them: no image is used both ways.
    """
    prior_folder = _prior_of(data.prior, folders)
    data = dataclasses.replace(data, prior=prior_folder)
    if not data.sources:
        return data
    shares: dict[str, float] = {}
    for source in sorted(data.sources, key=lambda s: s.labels != "all"):
        share = source.share / len(folders)
        shares[source.labels] = shares.get(source.labels, 0.0) + share
    sources = tuple(
        config.Source(folder, share, labels, (number, len(shares)))
        for folder in folders
        for number, (labels, share) in enumerate(shares.items())
    )
    return dataclasses.replace(data, sources=sources)


def _prior_of(name: str, folders: list[str]) -> str:
    """Folder of the unpaired poses called `name`; a path is returned as is.

    The first of `folders` that has some, or `name` beside the first.
    """
    if not _is_name(name):
        return name
    with_prior = (folder for folder in folders if mocap.exists(folder))
    return next(with_prior, str(pathlib.Path(folders[0]).parent / name))


def _check(data: config.Data) -> None:
    folders = dict.fromkeys(source.records for source in data.sources)
    for folder in folders:
        try:
            records_folder.read_report(folder)
        except FileNotFoundError as error:
            available = list(filter(_has_records, folders))
            raise FileNotFoundError(
                f"{error}{_advice(folder, available)}"
            ) from error
    if data.prior and data.prior_per_image and not mocap.exists(data.prior):
        raise FileNotFoundError(_no_prior(data.prior))


def _log_mix(data: config.Data) -> None:
    """Logs the shares of the sources, so that a wrong mix is noticed."""
    total = sum(source.share for source in data.sources)
    for source in data.sources:
        log.info(
            "%5.1f %% of the pictures: %s, %s",
            100 * source.share / total,
            source.records,
            _SHOWN[source.labels],
        )


def _no_prior(folder: str) -> str:
    """Error message for missing unpaired poses: how to make them."""
    name = pathlib.Path(folder).name
    problem = f"{folder} has no unpaired poses (prior.npz). Make them with: "
    command = "python -m training.prepare"
    if name == SYNTHETIC:
        return f"{problem}{command} {name} ... --out {folder}"
    return (
        f"{problem}{command} poses --root DIR --kind amass --out {folder} (or "
        "--kind mosh, cmu), or, of HMR's own TFRecords: "
        f"{command} hmr-tfrecords --root DIR/mocap_neutrMosh --out {folder}; "
        f"or train on rendered people: --records {SYNTHETIC}"
    )


def _advice(folder: str, available: list[str]) -> str:
    """Advice for a missing dataset: train on the available ones instead."""
    name = pathlib.Path(folder).name
    if name == SYNTHETIC:
        return ""
    reader = name.replace("-", "_")  # as training.commands types it
    has_reader = re.fullmatch(r"\w+", reader) and importlib.util.find_spec(
        f"training.data.prepare.{reader}"
    )
    no_reader = (
        "" if has_reader else f" (this version has no reader for {name!r})"
    )
    on_available = (
        f"on what is there: --records {' '.join(available)}; or "
        if available
        else ""
    )
    return (
        f"{no_reader}; or train {on_available}on rendered people: "
        "--records synthetic"
    )
