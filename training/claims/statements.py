"""What a claim is made of: networks to train, and comparisons of them."""

import dataclasses
from typing import NamedTuple


class Constant(NamedTuple):
    """Error of always predicting the mean pose, on synthetic_v1."""

    error_mm: float
    """For results that do not state their own."""
    margin_mm: float
    """A network beats it if its error is smaller by as much."""


MPJPE = "mpjpe_mm"
PA_MPJPE = "pa_mpjpe_mm"
TRUE_ROOT = "mpjpe_true_root_mm"
CONSTANTS = {
    PA_MPJPE: Constant(144.9, 5.0),
    TRUE_ROOT: Constant(177.3, 0.0),
}
"""Errors that judge a claim; none is dominated by the person's heading."""
TITLES = {
    MPJPE: "MPJPE",
    PA_MPJPE: "PA-MPJPE",
    TRUE_ROOT: "MPJPE with the true root rotation",
}


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One network to train."""

    experiment: str
    """Name of the experiment for training.fit."""
    options: tuple[str, ...] = ()
    """Further arguments of training.fit."""
    occluded: bool = False
    """Measure it behind occluders, too."""
    rates: tuple[float, ...] = ()
    """Learning rates of which the best on the val split is taken; empty: the
    experiment's own."""
    searched: int = 0
    """People whose descent is measured (training.descent), too, and for whom
    BFGS runs."""
    meta_loss: str = ""
    """HUND's stages without pictures (descents.py), trained with this loss over
    the stages; of the experiment there is no more. Empty: an experiment."""
    points: str = ""
    """SMPLR's networks without pictures (points.py): 'landmarks' or 'joints',
    the points that they read. Empty: an experiment."""
    outputs: tuple[str, ...] = ()
    """Parts of the method that are measured by synthetic_smplr, too: NAME_mm is
    the error of SMPLR's 16 joints."""
    own_steps: bool = False
    """Whether the experiment's steps stay as they are: it has stages."""

    minutes: float = 0.0
    """Minutes of a core that one run takes; 0: not measured."""

    @property
    def has_pictures(self) -> bool:
        """Whether an experiment is trained."""
        return not (self.meta_loss or self.points)


class Comparison(NamedTuple):
    """A falsifiable statement about two networks: factor a + effect < b."""

    text: str
    """The statement; {a} and {b} stand for mean and spread of the sides."""
    a: tuple[str, str]
    """Configuration and metric claimed to be smaller."""
    b: tuple[str, str]
    """Configuration and metric claimed to be larger."""
    factor: float = 1.0
    """Factor of a."""
    effect: float = 0.0
    """Smallest difference of interest, in the metric's unit."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper."""

    text: str
    source: str
    paper: str
    """The paper's own figures."""
    configurations: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    judged_by: str
    """The error, of CONSTANTS, by which each network must first beat the mean
    pose; empty for networks that answer no pose."""
    may_fail: tuple[str, ...] = ()
    """Networks that the claim itself says to fail."""


def less(
    metric: str,
    a: str,
    b: str,
    text: str,
    factor=1.0,
    effect=0.0,
    metric_b: str = "",
) -> Comparison:
    """States that factor a + effect < b.

    Args:
        metric: of both sides.
        a: configuration claimed to have less.
        b: configuration claimed to have more.
        text: of Comparison.
        factor: of Comparison.
        effect: of Comparison.
        metric_b: of b where it differs.
    """
    return Comparison(
        text, (a, metric), (b, metric_b or metric), factor, effect
    )


def less_than_each(metric, best, worse, effect) -> tuple[Comparison, ...]:
    """States that `best` has less than each of `worse`; see less."""
    label = f"{TITLES[metric]} (mm)"
    return tuple(
        less(
            *(metric, best, name, f"{label}: {best} {{a}} < {name} {{b}}"),
            effect=effect,
        )
        for name in worse
    )
