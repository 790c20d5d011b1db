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
from tf_hmr.formats import system_limits, wording
from training import config
from training.engine import (
    best_model,
    checkpoints,
    cluster,
    fit_store,
    run_log,
    signals,
)
from training.engine import step as steps
from training.engine import workdir as workdirs

MakeDataset = Callable[
    [int, tf.distribute.InputContext | None], tf.data.Dataset
]
BEST_FOLDER = best_model.FOLDER
EVALUATION = "evaluation"
IDS = "example_id"
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation."""

    score: float
    """Lower is better; the best model is kept."""
    values: dict[str, float]
    """Figures to log."""
    image: np.ndarray | None = None
    """(H, W, 3) uint8 RGB for TensorBoard."""


class NonFiniteError(RuntimeError):
    """A term became NaN or infinite; the message names it."""


class StoppedError(RuntimeError):
    """SIGTERM came and the state is saved; the message names the step."""


class UnwrittenError(RuntimeError):
    """A file of the run could not be written; names the last checkpoint."""


def train(
    experiment: config.Experiment,
    method: methods.Method,
    strategy: tf.distribute.Strategy,
    make_dataset: MakeDataset,
    evaluate: Callable[[methods.Method], Evaluation] | None,
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
        ValueError: a stage is named as the journal names evaluations; a batch
            does not divide; the workers do not share the workdir, or begin
            with different fits.
    """
    stages = experiment.all_stages()
    if any(stage.name == EVALUATION for stage in stages):
        raise ValueError(
            f"A stage may not be named {EVALUATION!r}: metrics.jsonl calls "
            "the measurements so. Choose another name."
        )
    _check_batch_divides(experiment, strategy.num_replicas_in_sync)
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
    _check_same_step(cluster.agree(strategy, step), workdir)
    if fits is not None:
        digests = cluster.agree(strategy, fits.digest())
        fit_store.check_same(digests, experiment.data.fits)
    total = sum(stage.steps for stage in stages)
    if step:
        log.info("Continuing %s at step %d of %d.", workdir, step, total)
    with _explain_write_errors(step, workdir):
        kind = run_log.RunLog if chief else run_log.NullRunLog
        lines = kind(workdir, step)
    with _close_on_error(lines), signals.stop_requested() as stop_requested:
        run = TrainingRun(
            experiment=experiment,
            method=method,
            make_dataset=make_dataset,
            evaluate=evaluate,
            workdir=workdir,
            saved=saved,
            log=lines,
            mean=mean,
            stop_requested=stop_requested,
            chief=chief,
        )
        run.recover_best(step)
        run.evaluate_if_missed(step)
        start = 0
        for stage, stage_step in zip(stages, compiled, strict=True):
            end = start + stage.steps
            if step < end and not run.stopped:
                step = run.stage(stage.name, stage_step, step, end)
            start = end
        # All workers have saved before any of them ends.
        cluster.agree(strategy, step)
    with _explain_write_errors(step, workdir):
        lines.close()
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
    evaluate: Callable | None
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
        self.scores = {
            line["step"]: line["score"] for line in lines if "score" in line
        }
        self.best = min(
            filter(math.isfinite, self.scores.values()), default=math.inf
        )
        stored = best_model.score(self.workdir)
        if stored is not None:
            # Of the model that is there: a better one may have been damaged.
            self.best = stored
        times = [line["trained_s"] for line in lines if "trained_s" in line]
        self.trained_s = max(times, default=0.0)

    def recover_best(self, step: int) -> None:
        """Makes up for a best model, or for its score, that was lost.

        Args:
            step: that the run continues from; nothing is lost at 0.
        """
        if not (self.chief and step):
            return
        damage = best_model.damage(self.workdir)
        exists = (self.workdir / BEST_FOLDER).exists()
        with _explain_write_errors(step, self.workdir):
            if damage and (exists or math.isfinite(self.best)):
                log.warning("%s The model of step %d is kept.", damage, step)
                self._replace_best(step)
            elif not damage and self.evaluate and self._score_is_lost():
                score = self._score_of_best()
                log.warning(
                    "The score of the model in %s was lost; it is %.4f.",
                    self.workdir / BEST_FOLDER,
                    score,
                )
                self.best = score if math.isfinite(score) else math.inf
                if math.isfinite(score):
                    best_model.save_score(self.workdir, score, None)

    def _replace_best(self, step: int) -> None:
        """Keeps the current model, measured, where the best one is damaged."""
        self.best = math.inf
        if self.evaluate is None:
            self._save_best(step)
        elif step in self.scores:
            self._save_best(step, self.scores[step])
        elif not self._evaluation_due(step):  # Else it is measured anyhow.
            self._save_best(step, self.evaluate(self.method).score)

    def _score_is_lost(self) -> bool:
        """Whether no file says how good the best model is."""
        if best_model.score(self.workdir) is not None:
            return False
        # Older versions wrote the score into the journal alone.
        intact = math.isfinite(self.best) and not self.log.damaged
        return best_model.has_checksum(self.workdir) or not intact

    def _score_of_best(self) -> float:
        """Measures the best model in the place of the current one."""
        variables = [variable.value for variable in self.method.variables]
        current = [variable.numpy() for variable in variables]
        try:
            self.method.load_weights(
                self.workdir / BEST_FOLDER / methods.WEIGHTS_FILE
            )
            return self.evaluate(self.method).score
        finally:
            for variable, value in zip(variables, current, strict=True):
                variable.assign(value)

    def evaluate_if_missed(self, step: int) -> None:
        """Evaluates where a kill came between a save and its evaluation."""
        if self.chief and step and self._evaluation_due(step):
            if self.evaluate is None:
                evaluated = not best_model.damage(self.workdir)
            else:
                evaluated = step in self.scores
            if not evaluated:
                self._evaluate(step)

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
                bar.unpause()  # It compiled, which says nothing of the rest.
            bar.update(step - bar.n)
            evaluation_due = self._evaluation_due(step)
            with _explain_write_errors(step, self.workdir):
                if evaluation_due or _due(log_every, step) or step == end:
                    self._log(name, step, bar)
                if _due(save_every, step) or step == end or self.stopped:
                    self.log.flush()
                    self.saved.save(step)
            # After the save: an evaluation may take long, and a kill during it
            # loses nothing else.
            if evaluation_due and not self.stopped:
                self._evaluate(step)
        bar.close()
        return step

    def _evaluation_due(self, step: int) -> bool:
        learner = steps.learner(self.method, self.experiment.stage_at(step - 1))
        due = _due(self.experiment.eval_every, step)
        # A part that learns poses alone moves nothing of what is measured.
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

    def _evaluate(self, step: int) -> None:
        """Evaluates, logs the result and saves the best model so far."""
        if self.evaluate is None:
            with _explain_write_errors(step, self.workdir):
                self._save_best(step)
            return
        result = self.evaluate(self.method)
        values = {
            "score": result.score,
            "trained_s": self.trained_s,
            **result.values,
        }
        with _explain_write_errors(step, self.workdir):
            # Saved before it is logged: the log implies that it exists.
            if result.score <= self.best:
                self._save_best(step, result.score)
            self.log.scalars(step, EVALUATION, values)
            if result.image is not None:
                self.log.image(step, "predictions", result.image)
            self.log.flush()
        figures = ", ".join(f"{k} {v:.1f}" for k, v in result.values.items())
        progress.message(f"step {step}: {figures}")

    def _save_best(self, step: int, score: float = math.inf) -> None:
        """Writes the best model so far, and its score if there is one."""
        if self.chief:
            best_model.save(self.method, self.workdir)
            if math.isfinite(score):
                self.best = score
                best_model.save_score(self.workdir, score, step)


