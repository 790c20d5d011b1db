"""The training loop: restore, batch, step, log, evaluate, save.

A killed run that is started again with the same configuration gives the
same losses: weights, optimisers, random state and the step come from the
checkpoint; order and augmentation of the data depend on seed and step alone.
"""

import dataclasses
import logging
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tqdm

from tf_hmr import method as methods
from training import checkpoints, config, journal
from training import step as steps

MakeDataset = Callable[
    [int, tf.distribute.InputContext | None], tf.data.Dataset
]
BEST_FOLDER = "best"
EVALUATION = "evaluation"
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
        ValueError: a stage is named as the journal names evaluations.
    """
    stages = experiment.all_stages()
    if any(stage.name == EVALUATION for stage in stages):
        raise ValueError(
            f"A stage may not be named {EVALUATION!r}: metrics.jsonl calls "
            "the measurements so. Choose another name."
        )
    with strategy.scope():
        compiled = [steps.Step(strategy, method, stage) for stage in stages]
        saved = checkpoints.Checkpoints(workdir, method, compiled)
    step = saved.restore()
    total = sum(stage.steps for stage in stages)
    if step:
        log.info("Continuing %s at step %d of %d.", workdir, step, total)
    book = journal.Journal(workdir, step)
    run = _Run(experiment, method, evaluate, workdir, saved, book, total)
    start = 0
    for stage, compiled_step in zip(stages, compiled, strict=True):
        end = start + stage.steps
        if step < end:
            batches = iter(_distributed(make_dataset, step, strategy))
            step = run.stage(stage.name, compiled_step, batches, step, end)
        start = end
    book.close()


@dataclasses.dataclass
class _Run:
    """What stays the same over a run's stages."""

    experiment: config.Experiment
    method: methods.Method
    evaluate: Callable | None
    workdir: Path
    saved: checkpoints.Checkpoints
    book: journal.Journal
    total: int
    best: float = math.inf
    trained_s: float = 0.0

    def __post_init__(self):
        lines = journal.read_metrics(self.workdir / journal.METRICS_FILE)
        scores = [line["score"] for line in lines if "score" in line]
        self.best = min(scores, default=math.inf)
        times = [line["trained_s"] for line in lines if "trained_s" in line]
        self.trained_s = max(times, default=0.0)

    def stage(self, name, compiled_step, batches, step, end) -> int:
        """Steps from `step` to `end`; returns the step it came to."""
        sums: dict[str, float] = {}
        since, count = time.monotonic(), 0
        bar = tqdm.tqdm(
            total=end,
            initial=step,
            desc=name,
            unit="step",
            disable=not sys.stderr.isatty(),
        )
        while step < end:
            batch = next(batches)
            values = compiled_step(_without_text(batch))
            values = {key: float(value) for key, value in values.items()}
            step += 1
            check_finite(values, step, batch)
            bar.update()
            for key, value in values.items():
                sums[key] = sums.get(key, 0.0) + value
            count += 1
            save = step == end or step % self.experiment.save_every == 0
            measure = self._evaluation_due(step)
            # A mean never reaches over a save: a run that continues there
            # starts a new one, and must write the same lines.
            if save or measure or step % self.experiment.log_every == 0:
                self._log(name, step, sums, count, since, bar)
                sums, count = {}, 0
            if measure:
                self._evaluate(step, bar)
            if save:
                self.book.flush()
                self.saved.save(step)
            if not count:
                since = time.monotonic()
        bar.close()
        return step

    def _log(self, name, step, sums, count, since, bar) -> None:
        means = {key: value / count for key, value in sums.items()}
        seconds = time.monotonic() - since
        # Steps alone, over all the starts of this run; the learning curve.
        self.trained_s += seconds
        speed = count * self.experiment.data.batch_size / seconds
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

    def _evaluation_due(self, step: int) -> bool:
        every = self.experiment.eval_every
        return step == self.total or bool(every and step % every == 0)

    def _evaluate(self, step: int, bar) -> None:
        """Measures, writes it down and keeps the best model so far."""
        if self.evaluate is None:
            methods.save(self.method, self.workdir / BEST_FOLDER)
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
            methods.save(self.method, self.workdir / BEST_FOLDER)
        shown = ", ".join(f"{k} {v:.1f}" for k, v in result.values.items())
        tqdm.tqdm.write(f"step {step}: {shown}", file=sys.stderr)


def _distributed(make_dataset: MakeDataset, step: int, strategy):
    if strategy.num_replicas_in_sync == 1:
        return make_dataset(step, None)
    return strategy.distribute_datasets_from_function(
        lambda context: make_dataset(step, context)
    )


def check_finite(values: dict[str, float], step: int, batch) -> None:
    """Stops a run whose numbers are broken.

    Raises:
        NonFiniteError: names terms, step and examples.
    """
    broken = [name for name, v in values.items() if not math.isfinite(v)]
    if not broken:
        return
    ids = _example_ids(batch)
    shown = ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")
    raise NonFiniteError(
        f"{', '.join(broken)} is not finite at step {step}; the examples are "
        f"[{shown}]. The last checkpoint is from before it. Look at these "
        "records, or lower optim.lr or set optim.clip_norm."
    )


def _without_text(batch):
    return {k: v for k, v in batch.items() if k != "example_id"}


def _example_ids(batch) -> list[str]:
    if "example_id" not in batch:
        return ["no ids in this stage"]
    value = batch["example_id"]
    parts = getattr(value, "values", (value,))
    return [
        text.decode("utf-8", "replace") for p in parts for text in p.numpy()
    ]
