"""Matlab files of datasets, version 5, in numpy."""

from pathlib import Path
from typing import Any

import scipy.io

from training.data.formats import mat_tags, requirements


def read(path: Path, name: str, what: str, whom: str) -> Any:
    """One variable of a Matlab file; no code of it is run.

    Args:
        path: of the file.
        name: of the variable.
        what: the file is, and which download holds it.
        whom: where to request it.

    Returns:
        An array. Structs are objects with fields, or arrays of them; what
        Matlab stores as (1, 1) is a plain value.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or does not hold the variable.
    """
    if not path.exists():
        raise requirements.missing_file(path, what, whom)
    try:
        mat_tags.check(path, path.stat().st_mtime_ns)
        content = scipy.io.loadmat(
            path,
            struct_as_record=False,
            squeeze_me=True,
            variable_names=[name],  # others may be many times larger
        )
        found = [known for known, *_ in scipy.io.whosmat(path)]
    except Exception as error:  # a damaged file raises almost anything
        raise ValueError(
            f"{path} could not be read as a Matlab file ({error!r}), expected "
            f"{what}. Fetch it again from {whom}."
        ) from error
    if name not in content:
        raise ValueError(
            f"{path} holds {found or 'nothing'}, expected {name!r}: {what}. "
            f"Fetch it again from {whom}."
        )
    return content[name]
