"""Claims are judged by planted runs; nothing is trained here."""

import json
import math

import numpy as np
import pytest

from training.claims import __main__ as claims
from training.claims import rules, runs
from training.data.records import mocap
from training.evaluation import occluders

SIZE = runs.Size(steps=10, occluded_people=5)
SEEDS = (0, 1, 2)


def metrics(mpjpe_mm=100.0, lost_mm=10.0, parameters=1000) -> dict:
    values = {"mpjpe_mm": mpjpe_mm, "parameters": parameters, "trained_s": 2.0}
    values["unoccluded_mpjpe_mm"] = mpjpe_mm
    for pattern in occluders.PATTERNS:
        values[f"{pattern}_lost_mm"] = lost_mm
        for degree in occluders.DEGREES:
            values[f"{pattern}_{degree}_mpjpe_mm"] = mpjpe_mm + degree
    return values


def plant(out, name, seed, steps=SIZE.steps, **values) -> None:
    folder = out / name / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "steps": steps,
        "occluded_people": SIZE.occluded_people,
        "metrics": metrics(**values),
    }
    (folder / runs.RESULT).write_text(json.dumps(content))


@pytest.fixture
def out(tmp_path):
    """HKMR better by 5 mm for each seed, and 1 mm less lost."""
    for seed in SEEDS:
        plant(tmp_path, "hmr_rotvec", seed, mpjpe_mm=100 + seed)
        plant(
            *(tmp_path, "hkmr", seed),
            **{"mpjpe_mm": 95 + seed, "lost_mm": 9.0, "parameters": 900},
        )
    return tmp_path


def measured(out, *names) -> int:
    return claims.main(
        [
            *names,
            *("--out", str(out), "--steps", str(SIZE.steps)),
            *("--occluded-people", str(SIZE.occluded_people)),
        ]
    )


def test_what_holds_for_every_seed_agrees(out, capsys):
    assert measured(out, "hkmr-1", "hkmr-2") == 0
    found = json.loads((out / "claims" / "hkmr-1.json").read_text())
    assert found["agrees"] is True
    assert "96.0 ± 1.0" in found["text"]
    assert "3 of 3 seeds" in found["text"]
    assert found["cost_s"] == 12.0
    assert found["configurations"]["hkmr"]["metrics"]["mpjpe_mm"] == [
        *(95.0, 96.0, 97.0)
    ]
    drawn = json.loads((out / "claims" / "hkmr-2.json").read_text())["plots"]
    assert [(out / "claims" / each).is_file() for each in drawn] == [True] * 2
    claims.main(["--out", str(out)])
    states = capsys.readouterr().out.splitlines()
    assert any(s.startswith("hkmr-1   agrees ") for s in states)
    assert any(s.startswith("hkmr-3   not run ") for s in states)


def test_one_seed_against_it_does_not_agree(out, capsys):
    plant(out, "hkmr", 1, mpjpe_mm=101.5, parameters=900)
    assert measured(out, "hkmr-1") == 0
    assert "does not agree" in capsys.readouterr().out
    found = json.loads((out / "claims" / "hkmr-1.json").read_text())
    assert found["agrees"] is False
    assert "2 of 3 seeds" in found["text"]


def test_a_factor_bounds_from_either_side():
    usable = {"hmr": {"pa_mpjpe_mm": [90.0]}}
    for value, agrees in ((100.0, True), (119.0, True), (121.0, False)):
        other = {"hmr_unpaired": {"pa_mpjpe_mm": [value]}}
        found = rules.verdict(rules.get("hmr-2"), usable | other)
        assert found.agrees is agrees


def test_runs_of_another_size_are_made_anew(out, capsys, monkeypatch):
    plant(out, "hkmr", 2, steps=SIZE.steps + 1)
    asked = []

    def run(module, *words):
        asked.append((module, *map(str, words)))
        raise runs.RunError("no training here")

    monkeypatch.setattr(runs, "_run", run)
    assert measured(out, "hkmr-1") == 1
    assert "no training here" in capsys.readouterr().err
    assert asked[0][:2] == ("training.fit", "hkmr_quick")
    assert str(out / "hkmr" / "seed-2") in asked[0]


def test_unknown_claim_lists_what_there_is(out, capsys):
    assert measured(out, "hkmr-9") == 1
    assert "hkmr-1" in capsys.readouterr().err


def test_claims_name_their_configurations():
    for name, claim in rules.CLAIMS.items():
        assert set(claim.configurations) <= set(rules.CONFIGURATIONS), name
        used = {c.a[0] for c in claim.comparisons}
        used |= {c.b[0] for c in claim.comparisons}
        assert used == set(claim.configurations), name


def test_implausible_is_what_nobody_does(monkeypatch, rng):
    pose = rng.normal(0, 0.2, (2000, 72)).astype(np.float32)
    real = mocap.Prior(pose, np.zeros((2000, 10), np.float32), "open")

    def share_of(poses):
        rotmats = runs.rotations.rotvec_to_rotmat(poses.reshape(-1, 24, 3))
        found = runs.evaluator.Predictions(rotmats=rotmats.numpy())
        monkeypatch.setattr(
            runs.evaluator, "predictions", lambda *_: [({}, found)]
        )
        return runs.implausible_pct(None, None, real)

    # One in a thousand of each of 23 joints.
    assert share_of(pose) == pytest.approx(2.3, abs=0.5)
    broken = pose.copy()
    broken[:, 30] = math.pi
    assert share_of(broken) == 100
    # The global rotation is free.
    turned = pose.copy()
    turned[:, :3] = (math.pi, 0, 0)
    assert share_of(turned) == share_of(pose)
