"""What is said of a flow of poses: nats, knees, and the command."""

import json

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tf_hmr import method
from tf_hmr.networks import pose_flow as flows
from training import config, pose_flow
from training.data.records import mocap
from training.tasks import initial_weights
from training.tasks import pose_flow as task

SMALL = {
    "image_size": 32,
    "encoder": "small",
    "encoder_width": 4,
    "map_side": 8,
    "map_channels": 4,
    "widths": (4,),
    "parts": 0.0,
}


@pytest.fixture(scope="module")
def flow():
    """An untrained flow, whose density is the Gaussian's."""
    keras.utils.set_random_seed(0)
    flow = flows.PoseFlow(4, couplings=2, hidden=8)
    flow.build_all()
    poses = np.random.default_rng(1).normal(0.1, 0.3, (500, 4, 3))
    flow.initialize_from_poses(poses)
    return flow


def test_nats_are_those_of_the_flow_and_of_a_gaussian(flow, rng):
    poses = rng.normal(0, 0.4, (300, flow.numbers))
    white = flow.whitening.numpy()
    covariance = np.linalg.inv(np.float64(white @ white.T))
    expected = -stats.multivariate_normal.logpdf(
        poses, flow.mean.numpy(), covariance
    )
    learnt, gaussian = task.nats_per_number(flow, poses)
    assert gaussian == pytest.approx(expected.mean() / flow.numbers, rel=1e-4)
    assert learnt == pytest.approx(gaussian, rel=1e-5)
    kernel = flow.couplings[0].layers[-1].kernel
    kernel.assign(kernel + 0.3)
    changed, same = task.nats_per_number(flow, poses)
    kernel.assign(kernel - 0.3)
    assert same == pytest.approx(gaussian) and abs(changed - learnt) > 0.01


def test_samples_of_the_gaussian_have_its_mean_and_covariance(flow, rng):
    samples = task.gaussian_samples(flow, rng.normal(size=(50_000, 9)))
    white = np.float64(flow.whitening.numpy())
    expected = np.linalg.inv(white @ white.T)
    np.testing.assert_allclose(np.cov(samples.T), expected, atol=3e-3)
    np.testing.assert_allclose(samples.mean(0), flow.mean.numpy(), atol=0.01)


def test_backward_knees_are_those_that_stretch_too_far(body_data):
    poses = np.zeros((4, 3 * (body_data.num_joints - 1)))
    for row, (name, degrees) in enumerate(
        [("left_knee", -4), ("right_knee", -2.9), ("left_elbow", -40)]
    ):
        joint = body_data.joint_names.index(name) - 1
        poses[row, 3 * joint] = np.radians(degrees)
    assert task.backward_knees(poses, body_data) == 0.25


def test_a_run_starts_whitened_then_the_command(
    body, tiny_records, tmp_path, capsys, caplog
):
    folder = str(tiny_records / "synthetic")
    model = method.create("hund", body, **SMALL)
    initial_weights.start(
        model, config.Data((config.Source(folder),), prior=folder), "none"
    )
    # Of the 32 people of the records.
    assert "32 unpaired poses" in caplog.text
    poses = mocap.read(folder).pose[:, 3:]
    latents, _ = model.pose_prior.latent(tf.constant(poses))
    assert np.abs(latents.numpy().mean(axis=0)).max() < 1e-3
    method.save(model, tmp_path / "run")
    words = [f"--weights={tmp_path / 'run'}", f"--out={tmp_path / 'out'}"]
    records = tiny_records / "synthetic_v1"
    assert (
        pose_flow.main([*words, f"--records={records}", "--samples=400"]) == 0
    )
    assert "12 unseen poses" in capsys.readouterr().out
    result = json.loads((tmp_path / "out" / task.FILE).read_text())
    nats = result["nats_per_number"]
    assert nats["flow"] == pytest.approx(nats["gaussian"], rel=1e-4)
    knees = result["backward_knees"]
    assert knees["people"] == 0 and knees["gaussian"] > 0.05
    assert result["latent_and_back_rad"] < 1e-4
    for name in ("samples", "gaussian"):
        assert cv2.imread(str(tmp_path / f"out/{name}.png")).std() > 1
    report = json.loads((records / "report.json").read_text())
    smpl_report = json.dumps(report | {"topology": "smpl"})
    (tmp_path / "report.json").write_text(smpl_report)
    assert pose_flow.main([*words, f"--records={tmp_path}"]) == 1
    error = capsys.readouterr().err
    assert "'open-v1'" in error and "'smpl'" in error


def test_a_method_without_one_is_refused(
    model_folder, tiny_records, tmp_path, capsys
):
    words = [f"--weights={model_folder}", f"--out={tmp_path}"]
    records = tiny_records / "synthetic_v1"
    assert pose_flow.main([*words, f"--records={records}"]) == 1
    assert "prior='flow'" in capsys.readouterr().err
