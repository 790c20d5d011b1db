"""How near this repository comes to each number that the papers print.

A number of a paper's own row is in one of five states, which are never mixed:

    pass              the right model's result is within the tolerance
    fail              it is not
    no result yet     two commands make it: training.fit, training.evaluate
    not implemented   method, experiment, option or protocol is not there yet
    not reproducible  nobody but its authors can measure it

Only results count that are complete, of photographs, and of the experiment
that stands for the number, trained on its datasets, with nothing changed.
"""

import contextlib
import enum
import functools
import io
import json
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from training import config, fit
from training.engine import workdir
from training.evaluation import protocols
from training.papers import paper_tables

RESULTS_FOLDER = "results"
# So many results that do not count are named with each number.
MOST_TOLD = 2
# Of an experiment's fields: what a result does not depend on.
INDIFFERENT = re.compile(
    r"seed|(eval|save|log)_every|steps_per_call|precision"
    r"|data\.(seed|service|warp)|optim\.accumulate"
)


class State(enum.StrEnum):
    """Where a number stands."""

    PASS = "pass"
    FAIL = "fail"
    NO_RESULT = "no result yet"
    NOT_IMPLEMENTED = "not implemented"
    NOT_REPRODUCIBLE = "not reproducible"


class Result(NamedTuple):
    """A file that training.evaluate wrote."""

    path: Path
    content: dict[str, Any]

    @property
    def is_synthetic(self) -> bool:
        """Whether it is about rendered people; when in doubt, it is."""
        named = str(self.content["protocol"]).startswith("synthetic")
        return named or bool(self.content.get("synthetic", True))

    @property
    def commit(self) -> str:
        """Of the code that measured."""
        return self.content.get("environment", {}).get("commit", "not known")

    @property
    def command(self) -> str:
        """What was typed to measure; older results have the script's path."""
        environment = self.content.get("environment", {})
        told = self.content.get("command") or environment.get("command", "")
        return re.sub(r"^\S*training/(\w+)\.py", r"python -m training.\1", told)


class Verdict(NamedTuple):
    """What is known of a number."""

    state: State
    reason: str = ""
    """Why it has no value; results that nearly count are named."""
    value: float | None = None
    result: Result | None = None
    """Where the value is from; None when it was counted in the model."""
    missing_commands: tuple[str, ...] = ()
    """What makes the value, where there is none."""


def read_results(folders: Iterable[Path]) -> list[Result]:
    """All results in workdirs, or folders of workdirs; the oldest first.

    Raises:
        FileNotFoundError: a folder is missing.
        ValueError: a file in a `results` folder cannot be read as one.
    """
    paths = set()
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"There is no folder {folder}. Expected a workdir of "
                "training.fit, or a folder of several, measured by "
                "`python -m training.evaluate`."
            )
        pattern = "*.json" if folder.name == RESULTS_FOLDER else ""
        paths |= set(folder.glob(pattern or f"**/{RESULTS_FOLDER}/*.json"))
    found = [_read(path) for path in sorted(paths)]
    results = [result for result in found if result is not None]
    results.sort(key=lambda result: result.path.stat().st_mtime)
    # A copied folder is no second measurement.
    return [
        result
        for place, result in enumerate(results)
        if all(result.content != other.content for other in results[:place])
    ]


