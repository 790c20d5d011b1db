"""Compares our results with the numbers that the papers print.

A number of a paper's own row is in exactly one of five states:

    pass              the right model's result is within the tolerance, and on
                      the printed side of numbers that are nearer than that
    fail              it is not
    no result yet     two commands make it: training.fit, training.evaluate
    not implemented   method, experiment, option or protocol does not exist yet
    not reproducible  only its authors can measure it

A result counts only if it is complete, measured on photographs, and of the
experiment that reproduces the number: unchanged, trained on its datasets by
the rules of the paper, on its body, and compared with the protocol's truth.
"""

import contextlib
import dataclasses
import enum
import functools
import io
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import method, method_config
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import listing
from training import config, fit
from training.engine import workdir
from training.evaluation import protocols, result_files
from training.papers import paper_tables, provenance

RESULTS_FOLDER = "results"
# At most so many results that do not count are named for a number.
MAX_REASONS = 2
# Fields of an experiment that its results do not depend on.
IRRELEVANT = re.compile(
    r"seed|(eval|save|log)_every|steps_per_call|precision"
    r"|data\.(seed|service|warp)|optim\.accumulate"
)


class State(enum.StrEnum):
    """The state of a printed number."""

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
        """Tests whether it is of rendered people; true when in doubt."""
        by_name = str(self.content["protocol"]).startswith("synthetic")
        return by_name or bool(self.content.get("synthetic", True))

    @property
    def commit(self) -> str:
        """The commit of the code that measured."""
        return self.content.get("environment", {}).get("commit", "not known")

    @property
    def command(self) -> str:
        """The command that measured, with old script paths as modules."""
        environment = self.content.get("environment", {})
        command = self.content.get("command") or environment.get("command", "")
        return re.sub(
            r"^\S*training/(\w+)\.py", r"python -m training.\1", command
        )


class Verdict(NamedTuple):
    """The state of a number and the result that decides it."""

    state: State
    reason: str = ""
    """Why there is no value, with the results that nearly count; or what the
    state of the value depends on besides the tolerance."""
    value: float | None = None
    result: Result | None = None
    """Source of the value; None if it was counted in the model."""
    missing_commands: tuple[str, ...] = ()
    """Commands that make the missing value."""


