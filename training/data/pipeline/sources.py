"""Which record folders an experiment's mix is read from.

An experiment names its datasets; where they lie is the user's business:

    --records data               its datasets, as folders of those names in data
    --records data/h36m data/lsp    those of its datasets, in its proportions
    --records synthetic          rendered people (data/synthetic) in their place
    --records DIR1 DIR2          the user's own record folders in their place
"""

import dataclasses
import importlib.util
import logging
import os
import pathlib
import re
from collections.abc import Sequence

from training import config
from training.data.records import mocap, records_folder

ROOT = "data"
SYNTHETIC = "synthetic"
log = logging.getLogger(__name__)


def resolve(data: config.Data, words: Sequence[str]) -> config.Data:
    """`data` with paths for the names of its records.

    A name is one path component; anything else is a path already.

    Args:
        data: of an experiment.
        words: what --records was given, see above.

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
    known = {source.records for source in data.sources}
    names = set(map(_name, folders))
    if list(words) == folders and len(folders) == 1 and not _holds(folders[0]):
        located = _below(data, folders[0])
    elif names <= known and len(names) == len(folders):
        located = _some_of(data, folders)
    else:
        located = _in_place_of(data, folders)
    _check(located)
    _tell(located)
    return located


def _holds(folder: str) -> bool:
    """Whether records lie in `folder` itself."""
    return (pathlib.Path(folder) / "report.json").is_file()


def _name(folder: str) -> str:
    return pathlib.Path(folder).name


def _is_name(records_or_prior: str) -> bool:
    return bool(records_or_prior) and os.sep not in records_or_prior


def _below(data: config.Data, root: str) -> config.Data:
    def path(name: str) -> str:
        return str(pathlib.Path(root) / name) if _is_name(name) else name

    sources = tuple(
        dataclasses.replace(source, records=path(source.records))
        for source in data.sources
    )
    return dataclasses.replace(data, sources=sources, prior=path(data.prior))


def _some_of(data: config.Data, folders: list[str]) -> config.Data:
    """The experiment's datasets that are among `folders`.

    What the others had goes to those with the same kind of labels, so that
    as much of a batch has 3D labels as with all of them.
    """
    paths = {_name(folder): folder for folder in folders}
    there = [source for source in data.sources if source.records in paths]

    def total(sources, labels: str) -> float:
        return sum(s.share for s in sources if s.labels == labels)

    sources = tuple(
        dataclasses.replace(
            source,
            records=paths[source.records],
            share=source.share
            * total(data.sources, source.labels)
            / total(there, source.labels),
        )
        for source in there
    )
    prior_folder = _prior_of(data.prior, folders)
    return dataclasses.replace(data, sources=sources, prior=prior_folder)


def _in_place_of(data: config.Data, folders: list[str]) -> config.Data:
    """The experiment's shares with and without 3D labels, from `folders`.

    Where it has both, no image is seen with its 3D labels and without them:
    the shards of each folder are dealt to the two.
    """
    prior_folder = _prior_of(data.prior, folders)
    data = dataclasses.replace(data, prior=prior_folder)
    if not data.sources:
        return data
    shares = {"all": 0.0, "2d": 0.0}
    for source in data.sources:
        shares[source.labels] += source.share / len(folders)
    kinds = [labels for labels, share in shares.items() if share]
    sources = tuple(
        config.Source(folder, shares[labels], labels, (number, len(kinds)))
        for folder in folders
        for number, labels in enumerate(kinds)
    )
    return dataclasses.replace(data, sources=sources)


def _prior_of(name: str, folders: list[str]) -> str:
    """The folder of the unpaired poses called `name`; a path stays itself.

    The first of `folders` that has some, or the one beside the first.
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
            there = list(filter(_holds, folders))
            raise FileNotFoundError(
                f"{error}{_advice(folder, there)}"
            ) from error
    if data.prior and data.prior_per_image and not mocap.exists(data.prior):
        raise FileNotFoundError(_no_prior(data.prior))


def _tell(data: config.Data) -> None:
    """Says what the batches are made of: the wrong mix is seen here."""
    total = sum(source.share for source in data.sources)
    for source in data.sources:
        log.info(
            "%5.1f %% of the pictures: %s, %s",
            100 * source.share / total,
            source.records,
            "all labels" if source.labels == "all" else "keypoints alone",
        )


def _no_prior(folder: str) -> str:
    """Where unpaired poses come from."""
    name = pathlib.Path(folder).name
    found = f"{folder} has no unpaired poses (prior.npz). Make them with: "
    command = "python -m training.prepare"
    if name == SYNTHETIC:
        return f"{found}{command} {name} ... --out {folder}"
    return (
        f"{found}{command} poses --root DIR --kind amass --out {folder} (or "
        "--kind mosh, cmu), or, of HMR's own TFRecords: "
        f"{command} hmr-tfrecords --root DIR/mocap_neutrMosh --out {folder}; "
        f"or train on rendered people: --records {SYNTHETIC}"
    )


def _advice(folder: str, there: list[str]) -> str:
    """What else can be done where a dataset is missing and others are not."""
    name = pathlib.Path(folder).name
    if name == SYNTHETIC:
        return ""
    reader = name.replace("-", "_")  # as training.commands types it
    known = re.fullmatch(r"\w+", reader) and importlib.util.find_spec(
        f"training.data.prepare.{reader}"
    )
    lacking = "" if known else f" (this version has no reader for {name!r})"
    some = (
        f"on what is there: --records {' '.join(there)}; or " if there else ""
    )
    return f"{lacking}; or train {some}on rendered people: --records synthetic"
