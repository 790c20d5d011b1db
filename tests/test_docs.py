"""README and docs: links lead somewhere, commands have the options shown."""

import ast
import configparser
import functools
import re
from pathlib import Path

import pytest

import tf_hmr
from tests.support import command_help
from tests.support.paths import PACKAGES, ROOT, modules
from training import benchmarks
from training import commands as programs
from training.data import prepare
from training.evaluation import protocols

MAX_README_LINES = 120
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, *DOCS]
# Pages beside the code that they describe.
OTHER_PAGES = [
    ROOT / name
    for name in (
        "edge/REPORT.md",
        "edge/android/README.md",
        "edge/jetson/README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    )
]

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
ADDED_FILE = re.compile(r"^```\w+ title=.*?^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


def every_page(pages=(*PAGES, *OTHER_PAGES)):
    return pytest.mark.parametrize("page", pages, ids=title)


def spans(text: str) -> list[str]:
    """Code spans outside of code blocks, each on one line."""
    return [" ".join(s.split()) for s in SPAN.findall(FENCE.sub("", text))]


def commands(text: str) -> list[list[str]]:
    """Words of each command line in a page's code blocks and spans.

    Files that a page adds are left out: their commands need them.
    """
    text = ADDED_FILE.sub("", text)
    lines = "\n".join(block for _, block in FENCE.findall(text))
    lines = lines.replace("\\\n", " ").splitlines()
    lines += [s for s in spans(text) if re.match(r"(make|python3?) ", s)]
    words_of_lines = (re.split(r"\s+#", line)[0].split() for line in lines)
    return [words for words in words_of_lines if words]


def unknown_targets(text: str) -> set[str]:
    """Targets of `make` that a page shows and the Makefile lacks."""
    used_targets = {words[1] for words in commands(text) if words[0] == "make"}
    defined_targets = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    return used_targets - set(defined_targets)


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {tf_hmr.__version__}\n" in citation


def test_readme_opens_with_a_photo_and_then_the_two_commands():
    words = list(commands(README.read_text()))
    targets = [w[1] for w in words if w[0] == "make"]
    assert targets[:3] == ["install", "demo", "test"]
    first = next(w for w in words if w[0] == "python")
    assert first[:3] == ["python", "-m", "tf_hmr"] and "--weights" not in first


@every_page()
def test_make_targets_are_in_the_makefile(page):
    assert unknown_targets(page.read_text()) == set()


def test_a_planted_target_is_found():
    assert unknown_targets("`make test`, `make coffee`") == {"coffee"}


def readme_faults(text: str) -> list[str]:
    lines = text.count("\n")
    if lines <= MAX_README_LINES:
        return []
    return [f"{lines} lines, at most {MAX_README_LINES}: move it to docs/"]


def test_the_readme_is_short():
    assert readme_faults(README.read_text()) == []


def test_a_planted_long_readme_is_found():
    assert readme_faults("\n" * 120) == []
    assert readme_faults("\n" * 121)


@every_page()
def test_nothing_is_left_to_fill_in(page):
    assert left_open(page.read_text()) == []


def left_open(text: str) -> list[str]:
    return re.findall(r"@[A-Z]+@|\bTODO\b|\bTBD\b", text)


def test_a_planted_gap_is_found():
    assert left_open("takes @MINUTES@ minutes") == ["@MINUTES@"]


def anchors(text: str) -> set[str]:
    """The fragments that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    slugs, counts = set(), {}
    for heading in headings:
        # A link counts by its words; other punctuation goes, - and _ stay.
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip())
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = counts[name] = counts.get(name, -1) + 1
        slugs.add(f"{name}-{number}" if number else name)
    return slugs


def broken_links(text: str, page: Path) -> list[str]:
    """Relative links and images of a page that lead nowhere."""
    text = FENCE.sub("", text)
    targets = re.findall(r"\]\(([^)\s]+)\)", SPAN.sub("", text))
    broken = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        inside = path.is_relative_to(ROOT) and path.exists()
        if not inside or (fragment and not _has_anchor(path, fragment, text)):
            broken.append(target)
    return broken


def _has_anchor(path: Path, fragment: str, own_text: str) -> bool:
    text = path.read_text() if path.is_file() else own_text
    return path.suffix == ".md" and fragment in anchors(text)


@every_page()
def test_relative_links_lead_somewhere(page):
    assert broken_links(page.read_text(), page) == []


def test_the_readme_and_the_map_link_every_page():
    """Pages in a folder are linked by the page of its name."""
    for page in (README, ROOT / "docs" / "index.md"):
        linked = {page}
        for source in (page, *DOCS):
            if source == page or source.with_suffix("").is_dir():
                targets = re.findall(r"\]\(([^)#\s]+)", source.read_text())
                linked |= {(source.parent / t).resolve() for t in targets}
        assert set(DOCS) <= linked, title(page)


@pytest.mark.parametrize(
    "target",
    [
        "missing.md",
        "../NOTHING",
        "design.md#no-such-heading",
        "#no-such-heading",
        "../edge#a-folder-has-none",
        "../../outside.md",
    ],
)
def test_a_planted_broken_link_is_found(target):
    page = ROOT / "docs" / "index.md"
    assert broken_links(f"[x]({target})", page) == [target]


def test_links_of_every_kind_are_followed():
    page = ROOT / "docs" / "index.md"
    text = "![x](demo.png) [x](design.md#layers) [x](https://a.example/b)"
    assert broken_links(text, page) == []
    assert anchors("# `Term` and the one\n## A\n## A\n") == {
        *("term-and-the-one", "a", "a-1")
    }


def module_commands(text: str) -> list[list[str]]:
    """Lines `python -m module ...` of modules of ours, cut to -m."""
    modules = []
    for words in commands(text):
        for at, word in enumerate(words[:-2]):
            if re.search(r"(^|[(/])python3?$", word) and words[at + 1] == "-m":
                command = words[at + 2 :]
                if command[0].split(".")[0] in PACKAGES:
                    modules.append(command)
    return modules


def as_help(command: list[str]) -> tuple[str, ...]:
    """Module and sub-command (a plain lower-case word) of a command line."""
    module, *words = command
    sub_commands = []
    for word in words:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", word):
            break
        sub_commands.append(word)
    return (module, *sub_commands)


def options(commands: list[list[str]], words: tuple[str, ...]) -> set[str]:
    """Options that are shown with a module and its sub-command."""
    return {
        re.match(r"--[\w.-]*", word)[0]
        for command in commands
        if as_help(command) == words
        for word in command
        if word.startswith("--")
    }


def unknown_options(used_options: set[str], text: str) -> list[str]:
    """Options that a help does not have."""
    return sorted(used_options - set(re.findall(r"--[A-Za-z][\w.-]*", text)))


MODULE_COMMANDS = [
    command
    for page in (*PAGES, *OTHER_PAGES)
    for command in module_commands(page.read_text())
]
COMMANDS = sorted({as_help(command) for command in MODULE_COMMANDS})
PLANTED = ("training.no_such_command",)
EVERY_COMMAND = sorted(
    (name.removesuffix(".__main__"),)
    for name, path in modules().items()
    if '\nif __name__ == "__main__":' in path.read_text()
)


SUB_COMMANDS = [
    (program, name)
    for program, package in (
        ("training.prepare", prepare),
        ("training.benchmark", benchmarks),
    )
    for name in programs.names(package)
]


def shows_fields(words: tuple[str, ...]) -> bool:
    """Whether a help shows a method's fields, which are in its module."""
    return words[0] == "training.fit" and len(words) > 1


@pytest.fixture(scope="module")
def helps():
    words = {*COMMANDS, *EVERY_COMMAND, *SUB_COMMANDS, PLANTED}
    return command_help.helps(sorted(words, key=shows_fields))


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_a_help(words, helps):
    assert helps[words].status == 0, helps[words].errors
    assert helps[words].text.lower().startswith("usage: ")


@pytest.mark.parametrize("words", [*EVERY_COMMAND, *SUB_COMMANDS], ids=" ".join)
def test_help_needs_no_tensorflow(words, helps):
    assert not helps[words].has_tensorflow


def test_help_that_needs_tensorflow_says_so(helps):
    with_fields = [words for words in COMMANDS if shows_fields(words)]
    for words in with_fields:
        assert helps[words].has_tensorflow
        assert helps[words].errors.startswith("Loading TensorFlow and the")
    assert with_fields


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_has_the_options_it_shows(words, helps):
    command_help = helps[words]
    assert command_help.status == 0, command_help.errors
    unknown = unknown_options(
        options(MODULE_COMMANDS, words), command_help.text
    )
    assert not unknown, f"unknown options {unknown}"


def test_a_planted_command_is_found(helps):
    assert helps[PLANTED].status != 0


def test_a_planted_option_is_found(helps):
    text = "`python -m training.doctor\ndata --planted=1 --split x`"
    planted = module_commands(text)
    words = ("training.doctor", "data")
    assert [as_help(command) for command in planted] == [words]
    used_options = options(planted, words)
    help_text = helps[("training.claims",)].text + "--split"
    assert unknown_options(used_options, help_text) == ["--planted"]


def options_in_prose(text: str) -> set[str]:
    """Options in code spans of their own, without a command."""
    return {
        re.match(r"--[\w.-]+", span)[0]
        for span in spans(text)
        if re.match(r"--[a-z]", span)
    }


@every_page()
def test_options_in_prose_are_of_some_command(page, helps):
    all_help = " ".join(helps[words].text for words in COMMANDS)
    used_options = options_in_prose(page.read_text())
    assert unknown_options(used_options, all_help) == []


def test_a_planted_option_in_prose_is_found():
    text = "takes `--planted 3` or\n`--split`"
    assert unknown_options(options_in_prose(text), "--split") == ["--planted"]


def test_commands_inside_other_commands_are_read():
    text = "```sh\nx=$(python -m training.launch \\\n  --index 0) y\n```\n"
    assert module_commands(text)[0][:2] == ["training.launch", "--index"]


def missing_files(text: str) -> list[str]:
    """Files and modules of ours that a page names in code and nobody has."""
    missing = []
    for span in spans(text):
        path = re.fullmatch(r"((?:tf_hmr|training|edge|tests)/[\w./-]*)", span)
        if path and not re.search(r"[A-Z]{4}", span):
            if not (ROOT / span).exists():
                missing.append(span)
        elif re.fullmatch(r"(tf_hmr|training|edge)(\.\w+)+", span):
            if not _is_named(span):
                missing.append(span)
    return missing


def _is_named(dotted: str) -> bool:
    """Whether a module, or a name at the top of one, is called so."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        file = path / "__init__.py" if path.is_dir() else path
        file = file.with_suffix(".py")
        if file.is_file():
            rest = parts[length:]
            return not rest or rest[0] in _names(file)
    return False


@functools.cache
def _names(file: Path) -> set[str]:
    """Names that the top of a module defines; a package's `__all__`, too."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
            if "__all__" in names and isinstance(node.value, ast.List):
                names |= {getattr(e, "value", "") for e in node.value.elts}
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
    return names


@every_page()
def test_files_that_are_named_exist(page):
    assert missing_files(page.read_text()) == []


def test_a_planted_file_is_found():
    text = "`tf_hmr/nothing.py` `edge/run.py` `training.config.Nothing`"
    text += " `tf_hmr.recover` `training/data/prepare/NAME.py` `tf_hmr.method`"
    assert missing_files(text) == [
        *("tf_hmr/nothing.py", "training.config.Nothing")
    ]


def modules_in(folder: str) -> set[str]:
    return {
        path.stem
        for path in (ROOT / folder).glob("*.py")
        if not path.name.startswith("_")
    }


def not_named(names: set[str], page: str) -> set[str]:
    """Those that a page does not have in code, alone or in a command."""
    text = (ROOT / "docs" / page).read_text()
    words = {word for span in spans(text) for word in span.split()}
    return names - words


def test_every_experiment_reader_and_protocol_is_on_its_page():
    readers = modules_in("training/data/prepare")
    readers = {name.replace("_", "-") for name in readers}
    assert not_named(readers, "datasets.md") == set()
    experiments = modules_in("training/experiments")
    assert not_named(experiments, "methods.md") == set()
    assert not_named(set(protocols.names()), "evaluation.md") == set()


def layers(package: str) -> set[str]:
    """Packages and modules in a package's layers, as setup.cfg has them."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    names = set()
    for name in config.sections():
        section = config[name]
        if section.get("containers") == package:
            names |= set(re.findall(r"\w+", section["layers"]))
    return names


@pytest.mark.parametrize("package", [*PACKAGES, "training.data"])
def test_every_layer_is_on_the_page_of_the_design(package):
    assert layers(package)
    assert not_named(layers(package), "design.md") == set()


def test_a_planted_experiment_is_missed():
    assert not_named({"hmr", "planted"}, "methods.md") == {"planted"}
