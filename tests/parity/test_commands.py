"""The commands that the missing numbers name can be typed."""

import shlex

import pytest
import tyro

from training import evaluate, fit
from training.evaluation import protocols
from training.papers import paper_tables, parity


def commands() -> list[str]:
    """Every distinct command of the numbers whose code is there."""
    distinct = {}
    for requirements in (cell.requirements for cell in paper_tables.cells()):
        # Asking parity.judge would build the models whose numbers it counts.
        counted = requirements.metric == paper_tables.PARAMETERS
        if not (
            counted
            or requirements.not_reproducible
            or parity.missing_code(requirements)
        ):
            distinct |= dict.fromkeys(parity.commands(requirements))
    return list(distinct)


COMMANDS = commands()


def test_both_programs_are_named():
    programs = {shlex.split(command)[2] for command in COMMANDS}
    assert programs == {"training.fit", "training.evaluate"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_shows_its_help(command, capsys):
    program, *words = shlex.split(command)[2:]
    main = {"training.fit": fit.main, "training.evaluate": evaluate.main}
    with pytest.raises(SystemExit) as ended:
        main[program]([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m training." in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_command_means_something(command):
    """--help is shown before wrong words are looked at; here they are."""
    program, *words = shlex.split(command)[2:]
    if program == "training.fit":
        experiment, options = fit.parse(words)
        assert experiment.method and options.workdir.parts[0] == "runs"
    else:
        flags = tyro.cli(evaluate.Evaluate, args=words)
        for name in flags.protocol:
            assert protocols.get(name).name == name
