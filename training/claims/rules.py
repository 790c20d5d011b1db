"""Claims of the papers as comparisons that a small protocol can decide.

Only the order, the ratio and the mechanism count; absolute millimetres belong
to the papers' data. A claim names the error by which its networks are judged:
each must first beat the constant mean pose by that error, or nothing is
decided. decisions.py decides a comparison from values paired by seed.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from training.claims import decisions, smplr_claims
from training.claims.statements import (
    CONSTANTS,
    MPJPE,
    PA_MPJPE,
    TITLES,
    TRUE_ROOT,
    Claim,
    Comparison,
    Configuration,
    less,
    less_than_each,
)
from training.evaluation import occluders

# Configuration -> "seeds", and "metrics": metric -> one value for each seed.
Configurations = Mapping[str, Mapping[str, Any]]


RATES = (1e-4, 3e-4, 1e-3, 3e-3)
CONFIGURATIONS = (
    {
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
        "hkmr_1_outer": Configuration(
            "hkmr_quick", ("--method.outer-steps", "1")
        ),
        "hkmr_2_outer": Configuration(
            "hkmr_quick", ("--method.outer-steps", "2")
        ),
        "hkmr_4_outer": Configuration(
            "hkmr_quick", ("--method.outer-steps", "4")
        ),
        "hkmr_2_inner": Configuration(
            "hkmr_quick", ("--method.inner-passes", "2")
        ),
        "hkmr_6_inner": Configuration(
            "hkmr_quick", ("--method.inner-passes", "6")
        ),
        "hmr_rotvec_best_rate": Configuration(
            "quick", ("--method.rotation", "rotvec"), rates=RATES
        ),
        "hkmr_best_rate": Configuration("hkmr_quick", rates=RATES),
        "hmr_rotvec_true_root": Configuration(
            "quick_true_root", ("--method.rotation", "rotvec")
        ),
        "hkmr_true_root": Configuration("hkmr_quick_true_root"),
        "spin": Configuration("spin_quick"),
        "hkmr_mf": Configuration("hkmr_mf_quick"),
        "hund": Configuration("hund_quick"),
        "hund_self": Configuration("hund_quick_ss"),
        "hund_descent": Configuration("hund_quick", searched=100),
    }
    | {
        f"hund_{name}": Configuration("hund_quick", meta_loss=name)
        for name in ("last", "sum", "min", "oi", "max")
    }
    | smplr_claims.CONFIGURATIONS
)


def _implausible(a: str, b: str) -> Comparison:
    text = "share of implausible poses (%) doubles: 2 x {a} < {b}"
    return less("implausible_pct", a, b, text, factor=2.0, effect=5.0)


def error_behind(pattern: str, degree: float) -> str:
    """Metric: mean error with a joint behind an occluder."""
    return f"{pattern}_{degree}_{TRUE_ROOT}"


def lost(pattern: str) -> str:
    """Metric: increase of the error behind an occluder, mean of the degrees."""
    return f"{pattern}_lost_true_root_mm"


UNOCCLUDED = f"unoccluded_{TRUE_ROOT}"
"""Metric: mean error of the same people without an occluder."""

_META_LOSSES_BEHIND = ("hund_min", "hund_oi", "hund_max")
_ABLATIONS = ("hkmr_no_hierarchy", "hkmr_forward_only", "hkmr_discriminator")
_PASSES = (
    "hkmr_1_outer",
    "hkmr_2_outer",
    "hkmr_4_outer",
    "hkmr_2_inner",
    "hkmr_6_inner",
)

# Each smallest difference of interest is below what the paper gained.
CLAIMS = {
    "hmr-1": Claim(
        text="without 3D labels, the adversary keeps bodies human: without it "
        "the 2D error stays low while 3D error and implausible poses explode",
        source="HMR section 4.3, Figure 5",
        paper="unpaired 106.84 mm MPJPE, 67.45 mm PA; without the adversary "
        "'monsters', no figures",
        configurations=("hmr_unpaired", "hmr_no_adversary"),
        comparisons=(
            less(
                "pck2d_torso02",
                "hmr_unpaired",
                "hmr_no_adversary",
                "2D PCK (%) stays within a tenth: 0.9 x {a} < {b}",
                factor=0.9,
            ),
            *less_than_each(
                PA_MPJPE, "hmr_unpaired", ("hmr_no_adversary",), 5.0
            ),
            _implausible("hmr_unpaired", "hmr_no_adversary"),
        ),
        judged_by=PA_MPJPE,
        may_fail=("hmr_no_adversary",),
    ),
    "hmr-2": Claim(
        text="paired 3D labels beat unpaired, unpaired stays usable",
        source="HMR Tables 1 and 2",
        paper="PA-MPJPE 56.8 mm and 66.5 mm",
        configurations=("hmr", "hmr_unpaired"),
        comparisons=(
            *less_than_each(PA_MPJPE, "hmr", ("hmr_unpaired",), 5.0),
            less(
                PA_MPJPE,
                "hmr_unpaired",
                "hmr",
                "unpaired stays within a third: 0.75 x {a} < {b}",
                factor=0.75,
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "hmr-3": Claim(
        text="iterative feedback: 3 steps beat 1; supervising only the last "
        "step beats supervising each",
        source="HMR section 3.2",
        paper="no figures",
        configurations=("hmr", "hmr_1_iteration", "hmr_each_supervised"),
        comparisons=less_than_each(
            PA_MPJPE, "hmr", ("hmr_1_iteration", "hmr_each_supervised"), 2.0
        ),
        judged_by=PA_MPJPE,
    ),
    "hmr-4": Claim(
        text="factorised discriminators regularise, one joint discriminator "
        "does not",
        source="HMR section 3.3",
        paper="no figures",
        configurations=("hmr_unpaired", "hmr_joint_adversary"),
        comparisons=(
            *less_than_each(
                PA_MPJPE, "hmr_unpaired", ("hmr_joint_adversary",), 5.0
            ),
            _implausible("hmr_unpaired", "hmr_joint_adversary"),
        ),
        judged_by=PA_MPJPE,
        may_fail=("hmr_joint_adversary",),
    ),
    "hkmr-1": Claim(
        text="chains beat flat regression with the same encoder",
        source="HKMR Table 1",
        paper="87.97 mm and 71.08 mm MPJPE",
        configurations=("hmr_rotvec", "hkmr"),
        comparisons=less_than_each(TRUE_ROOT, "hkmr", ("hmr_rotvec",), 5.0),
        judged_by=TRUE_ROOT,
    ),
    "hkmr-1a": Claim(
        text="chains beat flat regression, each at its best learning rate",
        source="HKMR Table 1",
        paper="87.97 mm and 71.08 mm MPJPE; learning rates not compared",
        configurations=("hmr_rotvec_best_rate", "hkmr_best_rate"),
        comparisons=less_than_each(
            TRUE_ROOT, "hkmr_best_rate", ("hmr_rotvec_best_rate",), 5.0
        ),
        judged_by=TRUE_ROOT,
    ),
    "hkmr-1b": Claim(
        text="chains beat flat regression where both know the true root "
        "rotation",
        source="HKMR Table 1",
        paper="87.97 mm and 71.08 mm MPJPE; the root estimated",
        configurations=("hmr_rotvec_true_root", "hkmr_true_root"),
        comparisons=less_than_each(
            TRUE_ROOT, "hkmr_true_root", ("hmr_rotvec_true_root",), 5.0
        ),
        judged_by=TRUE_ROOT,
    ),
    "hkmr-2": Claim(
        text="chains lose less under bars, circles and rectangles as they grow",
        source="HKMR Table 1, Figure 6",
        paper="bar 98.74 mm and 78.34 mm: 10.8 mm and 7.3 mm more than without",
        configurations=("hmr_rotvec", "hkmr"),
        comparisons=tuple(
            less(
                lost(pattern),
                "hkmr",
                "hmr_rotvec",
                f"{TITLES[TRUE_ROOT]} lost behind a {pattern} (mm, mean of "
                "the degrees): hkmr {a} < hmr_rotvec {b}",
                effect=2.0,
            )
            for pattern in occluders.PATTERNS
        ),
        judged_by=TRUE_ROOT,
    ),
    "hkmr-3": Claim(
        text="ablations: joint hierarchy, backward pass and the VAE each help",
        source="HKMR Table 2",
        paper="without them 77.10, 75.99, 74.21 mm; with all 71.08 mm",
        configurations=("hkmr", *_ABLATIONS),
        comparisons=less_than_each(TRUE_ROOT, "hkmr", _ABLATIONS, 2.0),
        judged_by=TRUE_ROOT,
    ),
    "hkmr-4": Claim(
        text="3 outer and 4 inner passes are best",
        source="HKMR Table 3",
        paper="1 to 4 outer: 93.79, 80.96, 71.08, 73.16 mm",
        configurations=("hkmr", *_PASSES),
        comparisons=less_than_each(TRUE_ROOT, "hkmr", _PASSES, 2.0),
        judged_by=TRUE_ROOT,
    ),
    "hkmr-5": Claim(
        text="the gain stays with SMPLify in the loop",
        source="HKMR Table 4",
        paper="65.60 mm and 64.02 mm MPJPE",
        configurations=("spin", "hkmr_mf"),
        comparisons=less_than_each(TRUE_ROOT, "hkmr_mf", ("spin",), 1.0),
        judged_by=TRUE_ROOT,
    ),
    "hund-1": Claim(
        text="of the losses over the stages last and sum lead; min, observable "
        "improvement and max are far behind",
        source="HUND Table 4",
        paper="MPJPE 80.16 mm and 83.26 mm; 122.60, 123.90 and 128.0 mm",
        configurations=("hund_last", "hund_sum", *_META_LOSSES_BEHIND),
        comparisons=(
            *less_than_each(MPJPE, "hund_last", _META_LOSSES_BEHIND, 10.0),
            *less_than_each(MPJPE, "hund_sum", _META_LOSSES_BEHIND, 10.0),
            less(
                "best_stage",
                "hund_min",
                "hund_last",
                "the best stage of min lies before that of last: {a} < {b}",
            ),
        ),
        judged_by=PA_MPJPE,
        may_fail=_META_LOSSES_BEHIND,
    ),
    "hund-2": Claim(
        text="a self-supervised model approaches the supervised one, and both "
        "beat HMR of the same supervision",
        source="HUND Tables 1 and 3",
        paper="MPJPE 91.8 mm and 69.45 mm; HMR 106.84 mm and 88.0 mm",
        configurations=("hund", "hund_self", "hmr", "hmr_unpaired"),
        comparisons=(
            less(
                PA_MPJPE,
                "hund_self",
                "hund",
                "self-supervised stays within a third: 0.75 x {a} < {b}",
                factor=0.75,
            ),
            *less_than_each(PA_MPJPE, "hund", ("hmr",), 2.0),
            *less_than_each(PA_MPJPE, "hund_self", ("hmr_unpaired",), 2.0),
        ),
        judged_by=PA_MPJPE,
    ),
    "hund-3": Claim(
        text="BFGS needs ten times as long for what five learnt stages reach, "
        "and from their end it helps a little more",
        source="HUND Figures 3 and 4",
        paper="no figures; two orders of magnitude in the plots",
        configurations=("hund_descent",),
        comparisons=(
            less(
                *("stages_ms", "hund_descent", "hund_descent"),
                "milliseconds of the stages, ten times: 10 x {a} < {b} of BFGS "
                "to their loss",
                factor=10.0,
                metric_b="bfgs_ms_to_stages",
            ),
            less(
                *("angle_bfgs_from_stages_deg", "hund_descent", "hund_descent"),
                "angle after BFGS (degrees): from the last stage {a} < from "
                "the mean pose {b}",
                metric_b="angle_bfgs_from_mean_deg",
            ),
            less(
                *("loss_bfgs_from_stages", "hund_descent", "hund_descent"),
                "loss: after BFGS from the last stage {a} < before {b}",
                metric_b="loss_searched_last",
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "hund-4": Claim(
        text="the loss falls over the recurrent stages, and the image "
        "alignment with it",
        source="HUND Figure 6",
        paper="no figures",
        configurations=("hund_descent",),
        comparisons=tuple(
            less(
                *(f"{name}_last", "hund_descent", "hund_descent"),
                f"{title}: last stage {{a}} < first {{b}}",
                metric_b=f"{name}_first",
            )
            for name, title in (
                ("loss", "alignment loss"),
                ("detected_px", "pixels of 224 to the detected keypoints"),
                ("true_px", "pixels of 224 to the labelled keypoints"),
            )
        ),
        judged_by=PA_MPJPE,
    ),
} | smplr_claims.CLAIMS


class Verdict(NamedTuple):
    """The verdict of the numbers on a claim."""

    state: str
    """decisions.AGREES, CONTRADICTS or NOT_DECIDED."""
    lines: tuple[str, ...]
    """One sentence for each network that fails and for each comparison."""


def judge(content: Mapping[str, Any]) -> Verdict:
    """Judges a stored claim by the present rules.

    Args:
        content: of a file that training.claims wrote, also an older version's.

    Raises:
        ValueError: it is not such a content.
    """
    try:
        configurations = content["configurations"]
        if content["id"] not in CLAIMS:
            reason = "the claim is no longer measured"
            return Verdict(decisions.NOT_DECIDED, (reason,))
        claim, constants = CLAIMS[content["id"]], content.get("constants", {})
        return verdict(claim, configurations, constants)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a measured claim ({error!r})") from error


def verdict(
    claim: Claim,
    configurations: Configurations,
    constants: Mapping[str, float],
) -> Verdict:
    """Compares a claim with measured values.

    Args:
        claim: the claim.
        configurations: seeds and metrics of each network.
        constants: errors of the mean pose by metric; CONSTANTS has those that
            are missing.

    Raises:
        KeyError, ValueError: a configuration is missing, or has not one value
            for each seed.
    """
    failed = [
        line
        for name in claim.configurations
        if name not in claim.may_fail
        for line in _failure(claim, name, configurations, constants)
    ]
    states, lines = [], []
    for comparison in claim.comparisons:
        state, line = _decide(comparison, configurations)
        states.append(state)
        lines.append(line)
    state = decisions.NOT_DECIDED if failed else decisions.all_of(states)
    return Verdict(state, (*failed, *lines))


def cost(claim: Claim) -> str:
    """What the networks of a claim take, in words; "" if not measured."""
    networks = [CONFIGURATIONS[name] for name in claim.configurations]
    minutes = [network.minutes for network in networks]
    if not all(minutes):
        return ""
    count = decisions.MIN_SEEDS * len(networks)
    mean = sum(minutes) / len(minutes)
    return f"{count} networks of {mean:g} minutes of a core each"


def constant_of(metric: str, constants: Mapping[str, float]) -> float:
    """The mean pose's metric, as measured or else of CONSTANTS."""
    if metric in constants:
        return float(constants[metric])
    return CONSTANTS[metric].error_mm


