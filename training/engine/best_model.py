"""The best model of a run: a model folder, and its score inside it.

The journal has the scores too, but may lose lines; a worse model must not take
the place of the best one for that.
"""

import json
import logging
import math
import numbers
from pathlib import Path

from tf_hmr import method as methods
from tf_hmr.formats import atomic, json_files, model_files

FOLDER = "best"
SCORE_FILE = "score.json"
_KIND = "the score of a run's best model, as training.fit writes it"
_log = logging.getLogger(__name__)


def save(method: methods.Method, workdir: Path) -> None:
    """Writes the model, without a score."""
    forget_score(workdir)
    methods.save(method, workdir / FOLDER)


def save_score(workdir: Path, score: float, step: int | None) -> None:
    """Writes the score of the model that is there.

    Args:
        workdir: of the run.
        score: lower is better.
        step: that the model is of; None if it is not known.
    """
    with atomic.replacing(workdir / FOLDER / SCORE_FILE) as part:
        text = json.dumps({"score": score, "step": step}, indent=2)
        part.write_text(text + "\n")


def forget_score(workdir: Path) -> None:
    """Removes the score: the model is replaced, or is none of this run."""
    (workdir / FOLDER / SCORE_FILE).unlink(missing_ok=True)


def score(workdir: Path) -> float | None:
    """Reads the score; None if there is none that can be read."""
    path = workdir / FOLDER / SCORE_FILE
    if not path.is_file():
        return None
    try:
        value = json_files.read_object(path, _KIND).get("score")
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise ValueError(f"{path}: its score is {value!r:.40}.")
    except ValueError as error:
        _log.warning("%s", error)
        return None
    return float(value)


def has_checksum(workdir: Path) -> bool:
    """Whether the model is of a version that writes scores beside it."""
    return model_files.DIGESTS in model_files.read_config(workdir / FOLDER)


def damage(workdir: Path) -> str:
    """Says why the model cannot be loaded; "" if it can."""
    try:
        model_files.check_folder(workdir / FOLDER)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        return str(error)
    return ""
