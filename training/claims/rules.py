"""Claims of the papers as comparisons that a small protocol can decide.

Only the order, the ratio and the mechanism count; absolute millimetres belong
to the papers' data. A comparison holds if it holds for every seed: both sides
see the same people in the same order, so seeds are compared in pairs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from training.evaluation import occluders

# Configuration -> metric -> one value for each seed.
Metrics = Mapping[str, Mapping[str, Sequence[float]]]


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One network to train."""

    experiment: str
    """Name of the experiment for training.fit."""
    options: tuple[str, ...] = ()
    """Further arguments of training.fit."""
    occluded: bool = False
    """Measure it behind occluders, too."""


CONFIGURATIONS = {
    "hmr": Configuration("quick"),
    # Rotation vectors, as in HMR's paper and in HKMR, its opponent.
    "hmr_rotvec": Configuration(
        "quick", ("--method.rotation", "rotvec"), occluded=True
    ),
    "hmr_unpaired": Configuration("quick_unpaired"),
    "hmr_no_adversary": Configuration("quick_no_adversary"),
    "hmr_1_iteration": Configuration("quick", ("--method.iterations", "1")),
    "hmr_each_supervised": Configuration(
        "quick", ("--method.supervise", "each")
    ),
    "hmr_joint_adversary": Configuration(
        "quick_unpaired", ("--method.adversary-kind", "joint")
    ),
    "hkmr": Configuration("hkmr_quick", occluded=True),
    "hkmr_no_hierarchy": Configuration(
        "hkmr_quick", ("--method.no-joint-hierarchy",)
    ),
    "hkmr_forward_only": Configuration(
        "hkmr_quick", ("--method.forward-only",)
    ),
    "hkmr_discriminator": Configuration("hkmr_quick_discriminator"),
    "hkmr_1_outer": Configuration("hkmr_quick", ("--method.outer-steps", "1")),
    "hkmr_2_outer": Configuration("hkmr_quick", ("--method.outer-steps", "2")),
    "hkmr_4_outer": Configuration("hkmr_quick", ("--method.outer-steps", "4")),
    "hkmr_2_inner": Configuration("hkmr_quick", ("--method.inner-passes", "2")),
    "hkmr_6_inner": Configuration("hkmr_quick", ("--method.inner-passes", "6")),
    "spin": Configuration("spin_quick"),
    "hkmr_mf": Configuration("hkmr_mf_quick"),
}


class Comparison(NamedTuple):
    """A falsifiable statement about two numbers."""

    text: str
    """The statement; {a} and {b} stand for mean and spread of the sides."""
    a: tuple[str, str]
    """Configuration and metric claimed to be smaller."""
    b: tuple[str, str]
    """Configuration and metric claimed to be larger."""
    factor: float = 1.0
    """The statement is a * factor < b."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper."""

    text: str
    source: str
    paper: str
    """The paper's own figures."""
    configurations: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


def _less(metric: str, a: str, b: str, text: str, factor=1.0) -> Comparison:
    return Comparison(text, (a, metric), (b, metric), factor)


def _less_than_each(metric, best, worse, label) -> tuple[Comparison, ...]:
    return tuple(
        _less(metric, best, name, f"{label}: {best} {{a}} < {name} {{b}}")
        for name in worse
    )


_ABLATIONS = ("hkmr_no_hierarchy", "hkmr_forward_only", "hkmr_discriminator")
_PASSES = (
    "hkmr_1_outer",
    "hkmr_2_outer",
    "hkmr_4_outer",
    "hkmr_2_inner",
    "hkmr_6_inner",
)
_MPJPE = "MPJPE (mm)"

