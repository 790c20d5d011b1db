"""Claims are judged by planted runs; nothing is trained here."""

import json
import math
import pathlib

import numpy as np
import pytest

from training.claims import __main__ as claims
from training.claims import rules, runs
from training.data.records import mocap
from training.evaluation import occluders

SIZE = runs.Size(steps=10, occluded_people=5)
SEEDS = (0, 1, 2, 3, 4)
CONSTANTS = {rules.TRUE_ROOT: 150.0, rules.PA_MPJPE: 140.0, "mpjpe_mm": 300.0}


def metrics(error_mm=100.0, lost_mm=10.0) -> dict:
    values = {rules.TRUE_ROOT: error_mm, "trained_s": 2.0}
    values[rules.UNOCCLUDED] = error_mm
    for pattern in occluders.PATTERNS:
        values[rules.lost(pattern)] = lost_mm
        for degree in occluders.DEGREES:
            values[rules.error_behind(pattern, degree)] = error_mm + degree
    return values


def plant(out, name, seed, steps=SIZE.steps, **values) -> None:
    folder = out / name / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "steps": steps,
        "occluded_people": SIZE.occluded_people,
        "rate_steps": SIZE.rate_steps,
        "metrics": metrics(**values),
        "constants": CONSTANTS,
    }
    (folder / runs.RESULT).write_text(json.dumps(content))


@pytest.fixture
def out(tmp_path):
    """HKMR better by 6 mm for each seed, and 3 mm less lost."""
    for seed in SEEDS:
        plant(tmp_path, "hmr_rotvec", seed, error_mm=100 + seed)
        plant(tmp_path, "hkmr", seed, error_mm=94 + seed, lost_mm=7.0)
    return tmp_path


def measured(out, *names) -> int:
    return claims.main(
        [
            *names,
            *("--out", str(out), "--steps", str(SIZE.steps)),
            *("--occluded-people", str(SIZE.occluded_people)),
        ]
    )


def stored(out, name) -> dict:
    return json.loads((out / "claims" / f"{name}.json").read_text())


def test_five_seeds_above_what_matters_agree(out, capsys):
    assert measured(out, "hkmr-1", "hkmr-2") == 0
    content = stored(out, "hkmr-1")
    assert content["agrees"] is True
    assert "96.0 ± 1.6" in content["text"]
    assert "95 % interval 6.0 to 6.0, of interest above 5" in content["text"]
    assert content["cost_s"] == 20.0
    assert content["constants"] == CONSTANTS
    values = content["configurations"]["hkmr"]["metrics"][rules.TRUE_ROOT]
    assert values == [94.0, 95.0, 96.0, 97.0, 98.0]
    plots = stored(out, "hkmr-2")["plots"]
    assert [(out / "claims" / plot).is_file() for plot in plots] == [True] * 2
    claims.main(["--out", str(out)])
    states = capsys.readouterr().out.splitlines()
    assert any(s.startswith("hkmr-1   agrees ") for s in states)
    assert any(s.startswith("hkmr-3   not run ") for s in states)


def test_one_seed_against_it_is_not_decided(out, capsys):
    plant(out, "hkmr", 1, error_mm=120.0)
    assert measured(out, "hkmr-1") == 0
    assert "hkmr-1: not decided" in capsys.readouterr().out
    assert stored(out, "hkmr-1")["agrees"] is None


def test_less_than_what_matters_contradicts(out, capsys):
    for seed in SEEDS:
        plant(out, "hkmr", seed, error_mm=99 + seed)
    assert measured(out, "hkmr-1") == 0
    assert "hkmr-1: contradicts" in capsys.readouterr().out
    assert stored(out, "hkmr-1")["agrees"] is False


def test_three_seeds_decide_nothing(out, capsys):
    arguments = ["hkmr-1", "--seeds", "0", "1", "2", "2", "1"]
    size = ["--steps", str(SIZE.steps), "--occluded-people", "5"]
    assert claims.main([*arguments, "--out", str(out), *size]) == 0
    assert "not decided" in capsys.readouterr().out
    content = stored(out, "hkmr-1")
    assert content["agrees"] is None
    assert content["configurations"]["hkmr"]["seeds"] == [0, 1, 2]
    assert "3 paired seeds of 5" in content["text"]


