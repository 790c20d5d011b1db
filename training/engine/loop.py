"""The training loop: restore, batch, step, log, evaluate, save.

A killed run that is started again with the same configuration gives the
same losses: weights, optimisers, random state and the step come from the
checkpoint; order and augmentation of the data depend on seed and step alone.
"""

import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr import progress
from training import config
from training.engine import (
    checkpoints,
    cluster,
    fit_store,
    model_selection,
    run_log,
    signals,
    write_errors,
)
from training.engine import step as steps

MakeDataset = Callable[
    [int, tf.distribute.InputContext | None], tf.data.Dataset
]
IDS = "example_id"
log = logging.getLogger(__name__)


class NonFiniteError(RuntimeError):
    """A term became NaN or infinite; the message names it."""


class StoppedError(RuntimeError):
    """SIGTERM came and the state is saved; the message names the step."""


def train(
    experiment: config.Experiment,
    method: methods.Method,
    strategy: tf.distribute.Strategy,
    make_dataset: MakeDataset,
    evaluate: model_selection.Evaluate | None,
    workdir: Path,
) -> None:
    """Runs every stage of an experiment, from wherever it stands.

    Args:
        experiment: what to do.
        method: built inside `strategy.scope()`.
        strategy: the devices.
        make_dataset: (start step, input context) -> batches from that step
            on, one for each replica of the context's input pipeline.
        evaluate: measures the method; None keeps the last model as best.
        workdir: checkpoints, journal and the best model go here.

    Raises:
        NonFiniteError: names the term, the step and the examples.
        StoppedError: SIGTERM came to any worker; all have saved the same step.
        UnwrittenError: the disk is full, or the like.
        tf.errors.UnavailableError: another worker went away.
        ValueError: a stage is named "evaluation", as lines of the
            journal are; a batch does not divide; the workers do not share the
            workdir, or begin with different fits.
    """
    stages = experiment.all_stages()
    _check_stages(experiment, strategy.num_replicas_in_sync)
    chief = cluster.read().chief
    mean = run_log.Mean()
    fits = None
    if method.keeps_fits:
        fits = fit_store.FitStore(experiment.data.fits)
    with strategy.scope():
        compiled = [
            steps.Step(strategy, method, stage, fits) for stage in stages
        ]
        saved = checkpoints.Checkpoints(workdir, method, compiled, mean, fits)
    step = saved.restore()
    _check_same_start(strategy, step, fits, experiment.data.fits, workdir)
    total = sum(stage.steps for stage in stages)
    if step:
        log.info("Continuing %s at step %d of %d.", workdir, step, total)
    with write_errors.explained(step, workdir):
        kind = run_log.RunLog if chief else run_log.NullRunLog
        journal = kind(workdir, step)
    with _close_on_error(journal), signals.stop_requested() as stop_requested:
        run = TrainingRun(
            experiment=experiment,
            method=method,
            make_dataset=make_dataset,
            selection=model_selection.ModelSelection(
                method, evaluate, workdir, journal, chief
            ),
            workdir=workdir,
            saved=saved,
            log=journal,
            mean=mean,
            stop_requested=stop_requested,
            chief=chief,
        )
        run.recover(step)
        start = 0
        for stage, stage_step in zip(stages, compiled, strict=True):
            end = start + stage.steps
            if step < end and not run.stopped:
                step = run.stage(stage.name, stage_step, step, end)
            start = end
        # All workers have saved before any of them ends.
        cluster.agree(strategy, step)
    with write_errors.explained(step, workdir):
        journal.close()
    saved.close()
    if step < total:
        raise StoppedError(
            f"Stopped at step {step} of {total}, as asked; it is saved. The "
            "same command continues from there."
        )


