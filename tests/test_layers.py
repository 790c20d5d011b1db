"""Who may import whom: the contracts of setup.cfg, and a breach of each."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("tf_hmr", "training", "edge")
# Contract -> (module, import that breaks it).
BREACHES = {
    "edge over training over tf_hmr": (
        "tf_hmr/clip.py",
        "from training import config",
    ),
    "Layers of tf_hmr": (
        "tf_hmr/geometry/camera.py",
        "from tf_hmr.smplify import fitter",
    ),
    "Layers of training": (
        "training/engine/loop.py",
        "from training.evaluation import results",
    ),
    "Layers of training.data": (
        "training/data/records/schema.py",
        "from training.data.pipeline import order",
    ),
    "Layers of edge": ("edge/lint.py", "from edge.conversion import card"),
    # One package imports the other's other module, and back.
    "No cycles between siblings": (
        "training/papers/paper_tables.py",
        "def later():\n    from training.papers import parity",
    ),
}


def lint(folder: Path) -> tuple[int, str]:
    """Exit status and text of import-linter, on a copy of the packages."""
    words = "import sys; from importlinter.cli import lint_imports_command; "
    completed = subprocess.run(
        [sys.executable, "-c", words + "lint_imports_command()", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.returncode, completed.stdout + completed.stderr


def states(text: str) -> dict[str, str]:
    """KEPT or BROKEN, by contract."""
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)$", text, re.MULTILINE))


@pytest.fixture
def copy(tmp_path):
    """The packages, without data."""
    skip = shutil.ignore_patterns("__pycache__", "assets", "*.toml")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skip)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def test_every_contract_is_kept():
    status, text = lint(ROOT)
    assert status == 0 and set(states(text)) == set(BREACHES), text


def test_a_breach_of_each_contract_is_found(copy):
    for path, breach in BREACHES.values():
        with open(copy / path, "a") as file:
            file.write(f"\n{breach}\n")
    status, text = lint(copy)
    assert status == 1
    assert states(text) == dict.fromkeys(BREACHES, "BROKEN"), text


def test_a_module_asks_for_no_entry_and_a_package_for_one(copy):
    (copy / "tf_hmr" / "networks" / "another.py").write_text("")
    assert lint(copy)[0] == 0
    (copy / "tf_hmr" / "another").mkdir()
    (copy / "tf_hmr" / "another" / "__init__.py").write_text("")
    status, text = lint(copy)
    assert status == 1 and "tf_hmr.another" in text
