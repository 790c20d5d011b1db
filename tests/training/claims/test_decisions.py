"""The decision rule, on numbers made by hand."""

import math

import pytest

from training.claims import decisions, rules

NAN = math.nan


def paired(differences, start=100.0) -> tuple[dict, dict]:
    """Two networks whose errors differ so, seed by seed."""
    smaller = {seed: start + 10 * seed for seed in range(len(differences))}
    larger = {seed: smaller[seed] + d for seed, d in enumerate(differences)}
    return smaller, larger


def test_the_interval_is_students():
    """Mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.7764451."""
    decision = decisions.compare(*paired([1, 2, 3, 4, 5]))
    half = 2.7764451051977987 * math.sqrt(2.5 / 5)
    assert decision.mean == pytest.approx(3)
    assert decision.low == pytest.approx(3 - half)
    assert decision.high == pytest.approx(3 + half)
    assert decision.seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("differences", "effect", "state"),
    [
        ([9, 10, 11, 10, 10], 5, decisions.AGREES),
        ([9, 10, 11, 10, 10], 0, decisions.AGREES),
        # Better for every seed, and by less than what matters.
        ([1, 2, 1, 2, 1], 5, decisions.CONTRADICTS),
        ([-9, -10, -11, -10, -10], 5, decisions.CONTRADICTS),
        # The mean is above, the interval is not.
        ([1, 2, 3, 4, 5], 2, decisions.NOT_DECIDED),
        ([-40, 30, 5, 60, -20], 5, decisions.NOT_DECIDED),
        # Equal to the smallest difference of interest on all seeds.
        ([5, 5, 5, 5, 5], 5, decisions.NOT_DECIDED),
        ([0, 0, 0, 0, 0], 0, decisions.NOT_DECIDED),
        ([5.1] * 5, 5, decisions.AGREES),
        ([4.9] * 5, 5, decisions.CONTRADICTS),
    ],
)
def test_states(differences, effect, state):
    assert decisions.compare(*paired(differences), effect=effect).state == state


def test_the_seeds_are_paired():
    """The seeds differ by 40, the networks of a seed by 6."""
    smaller, larger = paired([6, 6.1, 5.9, 6, 6.2])
    assert decisions.compare(smaller, larger, effect=5).state == (
        decisions.AGREES
    )
    shuffled = {(seed + 2) % 5: value for seed, value in larger.items()}
    decision = decisions.compare(smaller, shuffled, effect=5)
    assert decision.state == decisions.NOT_DECIDED


def test_a_factor_scales_the_smaller_side():
    smaller = dict.fromkeys(range(5), 100.0)
    larger = dict.fromkeys(range(5), 95.0)
    for factor, state in (
        (0.9, decisions.AGREES),
        (1.0, decisions.CONTRADICTS),
    ):
        assert decisions.compare(smaller, larger, factor).state == state


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_few_seeds_decide_nothing(count):
    for difference in (50, -50):
        decision = decisions.compare(*paired([difference] * count))
        assert decision.state == decisions.NOT_DECIDED
        assert decision.reason == f"{count} paired seeds of 5"


def test_seeds_of_one_side_are_no_pairs():
    smaller, larger = paired([50] * 6)
    del smaller[0], larger[5]
    decision = decisions.compare(smaller, larger)
    assert decision.seeds == (1, 2, 3, 4)
    assert decision.state == decisions.NOT_DECIDED
    smaller[0], larger[7] = 0.0, 999.0
    decision = decisions.compare(smaller, larger)
    assert (decision.state, len(decision.seeds)) == (decisions.AGREES, 5)


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_number_decides_nothing(value, side):
    sides = paired([50] * 6)
    sides[side][3] = value
    decision = decisions.compare(*sides)
    assert decision.state == decisions.NOT_DECIDED
    assert decision.reason == "a value is not a number"


@pytest.mark.parametrize(
    ("values", "margin", "beaten"),
    [
        ({0: 139.9}, 5.0, True),
        ({0: 139.91}, 5.0, False),
        ({0: 144.89}, 0.0, True),
        # Equal is not below.
        ({0: 144.9}, 0.0, False),
        ({0: 100.0, 1: 150.0}, 5.0, False),
        ({0: NAN}, 5.0, False),
        ({}, 5.0, False),
    ],
)
def test_a_constant_is_beaten_by_every_network(values, margin, beaten):
    assert decisions.beats(values, 144.9, margin) is beaten


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([], decisions.NOT_DECIDED),
        ([decisions.AGREES] * 2, decisions.AGREES),
        ([decisions.AGREES, decisions.NOT_DECIDED], decisions.NOT_DECIDED),
        ([decisions.AGREES, decisions.CONTRADICTS], decisions.CONTRADICTS),
        (
            [decisions.NOT_DECIDED, decisions.CONTRADICTS],
            decisions.CONTRADICTS,
        ),
    ],
)
def test_a_claim_needs_all_its_comparisons(states, state):
    assert decisions.all_of(states) == state


def networks(count=5, **errors) -> dict:
    """Configurations with one metric, the seed's tenth added."""
    return {
        name: {
            "seeds": list(range(count)),
            "metrics": {
                metric: [error + seed / 10 for seed in range(count)],
            },
        }
        for name, (metric, error) in errors.items()
    }


def chains(flat_mm, chains_mm, **options) -> dict:
    return networks(
        **options,
        hmr_rotvec=(rules.TRUE_ROOT, flat_mm),
        hkmr=(rules.TRUE_ROOT, chains_mm),
    )


