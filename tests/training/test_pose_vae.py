"""What tells an autoencoder of poses: angles, curves, and the command."""

import json

import cv2
import numpy as np
import pytest
from scipy import stats

from tf_hmr.networks import pose_vae as vae_part
from training import fit, pose_vae
from training.engine import run_log
from training.tasks import pose_vae as task

pytestmark = pytest.mark.usefixtures("fit_without_xla")

TINY = (
    "--method.image-size=64",
    "--method.encoder-width=8",
    "--method.hidden=16",
    "--method.embedding=8",
    "--method.vae-hidden=32",
    "--data.batch-size=8",
)


def test_area_under_the_curve_of_normal_scores(rng):
    """Of scores apart by d deviations it is Phi(d / sqrt 2)."""
    human, random = rng.normal(0, 1, 4000), rng.normal(1.5, 1, 5000)
    points, area = task.roc(human, random)
    assert area == pytest.approx(stats.norm.cdf(1.5 / 2**0.5), abs=0.01)
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(
        area, abs=0.01
    )
    _, same = task.roc(human, human)
    assert same == pytest.approx(0.5)


def test_angles_are_between_rotations(rng):
    """About one axis they are differences, whatever the other joints do."""
    poses = rng.normal(0, 0.5, (5, vae_part.NUMBERS))
    turned_poses = poses.copy()
    poses[:, 3:6], turned_poses[:, 3:6] = [0.2, 0, 0], [0.7, 0, 0]
    angles = task.angles_deg(poses, turned_poses)
    assert angles.shape == (5, 23)
    np.testing.assert_allclose(angles[:, 1], np.degrees(0.5), rtol=1e-9)
    np.testing.assert_allclose(np.delete(angles, 1, axis=1), 0, atol=1e-4)


def test_random_poses_are_as_their_names_say(rng):
    like = rng.uniform(-0.4, 0.9, (300, vae_part.NUMBERS))
    samples = task.random_poses(like, rng)
    inside = samples["same_ranges"]
    assert (inside >= like.min(axis=0)).all()
    assert (inside <= like.max(axis=0)).all()
    # Uniform rotations turn by pi / 2 + 2 / pi in the mean.
    angles = np.linalg.norm(samples["any_rotation"].reshape(-1, 3), axis=1)
    assert angles.mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.03)


def test_the_stage_alone_then_the_command(tiny_records, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "out"
    words = ["hkmr_quick", f"--workdir={run}", f"--records={tiny_records}"]
    stages = ["--before.0.steps=8", "--steps=0", "--log-every=4"]
    assert fit.main([*words, *stages, *TINY]) == 0
    lines = run_log.read_metrics(run / run_log.METRICS_FILE)
    kinds = [line["kind"] for line in lines]
    assert kinds == ["pose_vae", "pose_vae", "evaluation"]
    assert lines[1]["reconstruction"] < lines[0]["reconstruction"]
    assert lines[1]["kl"] > 0
    words = [f"--weights={run}", f"--out={out}"]
    records = f"--records={tiny_records / 'synthetic_v1'}"
    assert pose_vae.main([*words, records]) == 0
    assert "12 poses" in capsys.readouterr().out
    result = json.loads((out / task.FILE).read_text())
    assert set(result["auc"]) == {"any_rotation", "same_ranges"}
    assert 0 < result["reconstruction_deg"] < 90
    for name in ("samples", "reconstructions", "roc"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 1
    report = json.loads((tiny_records / "synthetic_v1/report.json").read_text())
    smpl_report = json.dumps(report | {"topology": "smpl"})
    (tmp_path / "report.json").write_text(smpl_report)
    assert pose_vae.main([*words, f"--records={tmp_path}"]) == 1
    error = capsys.readouterr().err
    assert "'open-v1'" in error and "'smpl'" in error


def test_a_method_without_one_is_told(
    model_folder, tiny_records, tmp_path, capsys
):
    words = [f"--weights={model_folder}", f"--out={tmp_path}"]
    words.append(f"--records={tiny_records / 'synthetic_v1'}")
    assert pose_vae.main(words) == 1
    assert "prior='vae'" in capsys.readouterr().err
