"""Decides a comparison of two networks from values paired by seed.

Two networks of one seed see the same images in the same order and are measured
on the same people. Their differences, seed by seed, have a Student's t
interval. The comparison names the smallest difference that matters: it agrees
if the whole interval is above it, is contradicted if the whole interval is
below it (as large a difference is excluded), and is not decided otherwise.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

AGREES = "agrees"
CONTRADICTS = "contradicts"
NOT_DECIDED = "not decided"
CONFIDENCE = 0.95
MIN_SEEDS = 5
"""Pairs of networks below which nothing is decided."""

Values = Mapping[int, float]
"""A metric of one network, by seed."""


class Decision(NamedTuple):
    """State of a comparison, and the numbers behind it."""

    state: str
    """AGREES, CONTRADICTS or NOT_DECIDED."""
    mean: float
    """Mean difference over the paired seeds; NaN without a pair."""
    low: float
    """Lower end of the interval; NaN with fewer than two finite pairs."""
    high: float
    """Upper end of the interval; NaN likewise."""
    seeds: tuple[int, ...]
    """Seeds that both networks have."""
    reason: str
    """Why too little is known; empty where the interval decides."""


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Student's t interval of the mean at CONFIDENCE.

    Args:
        differences: (N,).

    Returns:
        Lower and upper end; NaN for fewer than two or for non-finite numbers.
    """
    count = len(differences)
    if count < 2 or not np.isfinite(differences).all():
        return math.nan, math.nan
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1)
    half = quantile * stats.sem(differences)
    mean = differences.mean()
    return float(mean - half), float(mean + half)


def compare(
    smaller: Values, larger: Values, factor: float = 1.0, effect: float = 0.0
) -> Decision:
    """Decides whether factor * smaller + effect < larger.

    Args:
        smaller: metric of the network that is claimed to have less.
        larger: metric of the network that is claimed to have more.
        factor: of the smaller side.
        effect: smallest difference of interest, in the metric's unit.
    """
    seeds = tuple(sorted(smaller.keys() & larger.keys()))
    differences = np.array(
        [larger[seed] - factor * smaller[seed] for seed in seeds], float
    )
    mean = float(differences.mean()) if seeds else math.nan
    low, high = interval(differences)
    reason, state = "", NOT_DECIDED
    if len(seeds) < MIN_SEEDS:
        reason = f"{len(seeds)} paired seeds of {MIN_SEEDS}"
    elif not np.isfinite(differences).all():
        reason = "a value is not a number"
    elif low > effect:
        state = AGREES
    elif high < effect:
        state = CONTRADICTS
    return Decision(state, mean, low, high, seeds, reason)


def beats(values: Values, constant: float, margin: float = 0.0) -> bool:
    """Whether every seed's network has a smaller error than a constant.

    Args:
        values: errors of the network by seed.
        constant: error of a constant prediction.
        margin: by how much the error must be smaller.
    """
    return bool(values) and all(
        value < constant and value <= constant - margin
        for value in values.values()
    )


def all_of(states: list[str]) -> str:
    """State of a claim that consists of several comparisons.

    It agrees if all do, and is contradicted if one is.
    """
    if CONTRADICTS in states:
        return CONTRADICTS
    if states and all(state == AGREES for state in states):
        return AGREES
    return NOT_DECIDED
