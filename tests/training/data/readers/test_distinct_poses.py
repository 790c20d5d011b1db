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
    drawn = rng.normal(0, 0.03, (200, 24, 3))
    drawn += rng.normal(0, 5, (200, 1, 3))  # Anywhere before the camera.
    about = drawn - drawn[:, :1]

    def far(one, other):
        return np.linalg.norm(one - other, axis=1).max() >= LEAST

    kept = []
    for row, pose in enumerate(drawn):
        admitted = poses.admit(pose)
        assert admitted == all(far(about[row], about[k]) for k in kept)
        if admitted:
            kept.append(row)
    assert 10 < len(kept) == len(poses) < 190


def test_one_joint_is_enough(rng):
    poses = distinct_poses.DistinctPoses(LEAST)
    first = rng.normal(0, 0.5, (24, 3))
    assert poses.admit(first)
    moved = first.copy()
    moved[15, 1] += LEAST + 1e-6
    assert poses.admit(moved)
    moved[15, 1] -= 0.01
    assert not poses.admit(moved)
