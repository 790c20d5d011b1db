"""Reads Matlab files of datasets, version 5, into numpy."""

from pathlib import Path
from typing import Any

import scipy.io

from tf_hmr.formats import system_limits
from training.data.formats import mat_tags, requirements


def read(path: Path, name: str, description: str, provider: str) -> Any:
    """Reads one variable of a Matlab file; runs no code of the file.

    Args:
        path: of the file.
        name: of the variable.
        description: of the file, and the download that holds it.
        provider: where to request it.

    Returns:
        An array. Structs are objects with fields, or arrays of them; what
        Matlab stores as (1, 1) is a plain value.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is damaged, or does not hold the variable.
    """
    if not path.exists():
        raise requirements.missing_file(path, description, provider)
    try:
        mat_tags.check(path, path.stat().st_mtime_ns)
        content = scipy.io.loadmat(
            path,
            struct_as_record=False,
            squeeze_me=True,
            variable_names=[name],  # others may be many times larger
        )
        names = [variable for variable, *_ in scipy.io.whosmat(path)]
    except Exception as error:  # a damaged file raises almost anything
        system_limits.check(error, path)
        raise ValueError(
            f"{path} could not be read as a Matlab file ({error!r}), expected "
            f"{description}. Fetch it again from {provider}."
        ) from error
    if name not in content:
        raise ValueError(
            f"{path} holds {names or 'nothing'}, expected {name!r}: "
            f"{description}. Fetch it again from {provider}."
        )
    return content[name]
