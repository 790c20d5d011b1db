"""Errors of a run that cannot write, as one line that says how it continues."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tf_hmr.formats import system_limits, wording
from training.engine import cluster, workdir


class UnwrittenError(RuntimeError):
    """A file of the run could not be written; names the last checkpoint."""


@contextlib.contextmanager
def explained(step: int, folder: Path) -> Iterator[None]:
    """Turns errors of writing into one that says how the run continues.

    Args:
        step: that could not be written.
        folder: the workdir of the run.

    Raises:
        UnwrittenError: the disk is full, or the like.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if cluster.is_loss(error):
            raise
        if system_limits.is_reached(error):
            raise UnwrittenError(
                f"Step {step} could not be written to {folder}. "
                f"{system_limits.CURE}"
            ) from error
        first = wording.first_line(error)
        saved = workdir.saved_steps(folder)
        state = "There is no checkpoint yet, so it begins anew"
        if saved:
            state = f"The newest checkpoint is that of step {saved[-1]}"
        raise UnwrittenError(
            f"Step {step} could not be written to {folder} ({first}). "
            f"{state}. Make space there; then the same command continues."
        ) from error
