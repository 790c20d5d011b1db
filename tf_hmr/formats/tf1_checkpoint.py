"""Reads checkpoints of TensorFlow 1; all damage ends in one clear error.

Damage makes TensorFlow's reader raise errors of many kinds, IndexError among
them, few of which name the file.
"""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr.formats import listing, system_limits, wording

# Variables that an optimiser and a training loop add to the model's.
_TRAINING_STATE = re.compile(
    r"/(Adam(_\d+)?|Momentum|RMSProp(_\d+)?)$"
    r"|(^|/)(beta[12]_power(_\d+)?|global_step)$"
)
_PARTS = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
_CURE = (
    "Give the prefix of a TensorFlow 1 checkpoint, such as "
    "model.ckpt-667589 for the files model.ckpt-667589.index and "
    "model.ckpt-667589.data-00000-of-00001 (its .meta is not needed)"
)


class Checkpoint:
    """The variables of a checkpoint.

    Attributes:
        prefix: as TensorFlow names it.
        shapes: shape by name, without the state of training.
        training_state: names of optimiser slots and step counters.
    """

    def __init__(self, path: str | Path):
        """Opens a checkpoint of format 1 or 2.

        Args:
            path: its prefix, one of its files, or a folder that holds one.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: the folder holds several, or it cannot be read.
        """
        self.prefix = _prefix(Path(path))
        try:
            self._reader = tf.train.load_checkpoint(str(self.prefix))
            shapes = self._reader.get_variable_to_shape_map()
        except Exception as error:  # see the module's docstring
            raise ValueError(self._unreadable(error)) from error
        shapes = {name: tuple(shapes[name]) for name in sorted(shapes)}
        self.training_state = [n for n in shapes if _TRAINING_STATE.search(n)]
        for name in self.training_state:
            del shapes[name]
        self.shapes = shapes

    def read(self, name: str) -> np.ndarray:
        """Reads the value of a variable of `shapes`.

        Raises:
            ValueError: it cannot be read, or is not finite.
        """
        try:
            value = self._reader.get_tensor(name)
        except Exception as error:  # see the module's docstring
            raise ValueError(self._unreadable(error, name)) from error
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} of {self.prefix} is not finite: the file is damaged "
                "or its training diverged. Take another checkpoint."
            )
        return value

    def _unreadable(self, error: Exception, name: str = "") -> str:
        system_limits.check(error, self.prefix)
        subject = f"{name} of {self.prefix}" if name else str(self.prefix)
        first = wording.first_line(error)
        return (
            f"{subject} could not be read ({first}): a file is cut short, "
            f"damaged or missing, or is none of a checkpoint. {_CURE}; if it "
            "is, copy or download it again."
        )


def _prefix(path: Path) -> Path:
    if path.is_dir():
        prefixes = [p.with_suffix("") for p in listing.files(path, "*.index")]
        if len(prefixes) == 1:
            return prefixes[0]
        raise ValueError(
            f"The folder {path} holds {len(prefixes)} checkpoints: "
            f"{wording.few([p.name for p in prefixes])}. {_CURE}."
        )
    prefix = path.with_name(_PARTS.sub("", path.name))
    if prefix.is_file() or Path(f"{prefix}.index").is_file():
        return prefix
    raise FileNotFoundError(f"There is no checkpoint {path}. {_CURE}.")
