"""The training loop: restore, batch, step, log, evaluate, save.

A killed run that is started again with the same configuration gives the
same losses: weights, optimisers, random state and the step come from the
checkpoint; order and augmentation of the data depend on seed and step alone.
"""

import contextlib
import dataclasses
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tqdm

from tf_hmr import method as methods
from training import config
from training.engine import checkpoints, cluster, fit_store, run_log, signals
from training.engine import step as steps
from training.engine import workdir as workdirs

MakeDataset = Callable[
    [int, tf.distribute.InputContext | None], tf.data.Dataset
]
BEST_FOLDER = "best"
EVALUATION = "evaluation"
IDS = "example_id"
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation gives the loop."""

    score: float
    """Lower is better; the best model is kept."""
    values: dict[str, float]
    """Figures to log."""
    picture: np.ndarray | None = None
    """(H, W, 3) uint8 for TensorBoard."""


class NonFiniteError(RuntimeError):
    """A term became NaN or infinite; the message names it."""


class StoppedError(RuntimeError):
    """SIGTERM came, and the state is saved; the message says at which step."""


class UnwrittenError(RuntimeError):
    """A file of the run could not be written; says what is whole."""


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
    _refuse_uneven(experiment, strategy.num_replicas_in_sync)
    here = cluster.read()
    mean = run_log.Mean()
    kept = None
    if method.keeps_fits:
        kept = fit_store.FitStore(experiment.data.fits)
    with strategy.scope():
        compiled = [
            steps.Step(strategy, method, stage, kept) for stage in stages
        ]
        saved = checkpoints.Checkpoints(workdir, method, compiled, mean, kept)
    step = saved.restore()
    _refuse_apart(cluster.agree(strategy, step), workdir)
    if kept is not None:
        digests = cluster.agree(strategy, kept.digest())
        fit_store.refuse_apart(digests, experiment.data.fits)
    total = sum(stage.steps for stage in stages)
    if step:
        log.info("Continuing %s at step %d of %d.", workdir, step, total)
    with _writing(step, workdir):
        kind = run_log.RunLog if here.chief else run_log.NullRunLog
        book = kind(workdir, step)
    with _closed_at_failure(book), signals.stop_requested() as asked:
        run = _Run(
            *(experiment, method, make_dataset, evaluate),
            *(workdir, saved, book, mean, asked, here.chief),
        )
        run.catch_up(step)
        start = 0
        for stage, stage_step in zip(stages, compiled, strict=True):
            end = start + stage.steps
            if step < end and not run.stopped:
                step = run.stage(stage.name, stage_step, step, end)
            start = end
        # Nobody leaves before all have saved.
        cluster.agree(strategy, step)
    with _writing(step, workdir):
        book.close()
    saved.close()
    if step < total:
        raise StoppedError(
            f"Stopped at step {step} of {total}, as asked; it is saved. The "
            "same command continues from there."
        )


@dataclasses.dataclass
class _Run:
    """What stays the same over a run's stages."""

    experiment: config.Experiment
    method: methods.Method
    make_dataset: MakeDataset
    evaluate: Callable | None
    workdir: Path
    saved: checkpoints.Checkpoints
    book: run_log.RunLog
    mean: run_log.Mean
    asked: Callable[[], bool]
    chief: bool

    def __post_init__(self):
        self.stopped = False
        self.total = sum(s.steps for s in self.experiment.all_stages())
        lines = run_log.read_metrics(self.workdir / run_log.METRICS_FILE)
        scores = {
            line["step"]: line["score"] for line in lines if "score" in line
        }
        self.measured = set(scores)
        self.best = min(
            filter(math.isfinite, scores.values()), default=math.inf
        )
        times = [line["trained_s"] for line in lines if "trained_s" in line]
        self.trained_s = max(times, default=0.0)

    def catch_up(self, step: int) -> None:
        """Measures what a run that died after a save did not come to."""
        if self.chief and step and self._measures(step):
            if self.evaluate is None:
                done = (self.workdir / BEST_FOLDER).exists()
            else:
                done = step in self.measured
            if not done:
                self._evaluate(step)

    def stage(self, name, stage_step, step, end) -> int:
        """Steps from `step` to `end`; returns the step it came to."""
        batches = batches_from(self.make_dataset, step, stage_step.strategy)
        bar = tqdm.tqdm(
            total=end,
            initial=step,
            desc=name,
            unit="step",
            disable=not (self.chief and sys.stderr.isatty()),
        )
        every = self.experiment
        while step < end and not self.stopped:
            began = time.monotonic()
            count = self._until_due(step, end)
            values, self.stopped = stage_step(batches, count, self.asked())
            for row in _rows(values):
                step += 1
                check_finite(row, step, self._examples)
                self.mean.add(row)
            self.mean.seconds += time.monotonic() - began
            bar.update(step - bar.n)
            measure = self._measures(step)
            with _writing(step, self.workdir):
                if measure or _due(every.log_every, step) or step == end:
                    self._log(name, step, bar)
                if _due(every.save_every, step) or step == end or self.stopped:
                    self.book.flush()
                    self.saved.save(step)
            # After the save: it may take long, and whatever ends it loses
            # nothing but itself.
            if measure and not self.stopped:
                self._evaluate(step)
        bar.close()
        return step

    def _measures(self, step: int) -> bool:
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
        """Steps until something is to be done outside of the graph."""
        every = self.experiment
        periods = (every.log_every, every.eval_every, every.save_every)
        left = [period - step % period for period in periods if period]
        return min(every.steps_per_call, end - step, *left)

    def _log(self, name, step, bar) -> None:
        means, mean = self.mean.means(), self.mean
        # Steps alone, over all the starts of this run; the learning curve.
        self.trained_s += mean.seconds
        images = mean.count * self.experiment.data.batch_size
        speed = images / mean.seconds
        mean.reset()
        bar.set_postfix(loss=f"{means['loss']:.3f}", img_s=f"{speed:.0f}")
        self.book.scalars(
            step,
            name,
            {**means, "images_per_s": speed, "trained_s": self.trained_s},
        )
        if bar.disable:
            log.info(
                "%s step %d of %d: loss %.4f, %.0f images/s",
                name,
                step,
                self.total,
                means["loss"],
                speed,
            )

    def _evaluate(self, step: int) -> None:
        """Measures, writes it down and keeps the best model so far."""
        if self.evaluate is None:
            with _writing(step, self.workdir):
                self._keep()
            return
        result = self.evaluate(self.method)
        values = {
            "score": result.score,
            "trained_s": self.trained_s,
            **result.values,
        }
        with _writing(step, self.workdir):
            # Kept before it is noted: a note says that it is there.
            if result.score <= self.best:
                self.best = result.score
                self._keep()
            self.book.scalars(step, EVALUATION, values)
            if result.picture is not None:
                self.book.picture(step, "predictions", result.picture)
            self.book.flush()
        shown = ", ".join(f"{k} {v:.1f}" for k, v in result.values.items())
        tqdm.tqdm.write(f"step {step}: {shown}", file=sys.stderr)

    def _keep(self) -> None:
        """Writes the best model so far."""
        if self.chief:
            methods.save(self.method, self.workdir / BEST_FOLDER)


