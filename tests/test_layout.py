"""The shape of the house: floors, file sizes, declared dependencies."""

import ast
import configparser
import fnmatch
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.floors import FLOORS

ROOT = Path(__file__).parents[1]
PACKAGES = ("tf_hmr", "training", "edge")
MOST_LINES = 400

# Import name -> distribution, where they differ.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "ai_edge_litert": "ai-edge-litert",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "sklearn": "scikit-learn",
    # A runtime of old devices, tried after ai_edge_litert.
    "tflite_runtime": "ai-edge-litert",
}


def modules() -> dict[str, Path]:
    """All modules by dotted name; a package's own code is `x.__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts)] = path
    return found


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


def own_imports(source: str) -> set[str]:
    """Modules of this project that a source text imports."""
    targets = set()
    for module, name in imported(source):
        if module.split(".")[0] in PACKAGES:
            choices = (f"{module}.{name}", module, f"{module}.__init__")
            targets.add(next((c for c in choices if c in MODULES), module))
    return targets


def floor_of(module: str) -> int:
    """Its floor by its own name, or else by a pattern."""
    for matches in (str.__eq__, fnmatch.fnmatchcase):
        for floor, patterns in enumerate(FLOORS):
            if any(matches(module, pattern) for pattern in patterns):
                return floor
    raise AssertionError(
        f"{module} has no floor. Add it to FLOORS, above all it imports."
    )


def breaches(module: str, source: str) -> list[str]:
    """What a module imports against the rules, in words."""
    targets = {t for t in own_imports(source) if not is_bare_package(t)}
    found = [
        f"{module} (floor {floor_of(module)}) imports {target} "
        f"(floor {floor_of(target)})"
        for target in sorted(targets)
        if floor_of(target) >= floor_of(module)
    ]
    home = module.split(".")[0]
    barred = {"tf_hmr": ("training", "edge"), "training": ("edge",)}
    for target in sorted(targets):
        if target.split(".")[0] in barred.get(home, ()):
            found.append(f"{home} must not import {target}")
    return found


def is_bare_package(module: str) -> bool:
    """An __init__ that only marks a folder: it needs no floor."""
    if module not in MODULES or not module.endswith(".__init__"):
        return False
    body = ast.parse(MODULES[module].read_text()).body
    return all(isinstance(node, ast.Expr) for node in body)  # a docstring


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_from_lower_floors(module):
    if not is_bare_package(module):
        assert breaches(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("tf_hmr.geometry", "from tf_hmr import losses"),  # the same floor
        ("tf_hmr.joints", "from tf_hmr.body import Body"),  # a higher one
        ("tf_hmr.people", "def f():\n    import training.config"),
        ("training.loop", "import edge.run"),
    ],
)
def test_a_planted_import_is_found(module, planted):
    source = MODULES.get(module)
    text = source.read_text() if source else ""
    assert len(breaches(module, f"{text}\n{planted}\n")) > len(
        breaches(module, text)
    )


def test_a_module_without_a_floor_is_found():
    with pytest.raises(AssertionError, match="has no floor"):
        floor_of("tf_hmr.somewhere")


def test_floors_name_each_module_once():
    patterns = [pattern for floor in FLOORS for pattern in floor]
    for module in MODULES:
        assert patterns.count(module) <= 1, f"{module} has several floors"
        hits = [
            p
            for p in patterns
            if p != module and fnmatch.fnmatchcase(module, p)
        ]
        assert len(hits) <= 1, f"{module} is on several floors: {hits}"


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


def test_device_runner_is_python_3_8_and_stands_alone():
    source = (ROOT / "edge" / "run.py").read_text()
    ast.parse(source, feature_version=(3, 8))
    tops = {name.split(".")[0] for name, _ in imported(source)}
    allowed = {"numpy", "cv2", "ai_edge_litert", "tflite_runtime"}
    assert tops - set(sys.stdlib_module_names) <= allowed


def source_files() -> list[Path]:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    return [*MODULES.values(), *tests]


@pytest.mark.parametrize(
    "path", source_files(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_are_short_and_name_no_machine(path):
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= MOST_LINES, (
        f"{lines} lines, at most {MOST_LINES}: split it by purpose"
    )
    assert_no_machine_path(text)


# Split so that this file does not find itself.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/" + r"(?:work|farm|home|root|Users|mnt|scratch)/\w"
)


def assert_no_machine_path(text: str) -> None:
    found = MACHINE_PATH.search(text)
    assert not found, (
        f"a path of one machine: {text[found.start() :].split()[0]}"
    )


@pytest.mark.parametrize(
    "name",
    ["README.md", "CHANGELOG.md", "Makefile", "setup.cfg", "pyproject.toml"],
)
def test_house_files_name_no_machine(name):
    assert_no_machine_path((ROOT / name).read_text())


def test_a_planted_machine_path_is_found():
    with pytest.raises(AssertionError, match="a path of one machine"):
        assert_no_machine_path("see " + "/home" + "/me/data")
