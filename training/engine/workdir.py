"""A run's folder: the same configuration continues, another is refused."""

import contextlib
import dataclasses
import fcntl
import json
import logging
import platform
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tf_hmr import method as methods
from tf_hmr.formats import atomic, json_files
from training import config
from training.engine import best_model, fit_store, provenance, run_log

CONFIG_FILE = "experiment.json"
ENVIRONMENT_FILE = "environment.json"
NAME = "experiment"
"""Key of the experiment's name in CONFIG_FILE; runs of before have none."""
CHECKPOINTS = "checkpoints"
LOCK_FILE = "lock"
_FOLDERS = (
    CHECKPOINTS,
    best_model.FOLDER,
    run_log.EVENTS_FOLDER,
    fit_store.FOLDER,
)
_FILES = (CONFIG_FILE, ENVIRONMENT_FILE, run_log.METRICS_FILE, LOCK_FILE)
_KIND = "a file that training.fit writes into its workdir"
_PRECISIONS = ("float32", "bfloat16")
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless")
log = logging.getLogger(__name__)


def as_dict(experiment: config.Experiment) -> dict[str, Any]:
    """The experiment as JSON's types, with its method's name."""
    content = {
        "method_name": methods.name_of(experiment.method),
        **dataclasses.asdict(experiment),
    }
    return json.loads(json.dumps(content))


def migrate(content: dict[str, Any]) -> dict[str, Any]:
    """Translates a stored experiment to today's methods and their fields.

    Args:
        content: of `as_dict`, also an older version's.

    Raises:
        ValueError: its method no longer has a field with such a value.
    """
    name, method = content.get("method_name"), content.get("method")
    if not isinstance(method, dict):
        return content
    name, method = methods.migrate(name, method)
    return content | {"method_name": name, "method": method}


def claim(
    workdir: Path,
    experiment: config.Experiment,
    choices: dict[str, Any],
    name: str = "",
) -> None:
    """Writes configuration, environment and the choices of a new run.

    A folder that holds neither a logged step nor a checkpoint is free to be
    claimed anew, so that a mistyped value can be mended.

    Args:
        workdir: of the run.
        experiment: the configuration.
        choices: what the first start settles for all later ones.
        name: of the experiment, for those who read its results.

    Raises:
        ValueError: the folder belongs to another configuration; the message
            lists every field that differs.
    """
    if begun(workdir):
        settled(workdir, experiment)
        return
    workdir.mkdir(parents=True, exist_ok=True)
    best_model.forget_score(workdir)
    write_json(workdir / CONFIG_FILE, {NAME: name, **as_dict(experiment)})
    write_json(workdir / ENVIRONMENT_FILE, environment() | choices)


def begun(workdir: Path) -> bool:
    """Whether a run has logged or saved a step there."""
    metrics = workdir / run_log.METRICS_FILE
    logged = metrics.exists() and metrics.stat().st_size > 0
    return logged or bool(saved_steps(workdir))


def noted(workdir: Path) -> dict[str, Any]:
    """Reads the choices and the environment of a run; {} without a run.

    Raises:
        ValueError: the file is damaged.
    """
    path = workdir / ENVIRONMENT_FILE
    return read_json(path) if path.is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    """Reads a file of `claim`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged; the message names it.
    """
    try:
        return json_files.read_object(path, _KIND)
    except ValueError as error:
        raise ValueError(
            f"{error} The checkpoints do not depend on it, but the run cannot "
            "go on without: bring it back from a copy, or choose another "
            "--workdir."
        ) from error


