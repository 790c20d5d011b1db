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
from training import checkpoints, cluster, config, journal, stopping
from training import step as steps
from training import workdir as workdirs

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
            does not divide; the workers do not share the workdir.
    """
    stages = experiment.all_stages()
    if any(stage.name == EVALUATION for stage in stages):
        raise ValueError(
            f"A stage may not be named {EVALUATION!r}: metrics.jsonl calls "
            "the measurements so. Choose another name."
        )
    _refuse_uneven(experiment, strategy.num_replicas_in_sync)
    here = cluster.read()
    mean = journal.Mean()
    with strategy.scope():
        compiled = [steps.Step(strategy, method, stage) for stage in stages]
        saved = checkpoints.Checkpoints(workdir, method, compiled, mean)
    step = saved.restore()
    _refuse_apart(cluster.agree(strategy, step), workdir)
    total = sum(stage.steps for stage in stages)
    if step:
        log.info("Continuing %s at step %d of %d.", workdir, step, total)
    book = journal.Journal(workdir, step) if here.chief else journal.NoJournal()
    with stopping.asked() as asked:
        run = _Run(
            *(experiment, method, make_dataset, evaluate),
            *(workdir, saved, book, mean, asked, here.chief),
        )
        start = 0
        for stage, stage_step in zip(stages, compiled, strict=True):
            end = start + stage.steps
            if step < end and not run.stopped:
                step = run.stage(stage.name, stage_step, step, end)
            start = end
        # Nobody leaves before all have saved.
        cluster.agree(strategy, step)
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
    book: journal.Journal
    mean: journal.Mean
    asked: Callable[[], bool]
    chief: bool

    def __post_init__(self):
        self.stopped = False
        self.total = sum(s.steps for s in self.experiment.all_stages())
        lines = journal.read_metrics(self.workdir / journal.METRICS_FILE)
        scores = [line["score"] for line in lines if "score" in line]
        self.best = min(scores, default=math.inf)
        times = [line["trained_s"] for line in lines if "trained_s" in line]
        self.trained_s = max(times, default=0.0)

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
                check_finite(row, step, self.make_dataset)
                self.mean.add(row)
            self.mean.seconds += time.monotonic() - began
            bar.update(step - bar.n)
            measure = _due(every.eval_every, step) or step == self.total
            with self._writing(step):
                if measure or _due(every.log_every, step) or step == end:
                    self._log(name, step, bar)
                if measure:
                    self._evaluate(step, bar)
                if _due(every.save_every, step) or step == end or self.stopped:
                    self.book.flush()
                    self.saved.save(step)
        bar.close()
        return step

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

    def _evaluate(self, step: int, bar) -> None:
        """Measures, writes it down and keeps the best model so far."""
        if self.evaluate is None:
            self._keep()
            return
        result = self.evaluate(self.method)
        values = {
            "score": result.score,
            "trained_s": self.trained_s,
            **result.values,
        }
        self.book.scalars(step, EVALUATION, values)
        if result.picture is not None:
            self.book.picture(step, "predictions", result.picture)
        if result.score <= self.best:
            self.best = result.score
            self._keep()
        shown = ", ".join(f"{k} {v:.1f}" for k, v in result.values.items())
        tqdm.tqdm.write(f"step {step}: {shown}", file=sys.stderr)

    def _keep(self) -> None:
        """Writes the best model so far."""
        if self.chief:
            methods.save(self.method, self.workdir / BEST_FOLDER)

    @contextlib.contextmanager
    def _writing(self, step: int) -> Iterator[None]:
        try:
            yield
        except tf.errors.UnavailableError:
            raise
        except (OSError, tf.errors.OpError) as error:
            first = str(error).strip().splitlines()[0]
            whole = workdirs.saved_steps(self.workdir)
            state = "There is no checkpoint yet, so it begins anew"
            if whole:
                state = f"The checkpoint of step {whole[-1]} is whole"
            raise UnwrittenError(
                f"Step {step} could not be written to {self.workdir} "
                f"({first}). {state}. Make space there; then the same "
                "command continues."
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
    values: dict[str, float], step: int, make_dataset: MakeDataset
) -> None:
    """Stops a run whose numbers are broken.

    Raises:
        NonFiniteError: names terms, step and examples.
    """
    broken = [name for name, v in values.items() if not math.isfinite(v)]
    if not broken:
        return
    # A batch is a function of its step: the same one, with its text.
    batch = next(iter(make_dataset(step - 1, None)))
    ids = ["without ids"]
    if IDS in batch:
        ids = [text.decode("utf-8", "replace") for text in batch[IDS].numpy()]
    shown = ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")
    raise NonFiniteError(
        f"{', '.join(broken)} is not finite at step {step}; the examples are "
        f"[{shown}]. The last checkpoint is from before it. Look at these "
        "records, or lower optim.lr or set optim.clip_norm."
    )
