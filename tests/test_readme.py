"""The README's commands exist, with the options it shows."""

import re

import pytest

from tests.support import command_help
from tests.support.paths import ROOT

PACKAGES = ("tf_hmr", "training", "edge")


def readme_commands() -> list[list[str]]:
    """Words of each command line in the README's code blocks and spans."""
    text = (ROOT / "README.md").read_text()
    code = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    code += re.findall(r"`((?:make|python) [^`\n]*)`", text)
    text = "\n".join(code).replace("\\\n", " ")
    lines = (line.split(" #")[0].split() for line in text.splitlines())
    return [words for words in lines if words]


def test_readme_opens_with_the_two_commands():
    commands = readme_commands()
    targets = {words[1] for words in commands if words[0] == "make"}
    assert {"demo", "test"} <= targets
    made = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert targets <= set(made)


def test_nothing_is_left_to_fill_in():
    text = (ROOT / "README.md").read_text()
    assert re.findall(r"@[A-Z]+@", text) == []


def test_relative_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    missing = [
        target
        for target in targets
        if not re.match(r"[a-z]+:|#", target)
        and not (ROOT / target.split("#")[0]).exists()
    ]
    assert missing == []


def module_commands() -> list[list[str]]:
    """README lines `python -m module ...` of modules of ours, cut to -m."""
    found = []
    for words in readme_commands():
        if "-m" in words and words[0].endswith("python"):
            command = words[words.index("-m") + 1 :]
            if command[0].split(".")[0] in PACKAGES:
                found.append(command)
    return found


def as_help(command: list[str]) -> tuple[str, ...]:
    """Module and sub-command (a plain lower-case word) of a command line."""
    module, *words = command
    sub_commands = []
    for word in words:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", word):
            break
        sub_commands.append(word)
    return (module, *sub_commands)


COMMANDS = sorted({as_help(command) for command in module_commands()})


@pytest.fixture(scope="module")
def helps():
    return command_help.helps(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_readme_command_has_the_options_it_shows(words, helps):
    found = helps[words]
    assert found.status == 0, found.errors
    shown = {
        word.split("=")[0]
        for command in module_commands()
        if as_help(command) == words
        for word in command
        if word.startswith("--")
    }
    known = set(re.findall(r"--[A-Za-z][\w.-]*", found.text))
    assert shown <= known, f"unknown options {sorted(shown - known)}"
