"""Checkpoints that survive a kill: complete or absent, the last two."""

import logging
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.formats import atomic, model_files, system_limits, wording
from training.engine import cluster, fit_store, run_log
from training.engine import step as steps
from training.engine import workdir as workdirs

FOLDER = workdirs.CHECKPOINTS
# Errors of TensorFlow on files that are cut short, altered or foreign.
DAMAGE = (tf.errors.OpError, IndexError, ValueError, AssertionError)
log = logging.getLogger(__name__)


class NoCheckpointError(RuntimeError):
    """There are checkpoints, but none can be used."""


class Checkpoints:
    """Saves and restores weights, optimisers, random state and the step."""

    def __init__(
        self,
        workdir: Path,
        method: methods.Method,
        stages: list[steps.Step],
        mean: run_log.Mean,
        fits: fit_store.FitStore | None = None,
    ):
        """Gathers the state.

        Args:
            workdir: of the run.
            method: with every variable made.
            stages: the compiled steps of the run.
            mean: of the steps since the last line of the log.
            fits: where the method makes labels of them.
        """
        self._fits = fits
        self.workdir, self.folder = workdir, workdir / FOLDER
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        optimizers = {
            f"{number}/{player.prefix}": player.optimizer
            for number, stage in enumerate(stages)
            for player in stage.players
        }
        # Dropout's seeds are in no other list of a Keras model's variables.
        seeds = [v.value for v in method.variables if "seed" in v.path]
        self._weights = [(v.path, v.value) for v in method.variables] + [
            (f"{name}/{v.path}", v.value)
            for name, optimizer in optimizers.items()
            for v in optimizer.variables
        ]
        parts = {
            "method": method,
            "optimizers": optimizers,
            "seeds": seeds,
            "step": self.step,
            "mean": mean,
        }
        self._older = self._state = tf.train.Checkpoint(**parts)
        self._unreached = _unreached(self._state, method)
        if self._unreached:
            # In the model's order: names that Keras made may differ.
            values = [v.value for v in self._unreached]
            self._state = tf.train.Checkpoint(**parts, unreached=values)
        # All workers save, as reading the state may need all of them; the
        # chief's files remain.
        worker = cluster.read()
        self._own = self.folder
        leftovers = self.folder.glob("ckpt-*_temp")
        if not worker.chief:
            self._own = self.folder / f"worker-{worker.index}_temp"
            leftovers = [self._own]
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)
        self._damaged: list[str] = []
        self._intact: list[str] = []
        self._manager = None

    def save(self, step: int) -> None:
        """Writes the state after `step` steps."""
        self.step.assign(step)
        if self._manager is None:
            # Only now have the other workers finished reading.
            if self._damaged and self._own == self.folder:
                self._set_aside()
            self._manager = tf.train.CheckpointManager(
                self._state, str(self._own), max_to_keep=2
            )
        # First, as a checkpoint implies that its fits exist.
        if self._fits is not None and self._own == self.folder:
            self._fits.save(self.workdir, step)
        self._manager.save(checkpoint_number=step)
        if self._own == self.folder:
            # TensorFlow leaves the files to the system's memory.
            for path in self.folder.glob(f"ckpt-{step}.*"):
                atomic.sync(path)
            atomic.sync_folder(self.folder)
            fit_store.keep_only(
                self.workdir, workdirs.saved_steps(self.workdir)
            )

    def close(self) -> None:
        """Removes the files of a worker that is not the chief."""
        if self._own != self.folder:
            shutil.rmtree(self._own, ignore_errors=True)

    def restore(self) -> int:
        """Restores the newest intact checkpoint.

        Every worker reads the chief's. Newer ones that cannot be read are
        renamed by the first save, so that they take no intact one's place.

        Returns:
            Its step; 0 where there is none.

        Raises:
            NoCheckpointError: there are checkpoints and none can be read.
        """
        numbers = workdirs.saved_steps(self.workdir)
        paths = [str(self.folder / f"ckpt-{number}") for number in numbers]
        for index, path in reversed(list(enumerate(paths))):
            try:
                status = self._state_in(path).restore(path)
                status.assert_existing_objects_matched()
                model_files.check_finite(self._weights, path)
                if self._fits is not None:
                    self._fits.load(self.workdir, numbers[index])
            except DAMAGE as error:
                system_limits.check(error, path)
                first = wording.first_line(error)
                log.warning(
                    "Checkpoint %s cannot be read (%s); trying the one "
                    "before it.",
                    path,
                    first,
                )
                continue
            self._damaged = paths[index + 1 :]
            self._intact = paths[: index + 1]
            return int(self.step.numpy())
        if paths:
            raise NoCheckpointError(
                f"None of the checkpoints in {self.folder} can be read: "
                f"{[Path(path).name for path in paths]}. Move the folder "
                "away to start anew."
            )
        return 0

    def _state_in(self, path: str) -> tf.train.Checkpoint:
        """The state without what an older version did not save."""
        if not self._unreached:
            return self._state
        keys = tf.train.load_checkpoint(path).get_variable_to_shape_map()
        if any(key.startswith("unreached/") for key in keys):
            return self._state
        log.warning(
            "Checkpoint %s is of a version that did not save %s and %d more. "
            "They start anew; a run that needs them as they were must be "
            "trained again.",
            path,
            self._unreached[0].path,
            len(self._unreached) - 1,
        )
        return self._older

    def _set_aside(self) -> None:
        for path in self._damaged:
            for file in self.folder.glob(f"{Path(path).name}.*"):
                file.rename(file.with_name(f"damaged-{file.name}"))
        tf.compat.v1.train.update_checkpoint_state(
            str(self.folder),
            self._intact[-1],
            all_model_checkpoint_paths=self._intact,
            # Without them TensorFlow's manager leaves the list out.
            all_model_checkpoint_timestamps=[
                Path(f"{path}.index").stat().st_mtime for path in self._intact
            ],
        )


def _unreached(
    state: tf.train.Checkpoint, method: methods.Method
) -> list[keras.Variable]:
    """Variables that TensorFlow does not find in a model.

    It does not look into Keras' lists: of a layer in a list only an optimiser
    knows the trainable variables, and nothing the batch statistics.
    """
    objects = tf.train.TrackableView(state).descendants()
    found = {id(thing) for thing in objects}
    return [
        v
        for v in method.variables
        if id(v) not in found and id(v.value) not in found
    ]
