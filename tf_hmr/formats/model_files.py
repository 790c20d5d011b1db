"""The two files of a model folder, checked before a model is built of them.

config.json has the checksum of model.weights.h5: a flipped bit or a lost block
would load as other weights.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_hmr.formats import atomic, json_files, keras_files

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
DIGESTS = "weights_sha256"
"""Key of the config: the checksum of the weights; also that of the next ones
while they take the place of these. Older folders have none."""
_KIND = "the configuration of a model folder that `training.fit` writes"
_KEYS = {
    "method": (str, "text"),
    "config": (dict, "an object"),
    "topology": (str, "text"),
    "body": (str, "text"),
    "joint_names": (list, "a list"),
}


def find_folder(folder: str | Path) -> Path:
    """The model folder: `folder` itself, or `folder`/best of a workdir.

    Raises:
        FileNotFoundError: neither holds a model; says how to make one.
    """
    files = (CONFIG_FILE, WEIGHTS_FILE)
    for candidate in (Path(folder), Path(folder) / "best"):
        if all((candidate / name).is_file() for name in files):
            return candidate
    raise FileNotFoundError(
        f"No model in {folder}: expected {CONFIG_FILE} and {WEIGHTS_FILE} "
        "there or in its folder 'best'. Train one with "
        f"`python -m training.fit --workdir {folder}`."
    )


def write_config(folder: Path, content: dict, digests: Sequence[str]) -> None:
    """Writes the config, with the checksums that the weights may have."""
    text = json.dumps(content | {DIGESTS: list(digests)}, indent=2)
    with atomic.replacing(folder / CONFIG_FILE) as part:
        part.write_text(text + "\n")


def admit_both(folder: Path, content: dict, next_digest: str) -> None:
    """Adds the next weights' checksum to a config that has one.

    So whatever stops the writer between its two renames leaves a whole folder.

    Args:
        folder: of the model.
        content: of the next config; that of another model stays as it is.
        next_digest: of the weights that are about to get their name.
    """
    try:
        stored = read_config(folder)
    except (OSError, ValueError):
        return  # There is none, or it is damaged.
    digests = stored.pop(DIGESTS, [])
    if digests and stored == json.loads(json.dumps(content)):
        write_config(folder, content, [*digests, next_digest])


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_folder(folder: str | Path) -> None:
    """Checks the files of a model folder, without building its model.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: config or weights are damaged or not finite.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing.")
    check_digest(folder)
    path = folder / WEIGHTS_FILE
    check_finite(keras_files.read_datasets(path).items(), path)


def check_finite(arrays: Iterable[tuple[str, Any]], source: str | Path) -> None:
    """Refuses weights that are not finite.

    Args:
        arrays: names, and numpy arrays or TensorFlow's variables.
        source: of the weights, for the message.

    Raises:
        ValueError: names one that is not, and how many there are.
    """
    broken = [name for name, value in arrays if not _is_finite(value)]
    if broken:
        raise ValueError(
            f"{source}: {len(broken)} arrays have values that are not finite, "
            f"the first is {broken[0]}: the training diverged or the file is "
            "damaged. Take an earlier model."
        )


def _is_finite(value: Any) -> bool:
    array = value if isinstance(value, np.ndarray) else value.numpy()
    is_float = np.issubdtype(array.dtype, np.inexact)
    return not is_float or bool(np.isfinite(array).all())


def check_digest(folder: Path) -> None:
    """Compares the weights with the checksums of their config, if it has any.

    Raises:
        ValueError: they are not the weights that were written.
    """
    path = folder / WEIGHTS_FILE
    config, previous = read_config(folder), None
    # A training run may replace the files meanwhile, again and again.
    while config != previous:
        digests = config.get(DIGESTS)
        if not digests or digest(path) in digests:
            return
        previous, config = config, read_config(folder)
    raise ValueError(
        f"{path} is damaged: it is not the file whose checksum {CONFIG_FILE} "
        "beside it has. Copy it again from its source, or train it again."
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the config of a model folder.

    Returns:
        method, config, topology, body and joint_names; weights_sha256 where
        the folder's writer knew it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged or lacks entries; names file and entry.
    """
    path = folder / CONFIG_FILE
    content = json_files.read_object(path, _KIND)
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ValueError(f"{path} lacks {missing}: it is not {_KIND}.")
    for key, (kind, words) in _KEYS.items():
        if not isinstance(content[key], kind):
            raise ValueError(
                f"{path}: {key} is {content[key]!r:.60}, expected {words}."
            )
    _check_names(path, "joint_names", content["joint_names"])
    if len(set(content["joint_names"])) < len(content["joint_names"]):
        raise ValueError(f"{path}: joint_names names a joint more than once.")
    if DIGESTS in content:
        _check_names(path, DIGESTS, content[DIGESTS])
    return content


def _check_names(path: Path, key: str, names: Any) -> None:
    is_list = isinstance(names, list) and names
    if not is_list or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"{path}: {key} is {names!r:.60}, expected a list of text."
        )