CLAIMS = {
    "hmr-1": Claim(
        text="without 3D labels, the adversary keeps bodies human: without it "
        "the 2D error stays low while 3D error and implausible poses explode",
        source="HMR section 4.3, Figure 5",
        paper="unpaired 106.84 mm MPJPE, 67.45 mm PA; without the adversary "
        "'monsters', no figures",
        configurations=("hmr_unpaired", "hmr_no_adversary"),
        comparisons=(
            _less(
                "pck2d_torso02",
                "hmr_unpaired",
                "hmr_no_adversary",
                "2D PCK (%) stays within a tenth: 0.9 x {a} < {b}",
                0.9,
            ),
            *_less_than_each(
                "pa_mpjpe_mm",
                "hmr_unpaired",
                ("hmr_no_adversary",),
                "PA-MPJPE (mm)",
            ),
            _less(
                "implausible_pct",
                "hmr_unpaired",
                "hmr_no_adversary",
                "share of implausible poses (%) doubles: 2 x {a} < {b}",
                2.0,
            ),
        ),
    ),
    "hmr-2": Claim(
        text="paired 3D labels beat unpaired, unpaired stays usable",
        source="HMR Tables 1 and 2",
        paper="PA-MPJPE 56.8 mm and 66.5 mm",
        configurations=("hmr", "hmr_unpaired"),
        comparisons=(
            *_less_than_each(
                "pa_mpjpe_mm", "hmr", ("hmr_unpaired",), "PA-MPJPE (mm)"
            ),
            _less(
                "pa_mpjpe_mm",
                "hmr_unpaired",
                "hmr",
                "unpaired stays within a third: {a} < 4/3 x {b}",
                0.75,
            ),
        ),
    ),
    "hmr-3": Claim(
        text="iterative feedback: 3 steps beat 1; supervising only the last "
        "step beats supervising each",
        source="HMR section 3.2",
        paper="no figures",
        configurations=("hmr", "hmr_1_iteration", "hmr_each_supervised"),
        comparisons=_less_than_each(
            "mpjpe_mm",
            "hmr",
            ("hmr_1_iteration", "hmr_each_supervised"),
            _MPJPE,
        ),
    ),
    "hmr-4": Claim(
        text="factorised discriminators regularise, one joint discriminator "
        "does not",
        source="HMR section 3.3",
        paper="no figures",
        configurations=("hmr_unpaired", "hmr_joint_adversary"),
        comparisons=(
            *_less_than_each(
                "pa_mpjpe_mm",
                "hmr_unpaired",
                ("hmr_joint_adversary",),
                "PA-MPJPE (mm)",
            ),
            _less(
                "implausible_pct",
                "hmr_unpaired",
                "hmr_joint_adversary",
                "share of implausible poses (%) doubles: 2 x {a} < {b}",
                2.0,
            ),
        ),
    ),
    "hkmr-1": Claim(
        text="chains beat flat regression with the same encoder and fewer "
        "parameters",
        source="HKMR Table 1",
        paper="87.97 mm and 71.08 mm MPJPE; 26.8 M and 26.2 M parameters",
        configurations=("hmr_rotvec", "hkmr"),
        comparisons=(
            *_less_than_each("mpjpe_mm", "hkmr", ("hmr_rotvec",), _MPJPE),
            *_less_than_each(
                "parameters", "hkmr", ("hmr_rotvec",), "parameters"
            ),
        ),
    ),
    "hkmr-2": Claim(
        text="chains lose less under bars, circles and rectangles as they grow",
        source="HKMR Table 1, Figure 6",
        paper="bar 98.74 mm and 78.34 mm: 10.8 mm and 7.3 mm more than without",
        configurations=("hmr_rotvec", "hkmr"),
        comparisons=tuple(
            _less(
                f"{pattern}_lost_mm",
                "hkmr",
                "hmr_rotvec",
                f"MPJPE lost behind a {pattern} (mm, mean of the degrees): "
                "hkmr {a} < hmr_rotvec {b}",
            )
            for pattern in occluders.PATTERNS
        ),
    ),
    "hkmr-3": Claim(
        text="ablations: joint hierarchy, backward pass and the VAE each help",
        source="HKMR Table 2",
        paper="without them 77.10, 75.99, 74.21 mm; with all 71.08 mm",
        configurations=("hkmr", *_ABLATIONS),
        comparisons=_less_than_each("mpjpe_mm", "hkmr", _ABLATIONS, _MPJPE),
    ),
    "hkmr-4": Claim(
        text="3 outer and 4 inner passes are best",
        source="HKMR Table 3",
        paper="1 to 4 outer: 93.79, 80.96, 71.08, 73.16 mm",
        configurations=("hkmr", *_PASSES),
        comparisons=_less_than_each("mpjpe_mm", "hkmr", _PASSES, _MPJPE),
    ),
    "hkmr-5": Claim(
        text="the gain stays with SMPLify in the loop",
        source="HKMR Table 4",
        paper="65.60 mm and 64.02 mm MPJPE",
        configurations=("spin", "hkmr_mf"),
        comparisons=_less_than_each("mpjpe_mm", "hkmr_mf", ("spin",), _MPJPE),
    ),
}


class Verdict(NamedTuple):
    """The verdict of the numbers on a claim."""

    agrees: bool
    """Every comparison holds for every seed."""
    lines: tuple[str, ...]
    """One sentence for each comparison."""


def verdict(claim: Claim, metrics: Metrics) -> Verdict:
    """Compares a claim with measured values.

    Raises:
        KeyError: a configuration or metric that the claim needs is missing.
    """
    agreed, lines = [], []
    for comparison in claim.comparisons:
        a, b = (
            np.asarray(metrics[name][metric], float)
            for name, metric in (comparison.a, comparison.b)
        )
        holds = a * comparison.factor < b
        text = comparison.text.format(
            a=_mean_and_spread(a), b=_mean_and_spread(b)
        )
        lines.append(f"{text}: {holds.sum()} of {len(holds)} seeds")
        agreed.append(bool(holds.all()))
    return Verdict(all(agreed), tuple(lines))


def _mean_and_spread(values: np.ndarray) -> str:
    if len(set(values)) == 1 and values[0] > 1000:
        return f"{values[0]:,.0f}"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def get(name: str) -> Claim:
    """The claim `name`.

    Raises:
        ValueError: unknown claim; the message lists all.
    """
    if name not in CLAIMS:
        raise ValueError(f"Unknown claim {name!r}. There are: {list(CLAIMS)}.")
    return CLAIMS[name]