@dataclasses.dataclass
class TrainingRun:
    """A run over all of its stages."""

    experiment: config.Experiment
    method: methods.Method
    make_dataset: MakeDataset
    selection: model_selection.ModelSelection
    workdir: Path
    saved: checkpoints.Checkpoints
    log: run_log.RunLog
    mean: run_log.Mean
    stop_requested: Callable[[], bool]
    chief: bool

    def __post_init__(self):
        self.stopped = False
        self.total = sum(s.steps for s in self.experiment.all_stages())
        lines = run_log.read_metrics(self.workdir / run_log.METRICS_FILE)
        times = [line["trained_s"] for line in lines if "trained_s" in line]
        self.trained_s = max(times, default=0.0)

    def recover(self, step: int) -> None:
        """Repeats the evaluation or saving of a best model that a kill cut."""
        if step:
            due = self._evaluation_due(step)
            self.selection.recover(step, due, self.trained_s)

    def stage(self, name, stage_step, step, end) -> int:
        """Takes the steps from `step` to `end`; returns the last step taken."""
        batches = batches_from(self.make_dataset, step, stage_step.strategy)
        first = step
        bar = progress.bar(
            title=name,
            total=end,
            initial=step,
            unit="steps",
            disable=not self.chief,
        )
        log_every, save_every = (
            self.experiment.log_every,
            self.experiment.save_every,
        )
        while step < end and not self.stopped:
            start_s = time.monotonic()
            count = self._until_due(step, end)
            values, self.stopped = stage_step(
                batches, count, self.stop_requested()
            )
            for row in _rows(values):
                step += 1
                check_finite(row, step, self._examples)
                self.mean.add(row)
            self.mean.seconds += time.monotonic() - start_s
            if bar.n == first:
                bar.unpause()  # The first call compiled: no rate.
            bar.update(step - bar.n)
            evaluation_due = self._evaluation_due(step)
            with write_errors.explained(step, self.workdir):
                if evaluation_due or _due(log_every, step) or step == end:
                    self._log(name, step, bar)
                if _due(save_every, step) or step == end or self.stopped:
                    self.log.flush()
                    self.saved.save(step)
            # After the save: an evaluation may take long, and a kill during it
            # loses nothing else.
            if evaluation_due and not self.stopped:
                self.selection.evaluate(step, self.trained_s)
        bar.close()
        return step

    def _evaluation_due(self, step: int) -> bool:
        learner = steps.learner(self.method, self.experiment.stage_at(step - 1))
        due = _due(self.experiment.eval_every, step)
        # A stage of poses alone does not change the network that is measured.
        return (due and learner.image_size > 0) or step == self.total

    def _examples(self, step: int) -> list[str]:
        """The names of the examples of a step's batch."""
        if self.experiment.data.service:
            return ["unknown: the service's batches cannot be repeated"]
        # A batch is a function of its step: the same one, with its text.
        batch = next(iter(self.make_dataset(step - 1, None)))
        if IDS not in batch:
            return ["without ids"]
        return [text.decode("utf-8", "replace") for text in batch[IDS].numpy()]

    def _until_due(self, step: int, end: int) -> int:
        """Number of steps until the next work outside of the graph."""
        experiment = self.experiment
        periods = (
            experiment.log_every,
            experiment.eval_every,
            experiment.save_every,
        )
        remaining = [period - step % period for period in periods if period]
        return min(experiment.steps_per_call, end - step, *remaining)

    def _log(self, name, step, bar) -> None:
        means, mean = self.mean.means(), self.mean
        # Seconds in steps alone, over all starts of this run: the x axis of
        # its learning curve.
        self.trained_s += mean.seconds
        images = mean.count * self.experiment.data.batch_size
        speed = images / mean.seconds
        mean.reset()
        bar.set_postfix_str(f"loss {means['loss']:.3f}, {speed:.0f} images/s")
        self.log.scalars(
            step,
            name,
            {**means, "images_per_s": speed, "trained_s": self.trained_s},
        )


@contextlib.contextmanager
def _close_on_error(log: run_log.RunLog) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, tf.errors.OpError):
            log.close()
        raise


def _check_stages(experiment: config.Experiment, replicas: int) -> None:
    """Stages must have names of their own and batches that divide.

    Raises:
        ValueError: they do not; says which.
    """
    for stage in experiment.all_stages():
        if stage.name == model_selection.EVALUATION:
            raise ValueError(
                f"A stage may not be named {stage.name!r}: metrics.jsonl calls "
                "the measurements so. Choose another name."
            )
        parts = replicas * stage.optim.accumulate
        if experiment.data.batch_size % parts:
            raise ValueError(
                f"data.batch_size {experiment.data.batch_size} does not "
                f"divide into optim.accumulate {stage.optim.accumulate} parts "
                f"on each of {replicas} devices. Choose a multiple of {parts}."
            )


def _check_same_start(
    strategy: tf.distribute.Strategy,
    step: int,
    fits: fit_store.FitStore | None,
    fits_path: str,
    workdir: Path,
) -> None:
    """All workers must stand at one step, with the same fits.

    Raises:
        ClusterError, ValueError: they do not.
    """
    steps_of_workers = cluster.agree(strategy, step)
    if len(set(steps_of_workers)) > 1:
        raise cluster.ClusterError(
            f"The workers stand at steps {steps_of_workers}: they do not see "
            f"the same checkpoints. --workdir {workdir} must be one folder "
            "that all of them read."
        )
    if fits is not None:
        digests = cluster.agree(strategy, fits.digest())
        fit_store.check_same(digests, fits_path)


def _due(period: int, step: int) -> bool:
    return bool(period and step % period == 0)


def batches_from(make_dataset: MakeDataset, step: int, strategy):
    """An iterator of batches from `step` on, without text.

    Text stays on the host; devices cannot hold it.
    """

    @steps.no_autograph
    def without_text(batch):
        return {k: v for k, v in batch.items() if k != IDS}

    def make(context):
        return make_dataset(step, context).map(without_text)

    if strategy.num_replicas_in_sync == 1:
        return iter(make(None))
    return iter(strategy.distribute_datasets_from_function(make))


def _rows(values: dict[str, np.ndarray]) -> list[dict[str, float]]:
    """The values of each step of a call."""
    columns = (column.tolist() for column in values.values())
    return [
        dict(zip(values, row, strict=True))
        for row in zip(*columns, strict=True)
    ]


def check_finite(
    values: dict[str, float], step: int, examples: Callable[[int], list[str]]
) -> None:
    """Stops a run whose numbers are broken.

    Args:
        values: of the step.
        step: its number, from 1.
        examples: names those of a step.

    Raises:
        NonFiniteError: names terms, step and examples.
    """
    broken = [name for name, v in values.items() if not math.isfinite(v)]
    if not broken:
        return
    ids = examples(step)
    first_ids = ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")
    raise NonFiniteError(
        f"{', '.join(broken)} is not finite at step {step}; the examples are "
        f"[{first_ids}]. The last checkpoint is from before it. Look at these "
        "records, or lower optim.lr or set optim.clip_norm."
    )