@pytest.mark.parametrize(
    ("flat_mm", "chains_mm", "state"),
    [
        (120.0, 110.0, decisions.AGREES),
        (120.0, 119.0, decisions.CONTRADICTS),
        (110.0, 120.0, decisions.CONTRADICTS),
        # One network, or both, is no better than the mean pose.
        (177.3, 110.0, decisions.NOT_DECIDED),
        (110.0, 177.3, decisions.NOT_DECIDED),
        (255.0, 243.0, decisions.NOT_DECIDED),
    ],
)
def test_networks_first_beat_the_mean_pose(flat_mm, chains_mm, state):
    verdict = rules.verdict(rules.get("hkmr-1"), chains(flat_mm, chains_mm), {})
    assert verdict.state == state
    failed = [line for line in verdict.lines if "mean pose" in line]
    assert len(failed) == sum(mm >= 177 for mm in (flat_mm, chains_mm))


def test_the_measured_constant_counts_before_the_frozen_one():
    values = chains(120.0, 110.0)
    claim = rules.get("hkmr-1")
    strict = {rules.TRUE_ROOT: 115.0, "mpjpe_mm": 327.6}
    assert rules.verdict(claim, values, {}).state == decisions.AGREES
    verdict = rules.verdict(claim, values, strict)
    assert verdict.state == decisions.NOT_DECIDED
    assert "below 115.0 mm is needed" in verdict.lines[0]


def test_pa_mpjpe_needs_five_millimetres_below():
    claim = rules.get("hmr-2")

    def state(unpaired_mm):
        values = networks(
            hmr=(rules.PA_MPJPE, 115.0), hmr_unpaired=(rules.PA_MPJPE, 0.0)
        )
        metrics = values["hmr_unpaired"]["metrics"]
        metrics[rules.PA_MPJPE] = [unpaired_mm] * 5
        return rules.verdict(claim, values, {}).state

    assert state(139.9) == decisions.AGREES
    assert state(140.0) == decisions.NOT_DECIDED
    # A third more than 115.2 mm, and by the constant too much as well.
    assert state(166.0) == decisions.NOT_DECIDED


def test_the_network_that_a_claim_says_to_fail_may_fail():
    values = networks(
        hmr_unpaired=(rules.PA_MPJPE, 110.0),
        hmr_no_adversary=(rules.PA_MPJPE, 190.0),
    )
    for name, implausible in (("hmr_unpaired", 1), ("hmr_no_adversary", 99)):
        values[name]["metrics"] |= {
            "pck2d_torso02": [80.0] * 5,
            "implausible_pct": [float(implausible)] * 5,
        }
    claim = rules.get("hmr-1")
    assert rules.verdict(claim, values, {}).state == decisions.AGREES
    for name in values:
        metrics = values[name]["metrics"]
        metrics[rules.PA_MPJPE] = [v + 51 for v in metrics[rules.PA_MPJPE]]
    assert rules.verdict(claim, values, {}).state == decisions.NOT_DECIDED


def test_three_seeds_of_today_are_not_decided():
    verdict = rules.verdict(
        rules.get("hkmr-1"), chains(120.0, 110.0, count=3), {}
    )
    assert verdict.state == decisions.NOT_DECIDED
    assert "3 paired seeds of 5" in verdict.lines[0]
    assert "of interest above 5" in verdict.lines[0]


def test_a_metric_that_was_not_measured_decides_nothing():
    values = chains(120.0, 110.0)
    del values["hkmr"]["metrics"][rules.TRUE_ROOT]
    verdict = rules.verdict(rules.get("hkmr-1"), values, {})
    assert verdict.state == decisions.NOT_DECIDED
    assert "no value" in verdict.lines[0]
    assert "not measured" in verdict.lines[1]


def test_values_without_their_seeds_are_refused():
    values = chains(120.0, 110.0)
    values["hkmr"]["seeds"].pop()
    with pytest.raises(ValueError):
        rules.verdict(rules.get("hkmr-1"), values, {})


def test_no_claim_asks_for_what_a_configuration_fixes():
    measured = {
        *rules.CONSTANTS,
        *("pck2d_torso02", "implausible_pct"),
        # Of SMPLR's networks without pictures, and of its parts.
        *(f"{name}_mm" for name in ("shape", "pose_more", "pose_smpl")),
        *("body_mm", "moved_mm", "gender_pct", "chance_pct"),
        *("cnn_mm", "denoised_mm", "denoised_gain_pct"),
        # Of HUND's stages, and of BFGS beside them.
        *(rules.MPJPE, "best_stage", "stages_ms", "bfgs_ms_to_stages"),
        *("loss_searched_last", "loss_bfgs_from_stages"),
        *("angle_bfgs_from_mean_deg", "angle_bfgs_from_stages_deg"),
        *(
            f"{metric}_{stage}"
            for metric in ("loss", "detected_px", "true_px")
            for stage in ("first", "last")
        ),
        *(rules.lost(pattern) for pattern in rules.occluders.PATTERNS),
    }
    for name, claim in rules.CLAIMS.items():
        metrics = {c.a[1] for c in claim.comparisons}
        metrics |= {c.b[1] for c in claim.comparisons}
        assert metrics <= measured, name
        # Networks that read shapes alone answer no pose.
        assert claim.judged_by in rules.CONSTANTS or name == "smplr-1a"
        assert set(claim.may_fail) < set(claim.configurations)
