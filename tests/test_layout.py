"""The shape of the house: file sizes, declared dependencies, no machine."""

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import PACKAGES, ROOT, modules

MAX_LINES = 700

# Import name -> distribution, where they differ.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "ai_edge_litert": "ai-edge-litert",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "sklearn": "scikit-learn",
    # A runtime of old devices, tried after ai_edge_litert.
    "tflite_runtime": "ai-edge-litert",
}


MODULES = modules()


def imported(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each import statement, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                yield node.module or "", alias.name


def declared_dependencies() -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lists = [config["options"]["install_requires"]]
    lists += config["options.extras_require"].values()
    words = (line.split() for text in lists for line in text.splitlines())
    return {line[0] for line in words if line and line[0] != "#"}


@pytest.mark.parametrize("module", MODULES)
def test_every_import_is_a_declared_dependency(module):
    declared = declared_dependencies()
    for name, _ in imported(MODULES[module].read_text()):
        top = name.split(".")[0]
        if top in PACKAGES or top in sys.stdlib_module_names:
            continue
        assert DISTRIBUTIONS.get(top, top) in declared, (
            f"{module} imports {top}, which setup.cfg does not declare"
        )
        if top in ("torch", "smplx"):
            assert module.startswith("training.benchmark"), (
                f"{module} imports {top}: it is for benchmarks only"
            )


def undocumented(page: str) -> set[str]:
    """Dependencies that the table of a page does not have."""
    rows = re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE)
    words = {word.strip(",") for row in rows for word in row.split()}
    return declared_dependencies() - words


def test_every_dependency_is_in_the_table_of_the_docs():
    assert undocumented((ROOT / "docs" / "design.md").read_text()) == set()


def test_a_planted_dependency_is_missed():
    page = (ROOT / "docs" / "design.md").read_text()
    assert undocumented(page.replace("| trimesh |", "| mesh |")) == {"trimesh"}


def test_device_runner_is_python_3_8_and_stands_alone():
    source = (ROOT / "edge" / "run.py").read_text()
    ast.parse(source, feature_version=(3, 8))
    tops = {name.split(".")[0] for name, _ in imported(source)}
    allowed = {"numpy", "cv2", "ai_edge_litert", "tflite_runtime"}
    assert tops - set(sys.stdlib_module_names) <= allowed


def modules_of_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize(
    "path", modules_of_tests(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_what_tests_share_lies_in_support(path):
    assert imported_tests(path.read_text()) == []


def imported_tests(source: str) -> list[str]:
    """Names of test_*.py files that a source text imports."""
    names = [f"{module}.{name}" for module, name in imported(source)]
    parts = [name.split(".") for name in names if name.startswith("tests.")]
    return [word for name in parts for word in name if word[:5] == "test_"]


def test_a_planted_import_of_a_test_is_found():
    planted = "def f():\n    from tests.edge import test_run\n"
    assert imported_tests(planted) == ["test_run"]


def source_files() -> list[Path]:
    return [*MODULES.values(), *modules_of_tests()]


@pytest.mark.parametrize(
    "path", source_files(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_are_short_and_name_no_machine(path):
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= MAX_LINES, f"{lines} lines, over {MAX_LINES}: split it"
    assert_no_machine_path(text)


# Split so that this file does not find itself.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/" + r"(?:work|farm|home|root|Users|mnt|scratch)/\w"
)


def assert_no_machine_path(text: str) -> None:
    machine_path = MACHINE_PATH.search(text)
    assert not machine_path, (
        f"a path of one machine: {text[machine_path.start() :].split()[0]}"
    )


def house_files() -> list[str]:
    """What ships beside the code, and is read: names below the root."""
    files = ["README.md", "CHANGELOG.md", "Makefile", "setup.cfg"]
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "edge").rglob("*.md")]
    names = sorted(
        str(page.relative_to(ROOT))
        for page in pages
        if "node_modules" not in page.parts  # Of npm, for the page.
    )
    return [*files, "pyproject.toml", *names]


@pytest.mark.parametrize("name", house_files())
def test_house_files_name_no_machine(name):
    assert_no_machine_path((ROOT / name).read_text())


def test_a_planted_machine_path_is_found():
    with pytest.raises(AssertionError, match="a path of one machine"):
        assert_no_machine_path("see " + "/home" + "/me/data")