def read_results(folders: Iterable[Path]) -> list[Result]:
    """All results in workdirs or folders of workdirs, oldest first.

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
        pattern = pattern or f"**/{RESULTS_FOLDER}/*.json"
        paths |= set(listing.files(folder, pattern))
    files = [_read(path) for path in sorted(paths)]
    results = [result for result in files if result is not None]
    results.sort(key=lambda result: result.path.stat().st_mtime)
    # A copied folder is not a second measurement.
    return [
        result
        for index, result in enumerate(results)
        if all(result.content != earlier.content for earlier in results[:index])
    ]


def _read(path: Path) -> Result | None:
    """Reads a result; None for other JSON files."""
    content = result_files.read(path)
    return None if content is None else Result(path, content)


def judge(cell: paper_tables.Cell, results: Sequence[Result]) -> Verdict:
    """The verdict on a number, given all results."""
    requirements = cell.requirements
    if requirements.not_reproducible:
        return Verdict(State.NOT_REPRODUCIBLE, requirements.not_reproducible)
    obstacle = missing_code(requirements)
    if obstacle:
        return Verdict(State.NOT_IMPLEMENTED, obstacle)
    if requirements.metric == paper_tables.PARAMETERS:
        count = parameters(requirements.experiment, requirements.options) / 1e6
        reason = requirements.by_construction if cell.agrees(count) else ""
        return Verdict(_compared(cell, count), reason, count)
    verdict = _by_its_protocol(cell, results)
    if verdict.state == State.FAIL and requirements.other_protocols:
        return _by_all_readings(cell, verdict, results)
    return verdict


def _by_all_readings(
    cell: paper_tables.Cell, failed: Verdict, results: Sequence[Result]
) -> Verdict:
    """The verdict where the paper does not say by which of several protocols.

    A number has failed if it does by all of them, which the reason prints.
    """
    readings = [failed]
    for protocol in cell.requirements.other_protocols:
        reading = _by_its_protocol(_by_protocol(cell, protocol), results)
        if reading.value is None:
            first = failed.result.content["protocol"]
            return reading._replace(
                reason=f"{failed.value:g} by {first}, and {protocol}, which "
                f"the paper may mean, has {reading.reason or 'no result'}"
            )
        readings.append(reading)
    values = ", ".join(
        f"{reading.value:g} by {reading.result.content['protocol']}"
        for reading in readings
    )
    passed = [r for r in readings if r.state == State.PASS]
    decisive = passed[0] if passed else failed
    reasons = [f"the paper does not say which protocol it means: {values}"]
    reasons += [reading.reason for reading in readings if reading.reason]
    return decisive._replace(reason="; ".join(dict.fromkeys(reasons)))


def _by_protocol(cell: paper_tables.Cell, protocol: str) -> paper_tables.Cell:
    """The number, and those it is ordered against, by another protocol."""
    return dataclasses.replace(
        cell,
        requirements=dataclasses.replace(
            cell.requirements, protocol=protocol, other_protocols=()
        ),
        ordered_against=tuple(
            _by_protocol(neighbour, protocol)
            for neighbour in cell.ordered_against
        ),
    )


def _by_its_protocol(
    cell: paper_tables.Cell, results: Sequence[Result]
) -> Verdict:
    """The verdict by tolerance and order, of results of the cell's protocol."""
    verdict = _measured(cell, results)
    if verdict.state != State.PASS:
        return verdict
    for cell_of_table in cell.ordered_against:
        # By the same protocol as this number, whatever else it may mean.
        neighbour = _by_protocol(cell_of_table, cell.requirements.protocol)
        measured = _measured(neighbour, results)
        is_of_row = neighbour.row == cell.row
        label = neighbour.column if is_of_row else neighbour.row
        printed = f"{cell.printed} to {neighbour.printed} of {label}"
        if measured.value is None:
            note = f" ({measured.reason})" if measured.reason else ""
            return Verdict(
                State.NO_RESULT,
                f"{verdict.value:g} is within the tolerance, which is wider "
                f"than the difference of {printed}; that order needs a result "
                f"of {neighbour.requirements.experiment}{note}",
                missing_commands=commands(neighbour.requirements),
            )
        if not cell.has_order(verdict.value, neighbour, measured.value):
            return verdict._replace(
                state=State.FAIL,
                reason="within the tolerance, but not in the order of "
                f"{printed}: {verdict.value:g} to {measured.value:g}",
            )
    return verdict


def _measured(cell: paper_tables.Cell, results: Sequence[Result]) -> Verdict:
    """The verdict of the latest result that counts, by the tolerance alone."""
    requirements = cell.requirements
    candidates = [
        r for r in results if r.content["protocol"] == requirements.protocol
    ]
    mismatches = {
        result.path: mismatch(requirements, result) for result in candidates
    }
    matching = [result for result in candidates if not mismatches[result.path]]
    if not matching:
        # Results of the required experiment come first.
        candidates.sort(
            key=lambda r: r.content.get("experiment") != requirements.experiment
        )
        reasons = [
            f"{candidate.path}: {mismatches[candidate.path]}"
            for candidate in candidates
        ]
        reason = "; ".join(reasons[:MAX_REASONS])
        if len(reasons) > MAX_REASONS:
            reason += f"; and {len(reasons) - MAX_REASONS} more"
        return Verdict(
            State.NO_RESULT, reason, missing_commands=commands(requirements)
        )
    # The latest, not the best: choosing by the error would flatter.
    latest = matching[-1]
    value = float(latest.content["metrics"][requirements.metric])
    return Verdict(_compared(cell, value), value=value, result=latest)


def _compared(cell: paper_tables.Cell, value: float) -> State:
    return State.PASS if cell.agrees(value) else State.FAIL


