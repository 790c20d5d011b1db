"""The same loss by BFGS: from the mean pose and from every stage of HUND.

Zanfir et al., CVPR 2021, Figures 3 and 4. The optimiser is scipy's L-BFGS-B,
which forgets old steps; with a hundred numbers that costs it little. Times are
CPU seconds of this process, which the command gives one thread: so they are
those of an idle machine.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy import optimize

from tf_hmr.methods import hund
from training.descent import measures

ROUNDS = 5
"""Timings of HUND, of which the median counts."""


class Trace(NamedTuple):
    """One run of BFGS."""

    state: np.ndarray
    """(n,) the best that it found."""
    seconds: np.ndarray
    """(k,) time after each evaluation of loss and gradient."""
    losses: np.ndarray
    """(k,) the least loss so far."""


class Search(NamedTuple):
    """BFGS of N people from S starts, and HUND beside it."""

    starts: tuple[str, ...]
    """Names of the S starts: the mean pose, then stages 0 to M."""
    traces: list[list[Trace]]
    """S lists of N traces."""
    before: measures.Errors
    """(S, N) of the starts."""
    after: measures.Errors
    """(S, N) of what BFGS found."""
    detect_s: float
    """Seconds of HUND's detector for one picture."""
    stages_s: float
    """Seconds of all its stages for one picture."""


def bfgs(
    loss_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    iterations: int,
) -> Trace:
    """Descends a loss from one state.

    Args:
        loss_and_gradient: of a state (n,) float32.
        start: (n,).
        iterations: the most that are taken.
    """
    seconds, losses, states = [], [], []
    begin = time.process_time()

    def evaluate(state):
        loss, gradient = loss_and_gradient(state.astype(np.float32))
        seconds.append(time.process_time() - begin)
        losses.append(float(loss))
        states.append(state.copy())
        return float(loss), np.asarray(gradient, np.float64)

    optimize.minimize(
        evaluate,
        np.asarray(start, np.float64),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations},
    )
    return Trace(
        states[int(np.argmin(losses))],
        np.array(seconds),
        np.minimum.accumulate(losses),
    )


def search(
    measure: measures.Measure, people: measures.People, iterations: int
) -> Search:
    """Runs BFGS for each person from every start, one person at a time."""
    model = measure.model
    count = len(people.labels["keypoints"])

    @tf.function(autograph=False)
    def loss_and_gradient(state, detection, intrinsics):
        with tf.GradientTape() as tape:
            tape.watch(state)
            loss = measure.loss(state[tf.newaxis], detection, intrinsics)[0]
        return loss, tape.gradient(loss, state)

    first = measure.descend(people.take(slice(0, 1)))
    starts = ("mean pose",) + tuple(
        f"stage {number}" for number in range(len(first.states))
    )
    mean = model.mean_state().numpy()[0]
    loss_and_gradient(tf.constant(mean), first.detection, first.intrinsics)
    traces: list[list[Trace]] = [[] for _ in starts]
    before, after = [], []
    for row in range(count):
        person = people.take(slice(row, row + 1))
        stages = measure.descend(person)
        states = [mean, *(state.numpy()[0] for state in stages.states)]
        ends = []
        for number, state in enumerate(states):
            trace = bfgs(
                lambda x, stages=stages: loss_and_gradient(
                    tf.constant(x), stages.detection, stages.intrinsics
                ),
                state,
                iterations,
            )
            traces[number].append(trace)
            ends.append(trace.state)
        before.append(_errors(measure, states, stages, person))
        after.append(_errors(measure, ends, stages, person))
    detect_s, stages_s = _seconds(model, people.take(slice(0, 1)))
    return Search(
        starts, traces, _by_start(before), _by_start(after), detect_s, stages_s
    )


def seconds_to(trace: Trace, loss: float) -> float:
    """Seconds until a trace is at `loss`; infinite if it never is."""
    reached = np.flatnonzero(trace.losses <= loss)
    return float(trace.seconds[reached[0]]) if len(reached) else np.inf


def _errors(measure, states, stages, person) -> list[measures.Errors]:
    return [
        measure.errors(np.float32(state)[np.newaxis], stages, person)
        for state in states
    ]


def _by_start(people: list[list[measures.Errors]]) -> measures.Errors:
    """Errors of N people at S states as (S, N)."""
    return measures.Errors(
        *(
            np.array(
                [[getattr(errors, name)[0] for errors in row] for row in people]
            ).T
            for name in measures.Errors._fields
        )
    )


def _seconds(model: hund.Model, person: measures.People) -> tuple[float, float]:
    """CPU seconds of the detector, and of the stages, for one picture."""
    inputs = {k: tf.constant(v) for k, v in person.inputs.items()}
    times = []
    for function in (
        tf.function(lambda x: model.detect(x), autograph=False),
        tf.function(lambda x: model.stages_of(x), autograph=False),
    ):
        function(inputs)
        rounds = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            tf.nest.map_structure(lambda x: x.numpy(), function(inputs))
            rounds.append(time.process_time() - begin)
        times.append(statistics.median(rounds))
    detect_s, both_s = times
    return detect_s, max(both_s - detect_s, 0.0)