def test_the_list_judges_older_files_by_the_present_rule(out, capsys):
    folder = out / "claims"
    folder.mkdir()
    metric = {"mpjpe_mm": [95, 96, 97], "parameters": [9, 9, 9]}
    content = {
        "id": "hkmr-1",
        "agrees": True,
        "configurations": {
            name: {"seeds": [0, 1, 2], "metrics": metric}
            for name in ("hmr_rotvec", "hkmr")
        },
    }
    (folder / "hkmr-1.json").write_text(json.dumps(content))
    assert claims.main(["--out", str(out)]) == 0
    assert "hkmr-1   not decided " in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "{}", '{"id": "hkmr-1", "configurations": []}'),
        '{"id": "hkmr-1", "configurations": {"hkmr": 1, "hmr_rotvec": 2}}',
    ],
)
def test_a_damaged_claim_is_one_line(out, capsys, text):
    (out / "claims").mkdir()
    (out / "claims" / "hkmr-1.json").write_text(text)
    assert claims.main(["--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "hkmr-1.json cannot be read" in error
    assert error.count("\n") == 1


def test_runs_of_a_slow_adversary_are_not_taken(out):
    """They state no constants; the same folder is then refused by its rate."""
    path = out / "hkmr" / "seed-0" / runs.RESULT
    assert runs.stored("hkmr", 0, SIZE, out).constants == CONSTANTS
    content = json.loads(path.read_text())
    del content["constants"]
    path.write_text(json.dumps(content))
    assert runs.stored("hkmr", 0, SIZE, out) is None


def test_runs_of_another_size_are_made_anew(out, capsys, monkeypatch):
    plant(out, "hkmr", 2, steps=SIZE.steps + 1)
    commands = []

    def run(module, *words):
        commands.append((module, *map(str, words)))
        raise runs.RunError("no training here")

    monkeypatch.setattr(runs, "_run", run)
    assert measured(out, "hkmr-1") == 1
    assert "no training here" in capsys.readouterr().err
    assert commands[0][:2] == ("training.fit", "hkmr_quick")
    assert str(out / "hkmr" / "seed-2") in commands[0]


@pytest.mark.parametrize(
    "errors_mm",
    [(90, 80, 85, 99), (80, 99, 99, 99), (math.nan, 90, 80, math.nan)],
)
def test_the_rate_with_the_smallest_validation_error_is_taken(
    tmp_path, capsys, monkeypatch, errors_mm
):
    """An error of the last evaluation counts; a second call trains nothing."""
    commands = []

    def run(module, *words):
        words = [str(word) for word in words]
        commands.append(words)
        folder = pathlib.Path(words[words.index("--workdir") + 1])
        folder.mkdir(parents=True)
        error = errors_mm[len(commands) - 1]
        lines = [
            {"step": step, "kind": "evaluation", rules.TRUE_ROOT: value}
            for step, value in ((5, 1.0), (SIZE.rate_steps, error))
        ]
        lines.append({"step": SIZE.rate_steps, "kind": "train", "loss": 2.0})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)

    monkeypatch.setattr(runs, "_run", run)
    rate = runs.best_rate("hkmr_best_rate", SIZE, tmp_path, "data")
    assert rate == rules.RATES[errors_mm.index(80)]
    assert [c[c.index("--optim.lr") + 1] for c in commands] == [
        *("0.0001", "0.0003", "0.001", "0.003")
    ]
    assert commands[2][-4:] == [
        *("--optim.lr", "0.001", "--optim.lr-adversary", "0.01")
    ]
    assert f"{rate:g} is taken" in capsys.readouterr().out
    assert runs.best_rate("hkmr_best_rate", SIZE, tmp_path, "data") == rate
    assert len(commands) == 4


def test_without_a_val_split_no_rate_is_chosen(tmp_path, monkeypatch):
    def run(module, *words):
        folder = tmp_path / "hkmr_best_rate/rates/0.0001-2000"
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text('{"step": 1, "kind": "train"}\n')

    monkeypatch.setattr(runs, "_run", run)
    with pytest.raises(runs.RunError, match="val split"):
        runs.best_rate("hkmr_best_rate", SIZE, tmp_path, "data")


def test_unknown_claim_lists_what_there_is(out, capsys):
    assert measured(out, "hkmr-9") == 1
    assert "hkmr-1" in capsys.readouterr().err


def test_claims_name_their_configurations():
    for name, claim in rules.CLAIMS.items():
        assert set(claim.configurations) <= set(rules.CONFIGURATIONS), name
        compared_configurations = {c.a[0] for c in claim.comparisons}
        compared_configurations |= {c.b[0] for c in claim.comparisons}
        assert compared_configurations == set(claim.configurations), name


def test_implausible_is_what_nobody_does(monkeypatch, rng):
    pose = rng.normal(0, 0.2, (2000, 72)).astype(np.float32)
    real = mocap.Prior(pose, np.zeros((2000, 10), np.float32), "open")

    def share_of(poses):
        rotmats = runs.rotations.rotvec_to_rotmat(poses.reshape(-1, 24, 3))
        prediction = runs.evaluator.Predictions(rotmats=rotmats.numpy())
        monkeypatch.setattr(
            runs.evaluator, "predictions", lambda *_: [({}, prediction)]
        )
        return runs.implausible_pct(None, None, real)

    # One in a thousand of each of 23 joints.
    assert share_of(pose) == pytest.approx(2.3, abs=0.5)
    broken = pose.copy()
    broken[:, 30] = math.pi
    assert share_of(broken) == 100
    # The global rotation is free.
    rotated_pose = pose.copy()
    rotated_pose[:, :3] = (math.pi, 0, 0)
    assert share_of(rotated_pose) == share_of(pose)
