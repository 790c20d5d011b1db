"""Trains an experiment: flags say where, dotted keys change the science.

    python -m training.fit                         # quick, on a CPU
    python -m training.fit quick --workdir runs/q --steps 9000
    python -m training.fit hmr --workdir runs/hmr --optim.lr 1e-5
    python -m training.fit hmr --devices gpu:0,1 --records /data/records
    python -m training.fit quick --records data/mine --start runs/demo
    python -m training.fit hkmr --print-config

The same command continues a run that was stopped or killed.
"""

import dataclasses
import importlib
import json
import logging
import pkgutil
import sys
from pathlib import Path
from typing import Annotated

import tyro

from tf_hmr import method_config, retired
from training import commands, config, experiments
from training.data.pipeline import sources
from training.engine import exit_status


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Folders and devices of a run; no part of the science."""

    workdir: Path
    """Checkpoints, metrics.jsonl, TensorBoard and the best model go here; of
    several workers, one folder that all of them see."""
    records: tuple[str, ...] = (sources.ROOT,)
    """The folder that holds the experiment's record folders, or some of them;
    or 'synthetic', or other record folders, to train on in their place."""
    body: str = "open"
    """'open' (shipped), or an SMPL .pkl, .npz or folder. For SMPLR also two,
    FEMALE,MALE: its gender chooses."""
    start: Path | None = None
    """Model folder, or another run's workdir, whose weights the run begins
    with; the mean pose of the training labels is then measured beside every
    result."""
    devices: str = "auto"
    """auto, cpu, cpu:2 (two virtual devices), gpu, gpu:0,1."""
    print_config: bool = False
    """Prints every value of the experiment as JSON, and trains nothing."""


def names() -> list[str]:
    """The experiments there are: the modules of training.experiments."""
    return sorted(m.name for m in pkgutil.iter_modules(experiments.__path__))


def load_experiment(name: str) -> config.Experiment:
    """The experiment `name`.

    Raises:
        ValueError: unknown; the message lists what there is.
    """
    if name not in names():
        raise ValueError(_unknown(name))
    module = importlib.import_module(f"training.experiments.{name}")
    return module.EXPERIMENT


def _unknown(name: str) -> str:
    return f"Unknown experiment {name!r}. There are: {names()}."


def name_and_flags(arguments: list[str]) -> tuple[str, list[str]]:
    """The experiment's name, `quick` where none is typed, and the flags."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    return "quick", arguments


def parse(arguments: list[str]) -> tuple[config.Experiment, RunOptions]:
    """Parses the command line: an experiment's name, then its fields.

    Raises:
        ValueError: unknown experiment, or a flag that its method no longer
            has, with another value than its old default.
    """
    name, rest = name_and_flags(arguments)
    experiment = load_experiment(name)
    rest = _without_retired(type(experiment.method), rest)
    default = RunOptions(workdir=Path("runs") / name)
    unprefixed = tyro.conf.arg(name="")

    def main(
        options: Annotated[RunOptions, unprefixed] = default,
        experiment: Annotated[config.Experiment, unprefixed] = experiment,
    ):
        return experiment, options

    return tyro.cli(
        main,
        prog=f"python -m training.fit {name}",
        description=f"{__doc__}\nExperiments: {', '.join(names())}.",
        args=rest,
    )


def _without_retired(
    kind: type[method_config.Config], words: list[str]
) -> list[str]:
    """The words without flags of fields that a method's Config once had.

    Raises:
        ValueError: see retired.drop.
    """
    remaining, left = [], list(words)
    while left:
        word = left.pop(0)
        flag, equals, text = word.partition("=")
        name = flag.removeprefix("--method.").replace("-", "_")
        if not flag.startswith("--method.") or name not in kind.RETIRED:
            remaining.append(word)
            continue
        if not equals and left and not left[0].startswith("--"):
            text = left.pop(0)
        accepted = kind.RETIRED[name].accepted
        same = (value for value in accepted if _parses_as(text, value))
        retired.drop(kind, {name: next(same, text)}, kind.RETIRED)
    return remaining


def _parses_as(text: str, value: str | float) -> bool:
    """Whether a word of the command line means a value, as 1 and 1.0 do."""
    try:
        return type(value)(text) == value
    except ValueError:
        return False


def overview() -> None:
    """Shows what there is without an experiment's own fields, and ends.

    Raises:
        SystemExit: always.
    """
    lines = (f"  {n:<26} {commands.summary(experiments, n)}" for n in names())
    tyro.cli(
        RunOptions,
        prog="python -m training.fit EXPERIMENT",
        description=f"{__doc__}\n`python -m training.fit EXPERIMENT --help` "
        "shows every field of one.\n\nExperiments:\n" + "\n".join(lines),
        default=RunOptions(workdir=Path("runs/EXPERIMENT")),
        args=["--help"],
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line; a status of training.engine.exit_status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in ("-h", "--help"):
        overview()
    name, _ = name_and_flags(words)
    if name not in names():
        print(f"training.fit: {_unknown(name)}", file=sys.stderr)
        return exit_status.FAILED
    print(f"Loading TensorFlow and the experiment {name}.", file=sys.stderr)
    # Not at the top: it imports TensorFlow.
    from training.tasks import fit as task

    def work():
        experiment, options = parse(words)
        config.check(experiment)
        if options.print_config:
            print(json.dumps(task.workdir.as_dict(experiment), indent=2))
            return
        print(f"Best model: {task.fit(experiment, options, name)}")

    return task.run_and_report(work)


if __name__ == "__main__":
    sys.exit(main())
