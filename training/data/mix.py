"""Which record folders an experiment's mix is read from.

An experiment names its datasets; where they lie is the user's business:

    --records data               its datasets, as folders of those names in data
    --records synthetic          rendered people (data/synthetic) in their place
    --records DIR1 DIR2          the user's own record folders in their place
"""

import dataclasses
import importlib.util
import os
import pathlib
import re
from collections.abc import Sequence

from training import config
from training.data import prior, records

ROOT = "data"
SYNTHETIC = "synthetic"


def locate(data: config.Data, words: Sequence[str]) -> config.Data:
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
    if list(words) == folders and len(folders) == 1 and not _holds(folders[0]):
        located = _below(data, folders[0])
    else:
        located = _in_place_of(data, folders)
    _check(located)
    return located


def _holds(folder: str) -> bool:
    """Whether records lie in `folder` itself."""
    return (pathlib.Path(folder) / "report.json").is_file()


def _below(data: config.Data, root: str) -> config.Data:
    def path(name: str) -> str:
        is_name = name and os.sep not in name
        return str(pathlib.Path(root) / name) if is_name else name

    sources = tuple(
        dataclasses.replace(source, records=path(source.records))
        for source in data.sources
    )
    return dataclasses.replace(data, sources=sources, prior=path(data.prior))


def _in_place_of(data: config.Data, folders: list[str]) -> config.Data:
    """The experiment's shares with and without 3D labels, from `folders`.

    Where it has both, no image is seen with its 3D labels and without them:
    the shards of each folder are dealt to the two.
    """
    if data.prior:
        data = dataclasses.replace(data, prior=_prior_of(folders))
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


def _prior_of(folders: list[str]) -> str:
    """The first folder with unpaired poses, or the first of all."""
    with_prior = (f for f in folders if prior.exists(f))
    return next(with_prior, folders[0])


def _check(data: config.Data) -> None:
    for folder in {source.records: None for source in data.sources}:
        try:
            records.read_report(folder)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}{_advice(folder)}") from error
    if data.prior and data.prior_per_image and not prior.exists(data.prior):
        raise FileNotFoundError(_no_prior(data.prior))


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


def _advice(folder: str) -> str:
    """What else can be done where a dataset is missing."""
    name = pathlib.Path(folder).name
    if name == SYNTHETIC:
        return ""
    reader = name.replace("-", "_")  # as training.commands types it
    known = re.fullmatch(r"\w+", reader) and importlib.util.find_spec(
        f"training.data.prepare.{reader}"
    )
    lacking = "" if known else f" (this version has no reader for {name!r})"
    return f"{lacking}; or train on rendered people: --records synthetic"