@contextlib.contextmanager
def _close_on_error(log: run_log.RunLog) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, tf.errors.OpError):
            log.close()
        raise


@contextlib.contextmanager
def _explain_write_errors(step: int, workdir: Path) -> Iterator[None]:
    """Turns errors of writing into one that says how the run continues."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if cluster.is_loss(error):
            raise
        if system_limits.is_reached(error):
            raise UnwrittenError(
                f"Step {step} could not be written to {workdir}. "
                f"{system_limits.CURE}"
            ) from error
        first = wording.first_line(error)
        saved = workdirs.saved_steps(workdir)
        state = "There is no checkpoint yet, so it begins anew"
        if saved:
            state = f"The newest checkpoint is that of step {saved[-1]}"
        raise UnwrittenError(
            f"Step {step} could not be written to {workdir} ({first}). "
            f"{state}. Make space there; then the same command continues."
        ) from error


def _check_batch_divides(experiment: config.Experiment, replicas: int) -> None:
    for stage in experiment.all_stages():
        parts = replicas * stage.optim.accumulate
        if experiment.data.batch_size % parts:
            raise ValueError(
                f"data.batch_size {experiment.data.batch_size} does not "
                f"divide into optim.accumulate {stage.optim.accumulate} parts "
                f"on each of {replicas} devices. Choose a multiple of {parts}."
            )


def _check_same_step(steps_of_workers: list[int], workdir: Path) -> None:
    if len(set(steps_of_workers)) > 1:
        raise cluster.ClusterError(
            f"The workers stand at steps {steps_of_workers}: they do not see "
            f"the same checkpoints. --workdir {workdir} must be one folder "
            "that all of them read."
        )


def _due(period: int, step: int) -> bool:
    return bool(period and step % period == 0)


def batches_from(make_dataset: MakeDataset, step: int, strategy):
    """An iterator of batches from `step` on, without text.

    Text stays on the host; devices cannot hold it.
    """

    def make(context):
        return make_dataset(step, context).map(
            lambda batch: {k: v for k, v in batch.items() if k != IDS}
        )

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