def check_layout(workdir: Path) -> None:
    """Refuses a folder where something else has the name of a run's file.

    Raises:
        ValueError: names it.
    """
    for folder in (workdir, *(workdir / name for name in _FOLDERS)):
        if folder.exists() and not folder.is_dir():
            raise ValueError(
                f"{folder} is a file, expected a folder. Move it away, or "
                "choose another --workdir."
            )
    for name in _FILES:
        if (workdir / name).is_dir():
            raise ValueError(
                f"{workdir / name} is a folder, expected a file. Move it "
                "away, or choose another --workdir."
            )


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Locks a folder against other processes of this machine.

    Raises:
        ValueError: another process trains there, or see `check_layout`.
    """
    check_layout(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / LOCK_FILE, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"Another process trains in {workdir}. Wait for it or stop "
                "it, or choose another --workdir."
            ) from None
        except OSError:
            # Some network file systems have no locks.
            log.warning("%s cannot be locked.", workdir)
        yield


def saved_steps(workdir: Path) -> list[int]:
    """The steps of the checkpoints, in order.

    By the files, not by TensorFlow's list of them, which a damaged or older
    'checkpoint' file would leave empty without a word.
    """
    files = (workdir / CHECKPOINTS).glob("ckpt-*.index")
    numbers = [path.stem.removeprefix("ckpt-") for path in files]
    return sorted(int(n) for n in numbers if _is_step(n))


def _is_step(text: str) -> bool:
    # isdigit alone also takes "²", which int() does not.
    is_number = text.isascii() and text.isdigit()
    return is_number and (text == "0" or text[0] != "0")


def settled(workdir: Path, experiment: config.Experiment) -> dict[str, Any]:
    """Reads the choices that the first start of this run wrote.

    Args:
        workdir: of the run.
        experiment: must have the values of the run.

    Raises:
        ValueError: see `claim`, or a file of `claim` is missing.
    """
    try:
        stored = read_json(workdir / CONFIG_FILE)
        choices = read_json(workdir / ENVIRONMENT_FILE)
    except FileNotFoundError as error:
        raise ValueError(
            f"{error.filename} is missing. Without it the run in {workdir} "
            "cannot be continued; where several workers train, --workdir must "
            "be one folder that all of them see."
        ) from error
    stored.pop(NAME, None)  # Two experiments of equal values are one.
    try:
        stored = migrate(stored)
    except ValueError as error:
        raise ValueError(f"{workdir / CONFIG_FILE}: {error}") from error
    stored = _with_defaults(stored, experiment)
    different = differences(
        _without_rules(stored), _without_rules(as_dict(experiment))
    )
    if different:
        lines = "\n".join(
            f"  {field}: {before!r} in the folder, {after!r} asked for"
            for field, (before, after) in different.items()
        )
        raise ValueError(
            f"{workdir} belongs to another configuration:\n{lines}\n"
            "Continue with the same values, or choose another --workdir."
        )
    return choices


def _without_rules(content: dict[str, Any]) -> dict[str, Any]:
    """The experiment without what its records must be made by.

    The rules change no step of a run, and older versions did not write them.
    """
    data = content.get("data")
    sources = data.get("sources") if isinstance(data, dict) else None
    if not isinstance(sources, list):
        return content
    sources = [
        {name: value for name, value in source.items() if name != "rules"}
        if isinstance(source, dict)
        else source
        for source in sources
    ]
    return content | {"data": data | {"sources": sources}}


def _with_defaults(stored: dict[str, Any], experiment: Any) -> dict[str, Any]:
    """Fills the fields that an older version did not write, with defaults.

    Args:
        stored: a dataclass as it was written.
        experiment: one of its kind.
    """
    filled = dict(stored)
    for field in dataclasses.fields(experiment):
        value = getattr(experiment, field.name)
        if isinstance(filled.get(field.name), dict):
            filled[field.name] = _with_defaults(filled[field.name], value)
        elif field.name not in filled and (
            field.default is not dataclasses.MISSING
        ):
            filled[field.name] = json.loads(json.dumps(_plain(field.default)))
    return filled


def _plain(value: Any) -> Any:
    return (
        dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
    )


def check_same_data(
    workdir: Path, stored: dict[str, Any], choices: dict[str, Any]
) -> None:
    """Checks that a run goes on with its own records and body.

    Folders may have moved: only the last part of their paths counts.

    Args:
        workdir: of the run.
        stored: its first choices; "sources" and "topology" are compared.
        choices: those of this start.

    Raises:
        ValueError: they differ, or the first ones are damaged.
    """
    _check_choices(workdir / ENVIRONMENT_FILE, stored, choices)
    different = differences(data_of(stored), data_of(choices))
    if different:
        changes = "; ".join(
            f"its {name} were {before}, now {after} are asked for"
            for name, (before, after) in different.items()
        )
        raise ValueError(
            f"{workdir} was trained on other data: {changes}. Pass the same "
            "--records and --body, or choose another --workdir."
        )


def data_of(choices: dict[str, Any]) -> dict[str, Any]:
    """What the choices of a run say of its data, wherever its folders are."""
    sources = json.loads(json.dumps(choices.get("sources")))
    for source in sources:
        source["records"] = Path(source["records"]).name
        source.pop("rules", None)  # of no consequence, see _without_rules
    return {"records": sources, "body": choices.get("topology")}


def _check_choices(
    path: Path, stored: dict[str, Any], choices: dict[str, Any]
) -> None:
    """Refuses an environment.json whose choices cannot be those of a run."""
    sources = stored.get("sources")
    right = isinstance(sources, list) and all(
        isinstance(source, dict) and isinstance(source.get("records"), str)
        for source in sources
    )
    precision = stored.get("precision")
    if "precision" in choices:
        right = right and precision in _PRECISIONS
    if not right:
        raise ValueError(
            f"{path} is damaged: its sources are {sources!r:.60}, its "
            f"precision is {precision!r:.20}; expected a list of records, and "
            f"one of {', '.join(_PRECISIONS)}. Bring it back from a copy, or "
            "choose another --workdir."
        )


def differences(
    before: dict, after: dict, prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Fields of two nested dictionaries that differ, by dotted name."""
    different = {}
    for key in sorted(before.keys() | after.keys()):
        a, b = before.get(key), after.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            different |= differences(a, b, f"{prefix}{key}.")
        elif a != b:
            different[f"{prefix}{key}"] = (a, b)
    return different


def environment() -> dict[str, Any]:
    """Command, commit and versions, for a result to be repeatable."""
    return {
        "command": _command(),
        "commit": provenance.commit(),
        "python": platform.python_version(),
        **{name: provenance.package_version(name) for name in PACKAGES},
    }


def _command() -> str:
    """What was typed: the module by its name, not by its path here."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is None:
        return shlex.join(sys.argv)
    name = module.name.removesuffix(".__main__")
    return shlex.join(["python", "-m", name, *sys.argv[1:]])


def write_json(path: Path, content: Any) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n")
