"""Poses of which every pair differs."""

import numpy as np
import pytest

from training.data.readers import distinct_poses

LEAST = 0.15


@pytest.mark.parametrize("recent", [3, 1000])
def test_every_pair_differs_and_none_is_left_out_without_need(
    rng, recent, monkeypatch
):
    """By the tree, or one by one."""
    monkeypatch.setattr(distinct_poses, "_RECENT", recent)
    poses = distinct_poses.DistinctPoses(LEAST)
    skeletons = rng.normal(0, 0.03, (200, 24, 3))
    skeletons += rng.normal(0, 5, (200, 1, 3))  # Anywhere before the camera.
    root_relative = skeletons - skeletons[:, :1]

    def is_distinct(first, second):
        return np.linalg.norm(first - second, axis=1).max() >= LEAST

    admitted_rows = []
    for row, pose in enumerate(skeletons):
        admitted = poses.admit(pose)
        assert admitted == all(
            is_distinct(root_relative[row], root_relative[k])
            for k in admitted_rows
        )
        if admitted:
            admitted_rows.append(row)
    assert 10 < len(admitted_rows) == len(poses) < 190


def test_one_joint_is_enough(rng):
    poses = distinct_poses.DistinctPoses(LEAST)
    first = rng.normal(0, 0.5, (24, 3))
    assert poses.admit(first)
    shifted = first.copy()
    shifted[15, 1] += LEAST + 1e-6
    assert poses.admit(shifted)
    shifted[15, 1] -= 0.01
    assert not poses.admit(shifted)
