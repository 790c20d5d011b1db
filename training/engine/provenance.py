"""Versions of the code and its packages, for a result to be repeatable."""

import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path


def commit(digits: int = 7) -> str:
    """The commit of the code, with "+changes" where files differ from it.

    Args:
        digits: of the hash; more where fewer would be ambiguous.

    Returns:
        "unknown" outside of a git checkout.
    """
    folder = Path(__file__).parent

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True
        ).stdout.strip()

    try:
        head = git("rev-parse", f"--short={digits}", "HEAD")
        changed = "+changes" if git("status", "--porcelain", "-uno") else ""
    except FileNotFoundError:  # git is not installed
        return "unknown"
    return head + changed if head else "unknown"


def code_digest() -> str:
    """The sha256 of the Python files that train, whatever git says of them."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for package in ("tf_hmr", "training"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def package_version(name: str) -> str:
    """The version of a package, which may be installed by another name.

    As tensorflow-cpu is for tensorflow: then the imported module's.
    """
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        module = sys.modules.get(name.replace("-", "_"))
        return getattr(module, "__version__", "unknown")