def _failure(claim, name, configurations, constants) -> list[str]:
    """One sentence if a network does not beat the constant; else none."""
    metric = claim.judged_by
    if not metric:
        return []
    values = _by_seed(configurations[name], metric)
    constant = constant_of(metric, constants)
    margin = CONSTANTS[metric].margin_mm
    if decisions.beats(values, constant, margin):
        return []
    needed = f"{constant:.1f} mm" + (f" by {margin:g} mm" if margin else "")
    measured_text = f"{_mean_and_spread(values)} mm" if values else "no value"
    return [
        f"{name} does not beat the constant mean pose with every seed: "
        f"{TITLES[metric]} {measured_text}, below {needed} is needed"
    ]


def _decide(comparison: Comparison, configurations) -> tuple[str, str]:
    """State of one comparison, and a sentence about it."""
    (name_a, metric_a), (name_b, metric_b) = comparison.a, comparison.b
    a = _by_seed(configurations[name_a], metric_a)
    b = _by_seed(configurations[name_b], metric_b)
    decision = decisions.compare(a, b, comparison.factor, comparison.effect)
    text = comparison.text.format(a=_mean_and_spread(a), b=_mean_and_spread(b))
    details = [f"of interest above {comparison.effect:g}"]
    if not math.isnan(decision.low):
        details = [
            f"difference {decision.mean:.1f}",
            f"95 % interval {decision.low:.1f} to {decision.high:.1f}",
            *details,
        ]
    text += f" ({', '.join(details)})"
    reason = f" ({decision.reason})" if decision.reason else ""
    return decision.state, f"{text}: {decision.state}{reason}"


def _by_seed(configuration: Mapping[str, Any], metric: str) -> decisions.Values:
    """Values of a metric by seed; empty where it was not measured."""
    values = configuration["metrics"].get(metric)
    if values is None:
        return {}
    return {
        int(seed): float(value)
        for seed, value in zip(configuration["seeds"], values, strict=True)
    }


def _mean_and_spread(by_seed: decisions.Values) -> str:
    values = np.array(list(by_seed.values()))
    if not len(values):
        return "not measured"
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
