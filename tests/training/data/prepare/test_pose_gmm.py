import cv2
import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr.smplify import priors
from training.data.prepare import pose_gmm
from training.data.readers import pose_sheet
from training.data.records import mocap


@pytest.fixture
def folder(tmp_path, rng):
    """Two thirds of the poses about 0.4 rad, the others about -0.4."""
    count = 900
    middle = np.where(np.arange(count) % 3 == 0, -0.4, 0.4)[:, None]
    pose = middle + rng.normal(0, 0.05, (count, 72))
    betas = np.zeros((count, 10))
    mocap.write(tmp_path, mocap.Prior(pose, betas, "open-v1"))
    return tmp_path


def test_gaussians_are_found_written_and_shown(folder, capsys):
    out = folder / "gmm" / "two.npz"
    pose_gmm.run(pose_gmm.Options(folder, out, components=2))
    mixture = priors.load(out)
    assert mixture.topology == "open-v1"
    first, second = np.argsort(mixture.means[:, 0])
    assert np.abs(mixture.means[first] + 0.4).max() < 0.02
    assert np.abs(mixture.means[second] - 0.4).max() < 0.02
    assert mixture.weights[second] == pytest.approx(2 / 3, abs=0.03)
    deviations = np.sqrt(mixture.covars.diagonal(axis1=1, axis2=2))
    # The floor is added to variances.
    expected_deviation = np.sqrt(0.05**2 + 1e-3)
    assert deviations.mean() == pytest.approx(expected_deviation, rel=0.05)
    assert_close("exact", mixture.mean_pose().shape, (priors.NUM_POSE,))
    sheet = cv2.imread(str(out.with_suffix(".png")))
    assert sheet.shape[1] > 5 * 2 * pose_sheet.PANEL_PX
    assert "pose-gmm --poses" in capsys.readouterr().out


def test_too_few_poses_are_refused(folder):
    with pytest.raises(ValueError, match="too few for 8 Gaussians"):
        pose_gmm.run(pose_gmm.Options(folder, folder / "gmm.npz"))


def test_poses_of_another_body_are_refused(folder):
    prior = mocap.read(folder)
    mocap.write(folder, prior._replace(topology="smpl"))
    with pytest.raises(ValueError, match="topology 'smpl'"):
        pose_gmm.run(pose_gmm.Options(folder, folder / "gmm.npz"))
