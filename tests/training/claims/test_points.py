"""SMPLR's networks without pictures, and the rules that judge them."""

import json

import numpy as np
import pytest

from training.claims import __main__ as claims
from training.claims import points, rules, runs

VALUES = {
    "shape_mm": 10.0,
    "pose_mm": 55.0,
    "pose_more_mm": 50.0,
    "pose_smpl_mm": 45.0,
    "body_mm": 48.0,
    "moved_mm": 42.0,
    "gender_pct": 4.0,
    "chance_pct": 48.0,
    "pa_mpjpe_mm": 40.0,
    "trained_s": 1.0,
}
STEPS = 7


def plant(out, name="smplr_landmarks", **changes):
    """Results of five seeds."""
    for seed in range(5):
        folder = out / name / f"seed-{seed}"
        folder.mkdir(parents=True)
        metrics = {k: v + 0.1 * seed for k, v in (VALUES | changes).items()}
        content = {"steps": 1, "point_steps": STEPS}
        content |= {"metrics": metrics, "constants": {}}
        (folder / runs.RESULT).write_text(json.dumps(content))


def agrees(out, name) -> bool | None:
    words = [name, "--out", str(out), "--point-steps", str(STEPS)]
    assert claims.main(words) == 0
    content = json.loads((out / "claims" / f"{name}.json").read_text())
    assert "256 bodies without pictures" in content["size"]
    return content["agrees"]


@pytest.mark.parametrize(
    ("name", "contradiction"),
    [
        ("smplr-5", {"pose_more_mm": 45.5}),
        ("smplr-5", {"shape_mm": 30.0}),
        ("smplr-7", {"moved_mm": 47.5}),
        ("smplr-9", {"gender_pct": 20.0}),
    ],
)
def test_what_the_paper_found_agrees_and_less_contradicts(
    tmp_path, name, contradiction
):
    plant(tmp_path / "paper")
    assert agrees(tmp_path / "paper", name) is True
    plant(tmp_path / "other", **contradiction)
    assert agrees(tmp_path / "other", name) is False


def test_landmarks_are_compared_by_the_shape_alone(tmp_path):
    plant(tmp_path)
    plant(tmp_path, "smplr_joints", shape_mm=16.0)
    assert agrees(tmp_path, "smplr-1a") is True


def test_a_run_of_another_size_is_made_anew(tmp_path, monkeypatch):
    plant(tmp_path, "smplr_joints")
    arguments = []

    def measure(*words):
        arguments.append(words)
        return VALUES

    monkeypatch.setattr(points, "measure", measure)
    size = runs.Size(4000, 100, point_steps=STEPS + 1)
    runs.result("smplr_joints", 3, size, tmp_path, "data")
    assert arguments == [
        (False, 3, STEPS + 1, "data/synthetic", "data/synthetic_v1")
    ]


def test_networks_with_stages_of_their_own_keep_their_steps(
    tmp_path, monkeypatch
):
    commands = []
    monkeypatch.setattr(runs, "_run", lambda *words: commands.append(words))
    runs._train("smplr_quick", tmp_path, "data", None, 2, ())
    assert "--steps" not in commands[0] and "smplr_quick" in commands[0]
    for name, configuration in rules.CONFIGURATIONS.items():
        is_whole = configuration.own_steps
        assert is_whole == bool(configuration.outputs), name


@pytest.mark.slow
def test_networks_learn_without_pictures(tiny_records):
    folders = [str(tiny_records / n) for n in ("synthetic", "synthetic_v1")]
    few, more = (points.measure(True, 0, n, *folders) for n in (2, 60))
    for name in ("shape_mm", "pose_mm", "body_mm", "moved_mm"):
        assert more[name] < few[name]
    assert more["moved_mm"] < more["body_mm"]
    assert all(np.isfinite(value) for value in more.values())


def test_what_was_not_run_says_what_it_takes(tmp_path, capsys):
    assert claims.main(["--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("smplr-8 "))
    assert "not run" in line
    assert "10 networks of 16 minutes of a core each" in line
    plant(tmp_path)
    assert agrees(tmp_path, "smplr-5") is True
    assert rules.cost(rules.CLAIMS["smplr-5"]) == ""
