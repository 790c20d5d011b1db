"""Evaluates a run's model as it learns, and keeps the best one."""

import dataclasses
import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tf_hmr import method as methods
from tf_hmr import progress
from training.engine import best_model, run_log, write_errors

EVALUATION = "evaluation"
"""Kind of the lines of metrics.jsonl that hold an evaluation."""
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation."""

    score: float
    """Lower is better; the best model is kept."""
    values: dict[str, float]
    """Figures to log."""
    image: np.ndarray | None = None
    """(H, W, 3) uint8 RGB for TensorBoard."""


Evaluate = Callable[[methods.Method], Evaluation]


class ModelSelection:
    """The evaluations of a run and the best model that they found."""

    def __init__(
        self,
        method: methods.Method,
        evaluate: Evaluate | None,
        workdir: Path,
        log: run_log.RunLog,
        chief: bool,
    ):
        """Reads what the workdir holds of evaluations before.

        Args:
            method: to evaluate.
            evaluate: measures the method; None keeps the last model as best.
            workdir: of the run: its journal and best model.
            log: to write evaluations to.
            chief: whether this worker writes models.
        """
        self._method = method
        self._measure = evaluate
        self._workdir = workdir
        self._log = log
        self._chief = chief
        lines = run_log.read_metrics(workdir / run_log.METRICS_FILE)
        self._scores = {
            line["step"]: line["score"] for line in lines if "score" in line
        }
        self.best = min(
            filter(math.isfinite, self._scores.values()), default=math.inf
        )
        """Score of the best model; infinite before there is one."""
        stored = best_model.score(workdir)
        if stored is not None:
            # Of the model that is there: a better one may have been damaged.
            self.best = stored

    def evaluate(self, step: int, trained_s: float) -> None:
        """Evaluates, logs the result and saves the best model so far.

        Args:
            step: of the model.
            trained_s: seconds that the run took to it.
        """
        if self._measure is None:
            with write_errors.explained(step, self._workdir):
                self._save(step)
            return
        result = self._measure(self._method)
        values = {
            "score": result.score,
            "trained_s": trained_s,
            **result.values,
        }
        with write_errors.explained(step, self._workdir):
            # Saved before it is logged: the log implies that it exists.
            if result.score <= self.best:
                self._save(step, result.score)
            self._log.scalars(step, EVALUATION, values)
            if result.image is not None:
                self._log.image(step, "predictions", result.image)
            self._log.flush()
        figures = ", ".join(f"{k} {v:.1f}" for k, v in result.values.items())
        progress.message(f"step {step}: {figures}")

    def recover(self, step: int, due: bool, trained_s: float) -> None:
        """Makes up for what a kill or a damaged file took from the run.

        That is a best model that does not load, its score, or the evaluation
        of `step` where the kill came between the save and it.

        Args:
            step: that the run continues from; nothing is lost at 0.
            due: whether `step` is one to be evaluated.
            trained_s: seconds that the run took to it.
        """
        if not (self._chief and step):
            return
        damage = best_model.damage(self._workdir)
        exists = (self._workdir / best_model.FOLDER).exists()
        with write_errors.explained(step, self._workdir):
            if damage and (exists or math.isfinite(self.best)):
                _log.warning("%s The model of step %d is kept.", damage, step)
                self._replace_best(step, due)
            elif not damage and self._measure and self._score_is_lost():
                self._measure_best()
        if due and not self._is_evaluated(step):
            self.evaluate(step, trained_s)

    def _is_evaluated(self, step: int) -> bool:
        if self._measure is None:
            return not best_model.damage(self._workdir)
        return step in self._scores

    def _replace_best(self, step: int, due: bool) -> None:
        """Keeps the current model, measured, where the best one is damaged."""
        self.best = math.inf
        if self._measure is None:
            self._save(step)
        elif step in self._scores:
            self._save(step, self._scores[step])
        elif not due:  # Else it is measured anyhow.
            self._save(step, self._measure(self._method).score)

    def _score_is_lost(self) -> bool:
        """Whether no file says how good the best model is."""
        if best_model.score(self._workdir) is not None:
            return False
        # Older versions wrote the score into the journal alone.
        intact = math.isfinite(self.best) and not self._log.damaged
        return best_model.has_checksum(self._workdir) or not intact

    def _measure_best(self) -> None:
        """Writes the best model's score anew."""
        score = self._score_of_best()
        _log.warning(
            "The score of the model in %s was lost; it is %.4f.",
            self._workdir / best_model.FOLDER,
            score,
        )
        self.best = score if math.isfinite(score) else math.inf
        if math.isfinite(score):
            best_model.save_score(self._workdir, score, None)

    def _score_of_best(self) -> float:
        """Measures the best model in the place of the current one."""
        variables = [variable.value for variable in self._method.variables]
        current = [variable.numpy() for variable in variables]
        try:
            self._method.load_weights(
                self._workdir / best_model.FOLDER / methods.WEIGHTS_FILE
            )
            return self._measure(self._method).score
        finally:
            for variable, value in zip(variables, current, strict=True):
                variable.assign(value)

    def _save(self, step: int, score: float = math.inf) -> None:
        """Writes the best model so far, and its score if there is one."""
        if self._chief:
            best_model.save(self._method, self._workdir)
            if math.isfinite(score):
                self.best = score
                best_model.save_score(self._workdir, score, step)
