"""BVH's angles: the rotations that were written, without jumps."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tf_hmr.formats import bvh


def written_angles(path, rotations: Rotation) -> np.ndarray:
    """Writes a skeleton of one joint; returns its (T, 3) z, y, x in degrees."""
    count = len(rotations)
    skeleton = bvh.Skeleton(
        np.array([[0.0, 0, 0], [0.0, 1, 0]]), ("root", "tip"), (-1, 0)
    )
    rotmats = np.tile(np.eye(3), (count, 2, 1, 1))
    rotmats[:, 0] = rotations.as_matrix()
    bvh.write(path, skeleton, rotmats, np.zeros((count, 3)), 0.04)
    lines = path.read_text().splitlines()[-count:]
    return np.array([line.split()[3:6] for line in lines], float)


def away_degrees(first: Rotation, second: Rotation) -> np.ndarray:
    return np.rad2deg((first.inv() * second).magnitude())


@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0, 0), (0.2, 1, 0.1)])
def test_whole_turns_have_no_jumps(tmp_path, axis):
    axis = np.array(axis) / np.linalg.norm(axis)
    steps = np.deg2rad(np.arange(0, 800, 7.3))
    turns = Rotation.from_rotvec(steps[:, None] * axis)
    turns = turns * Rotation.from_rotvec([3.06, 0.09, 0.004])
    angles = written_angles(tmp_path / "a.bvh", turns)
    played = Rotation.from_euler("ZYX", angles, degrees=True)
    assert away_degrees(played, turns).max() < 1e-4
    # A player of twice the frame rate interpolates the angles.
    between = (angles[1:] + angles[:-1]) / 2
    halfway = Rotation.from_euler("ZYX", between, degrees=True)
    assert away_degrees(halfway, turns[1:]).max() < 7.3
    assert np.abs(np.diff(angles, axis=0)).max() < 150


@pytest.mark.parametrize("side", [90.0, -90.0])
def test_at_the_pole_x_stays(tmp_path, side):
    angles = [(50.0, 0.9 * side, 120.0), (52.0, side, 121.0)]
    turns = Rotation.from_euler("ZYX", angles, degrees=True)
    written = written_angles(tmp_path / "a.bvh", turns)
    played = Rotation.from_euler("ZYX", written, degrees=True)
    assert away_degrees(played, turns).max() < 1e-3
    assert np.abs(np.diff(written, axis=0)).max() < 12


def test_angles_without_a_jump_stay_as_they_are(tmp_path):
    angles = np.linspace((-40, -30, -20), (60, 50, 70), 9)
    turns = Rotation.from_euler("ZYX", angles, degrees=True)
    written = written_angles(tmp_path / "a.bvh", turns)
    np.testing.assert_allclose(written, angles, atol=1e-6)