def _read(path: Path) -> Result | None:
    """A result; None for the JSON of something else."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}). Remove it, or measure again "
            "with `python -m training.evaluate`."
        ) from error
    if not isinstance(content, dict):
        return None
    is_result = {"protocol", "metrics"} <= content.keys()
    return Result(path, content) if is_result else None


def judge(cell: paper_tables.Cell, results: Sequence[Result]) -> Verdict:
    """The state of a number, given all results there are."""
    needs = cell.needs
    if needs.not_reproducible:
        return Verdict(State.NOT_REPRODUCIBLE, needs.not_reproducible)
    lack = lacking(needs)
    if lack:
        return Verdict(State.NOT_IMPLEMENTED, lack)
    if needs.metric == paper_tables.PARAMETERS:
        count = parameters(needs.experiment, needs.options) / 1e6
        return Verdict(_compared(cell, count), value=count)
    near = [r for r in results if r.content["protocol"] == needs.protocol]
    faults = {result.path: misfit(needs, result) for result in near}
    good = [result for result in near if not faults[result.path]]
    if not good:
        # What was meant for this number comes first.
        near.sort(key=lambda r: r.content.get("experiment") != needs.experiment)
        told = [f"{each.path}: {faults[each.path]}" for each in near]
        reason = "; ".join(told[:MOST_TOLD])
        if len(told) > MOST_TOLD:
            reason += f"; and {len(told) - MOST_TOLD} more"
        return Verdict(
            State.NO_RESULT, reason, missing_commands=commands(needs)
        )
    # The latest, not the best: choosing by the error would flatter.
    latest = good[-1]
    value = float(latest.content["metrics"][needs.metric])
    return Verdict(_compared(cell, value), value=value, result=latest)


def _compared(cell: paper_tables.Cell, value: float) -> State:
    return State.PASS if cell.agrees(value) else State.FAIL


def misfit(needs: paper_tables.Needs, result: Result) -> str:
    """Why a result of the right protocol does not count; "" where it does."""
    content = result.content
    if result.is_synthetic:
        return "measured on rendered people"
    if content.get("deviations"):
        return "; ".join(content["deviations"])
    if not content.get("complete"):
        return f"not complete: {content.get('measured', 0)} examples"
    if needs.metric not in content["metrics"]:
        return f"without the metric {needs.metric}"
    there = content.get("configuration")
    if not there:
        return "how the model was trained is not recorded"
    try:
        there = workdir.migrate(there)
    except ValueError as error:
        return str(error)
    if there.get("method_name") != needs.method:
        return f"of the method {there.get('method_name')!r}"
    named = content.get("experiment")
    if named and named != needs.experiment:
        return f"of the experiment {named!r}, not {needs.experiment!r}"
    changed = differences(needs, there)
    if changed:
        told = [f"{name} {was}, not {want}" for name, (was, want) in changed]
        return "trained with " + "; ".join(told)
    chosen = asked(needs.experiment, needs.options)
    wanted = {Path(source.records).name for source in chosen.data.sources}
    had = {Path(folder).name for folder in content.get("trained_on", ())}
    if had != wanted:
        return f"trained on {sorted(had)}, not {sorted(wanted)}"
    return ""


def differences(
    needs: paper_tables.Needs, there: dict[str, Any]
) -> list[tuple[str, tuple[Any, Any]]]:
    """Fields of a run's configuration that are not as a number needs them.

    Fields that the code did not have when the run began are as they are now,
    but for those that `needs.options` change.
    """
    plain = workdir.as_dict(fit.experiment(needs.experiment))
    wanted = workdir.as_dict(asked(needs.experiment, needs.options))
    optional = workdir.differences(plain, wanted)
    return [
        (name, pair)
        for name, pair in workdir.differences(there, wanted).items()
        if not INDIFFERENT.fullmatch(name)
        and (pair[0] is not None or name in optional)
    ]


def lacking(needs: paper_tables.Needs) -> str:
    """What of the code is not there yet; "" where all is."""
    if needs.method not in method.names():
        return f"there is no method {needs.method!r}"
    if needs.experiment not in fit.names():
        return f"there is no experiment {needs.experiment!r}"
    if asked(needs.experiment, needs.options) is None:
        words = shlex.join(needs.options)
        return f"the experiment {needs.experiment!r} has no {words}"
    if needs.protocol and needs.protocol not in protocols.names():
        return f"there is no protocol {needs.protocol!r}"
    return ""


@functools.cache
def asked(
    experiment: str, options: tuple[str, ...]
) -> config.Experiment | None:
    """What a command of training.fit asks for; None: it has no such options."""
    try:
        # Of a wrong option tyro prints at length, then ends the program.
        with contextlib.redirect_stderr(io.StringIO()):
            return fit.parse([experiment, *options])[0]
    except (SystemExit, ValueError):
        return None


def commands(needs: paper_tables.Needs) -> tuple[str, ...]:
    """What trains and measures a number, as typed in the repository."""
    words = [
        word.strip("-").partition(".")[2] or word for word in needs.options
    ]
    folder = "runs/" + "_".join([needs.experiment, *words])
    train = ["python", "-m", "training.fit", needs.experiment]
    train += [*needs.options, "--workdir", folder]
    measure = ["python", "-m", "training.evaluate", "--weights", folder]
    measure += ["--protocol", needs.protocol]
    return shlex.join(train), shlex.join(measure)


@functools.cache
def parameters(experiment: str, options: tuple[str, ...] = ()) -> int:
    """Trainable numbers of an experiment's model, without its adversary."""
    chosen = asked(experiment, options)
    data = BodyData.load("open")
    model = method.build(chosen.method, Body(data, jit=False))
    return sum(int(np.prod(v.shape)) for v in model.player_variables())
