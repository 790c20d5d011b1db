"""Libraries that only readers of datasets need."""

import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
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
