"""What a reader of a dataset cannot do without: libraries and files."""

import importlib
from pathlib import Path
from types import ModuleType


def library(name: str) -> ModuleType:
    """Imports a library of the extra [data].

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"Reading this dataset needs {name} ({error}). Install it with: "
            "pip install 'tf_hmr[data]'"
        ) from error


def missing_file(path: Path, what: str, whom: str) -> FileNotFoundError:
    """The error for a required file of a dataset.

    Args:
        path: where it was expected.
        what: what it is, and which download holds it.
        whom: where to request it.
    """
    return FileNotFoundError(
        f"{path} does not exist: {what}. Request it from {whom}, and pass the "
        "folder that holds it as --root."
    )