@contextlib.contextmanager
def _closed_at_failure(book: run_log.RunLog) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, tf.errors.OpError):
            book.close()
        raise


@contextlib.contextmanager
def _writing(step: int, workdir: Path) -> Iterator[None]:
    """What cannot be written is told as such."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if cluster.is_loss(error):
            raise
        first = str(error).strip().splitlines()[0]
        saved = workdirs.saved_steps(workdir)
        state = "There is no checkpoint yet, so it begins anew"
        if saved:
            state = f"The newest checkpoint is that of step {saved[-1]}"
        raise UnwrittenError(
            f"Step {step} could not be written to {workdir} ({first}). "
            f"{state}. Make space there; then the same command continues."
        ) from error


def _refuse_uneven(experiment: config.Experiment, replicas: int) -> None:
    for stage in experiment.all_stages():
        parts = replicas * stage.optim.accumulate
        if experiment.data.batch_size % parts:
            raise ValueError(
                f"data.batch_size {experiment.data.batch_size} does not "
                f"divide into optim.accumulate {stage.optim.accumulate} parts "
                f"on each of {replicas} devices. Choose a multiple of {parts}."
            )


def _refuse_apart(steps_of_workers: list[int], workdir: Path) -> None:
    if len(set(steps_of_workers)) > 1:
        raise cluster.ClusterError(
            f"The workers stand at steps {steps_of_workers}: they do not see "
            f"the same checkpoints. --workdir {workdir} must be one folder "
            "that all of them read."
        )


def _due(every: int, step: int) -> bool:
    return bool(every and step % every == 0)


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
    shown = ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")
    raise NonFiniteError(
        f"{', '.join(broken)} is not finite at step {step}; the examples are "
        f"[{shown}]. The last checkpoint is from before it. Look at these "
        "records, or lower optim.lr or set optim.clip_norm."
    )
