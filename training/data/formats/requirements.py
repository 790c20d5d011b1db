"""Libraries and files that a reader of a dataset requires."""

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


def missing_file(
    path: Path, description: str, provider: str
) -> FileNotFoundError:
    """Makes the error for a missing file of a dataset.

    Args:
        path: where it was expected.
        description: of the file, and the download that holds it.
        provider: where to request it.
    """
    return FileNotFoundError(
        f"{path} does not exist: {description}. Request it from {provider}, "
        "and pass the folder that holds it as --root."
    )