def mismatch(requirements: paper_tables.Requirements, result: Result) -> str:
    """Why a result of the right protocol does not count; "" if it does."""
    content = result.content
    if result.is_synthetic:
        return "measured on rendered people"
    if content.get("deviations"):
        return "; ".join(content["deviations"])
    if not content.get("complete"):
        return f"not complete: {content.get('measured', 0)} examples"
    if content["metrics"].get(requirements.metric) is None:
        return f"without the metric {requirements.metric}"
    configuration = content.get("configuration")
    if not configuration:
        return "how the model was trained is not recorded"
    try:
        configuration = workdir.migrate(configuration)
    except ValueError as error:
        return str(error)
    if configuration.get("method_name") != requirements.method:
        return f"of the method {configuration.get('method_name')!r}"
    output = content.get("output", "")
    if output != requirements.output:
        parts = [
            f"the output {o!r}" if o else "its answer"
            for o in (output, requirements.output)
        ]
        return f"of {parts[0]}, not of {parts[1]}"
    experiment = content.get("experiment")
    if experiment and experiment != requirements.experiment:
        return (
            f"of the experiment {experiment!r}, not {requirements.experiment!r}"
        )
    changed = differences(requirements, configuration)
    if changed:
        changes = [
            f"{name} {actual}, not {expected}"
            for name, (actual, expected) in changed
        ]
        return "trained with " + "; ".join(changes)
    required_run = parse_experiment(
        requirements.experiment, requirements.options
    )
    required_records = {
        Path(source.records).name for source in required_run.data.sources
    }
    trained_on = {Path(folder).name for folder in content.get("trained_on", ())}
    if trained_on != required_records:
        return (
            f"trained on {sorted(trained_on)}, not {sorted(required_records)}"
        )
    return provenance.mismatch(requirements, content)


def differences(
    requirements: paper_tables.Requirements, configuration: dict[str, Any]
) -> list[tuple[str, tuple[Any, Any]]]:
    """Fields of a run's configuration that differ from the required ones.

    Fields that did not exist when the run began count as having their present
    defaults, except for those that `requirements.options` change.
    """
    defaults = workdir.as_dict(fit.load_experiment(requirements.experiment))
    expected = workdir.as_dict(
        parse_experiment(requirements.experiment, requirements.options)
    )
    optional = workdir.differences(defaults, expected)
    return [
        (name, pair)
        for name, pair in workdir.differences(configuration, expected).items()
        if not IRRELEVANT.fullmatch(name)
        and (pair[0] is not None or name in optional)
    ]


def missing_code(requirements: paper_tables.Requirements) -> str:
    """Names the code that does not exist yet; "" if all does."""
    if requirements.method not in method.names():
        return f"there is no method {requirements.method!r}"
    if requirements.experiment not in fit.names():
        return f"there is no experiment {requirements.experiment!r}"
    if parse_experiment(requirements.experiment, requirements.options) is None:
        words = shlex.join(requirements.options)
        return f"the experiment {requirements.experiment!r} has no {words}"
    outputs = method_config.module(requirements.method).Model.outputs
    if requirements.output and requirements.output not in outputs:
        return f"{requirements.method!r} has no output {requirements.output!r}"
    readings = (requirements.protocol, *requirements.other_protocols)
    for name in filter(None, readings):
        if name not in protocols.names():
            return f"there is no protocol {name!r}"
    return ""


@functools.cache
def parse_experiment(
    experiment: str, words: tuple[str, ...]
) -> config.Experiment | None:
    """The experiment of a training.fit command; None for unknown options."""
    try:
        # For a wrong option tyro prints a long message and exits.
        with contextlib.redirect_stderr(io.StringIO()):
            return fit.parse([experiment, *words])[0]
    except (SystemExit, ValueError):
        return None


def commands(requirements: paper_tables.Requirements) -> tuple[str, ...]:
    """The commands that train and measure, as typed in the repository."""
    words = [
        word.strip("-").partition(".")[2] or word
        for word in requirements.options
    ]
    folder = "runs/" + "_".join([requirements.experiment, *words])
    train = ["python", "-m", "training.fit", requirements.experiment]
    train += [*requirements.options, "--workdir", folder]
    measure = ["python", "-m", "training.evaluate", "--weights", folder]
    measure += ["--protocol", requirements.protocol]
    if requirements.output:
        measure += ["--output", requirements.output]
    return shlex.join(train), shlex.join(measure)


@functools.cache
def parameters(experiment: str, options: tuple[str, ...] = ()) -> int:
    """Number of trainable parameters of a model, without its adversary."""
    experiment_config = parse_experiment(experiment, options)
    data = BodyData.load("open")
    model = method.build(experiment_config.method, Body(data, jit=False))
    return sum(int(np.prod(v.shape)) for v in model.player_variables())
