"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
DATA = ROOT / "tests" / "data"
PACKAGES = ("tf_hmr", "training", "edge")


def modules() -> dict[str, Path]:
    """All modules by dotted name; a package's own code is `x.__init__`."""
    paths = [
        path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in paths
    }
