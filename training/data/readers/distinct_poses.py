"""Poses that all differ: SMPLR's subset of a large dataset.

"Every pair of samples has at least one joint displaced 150 mm" (Madadi et al.
2020, section 4.4; 89,000 frames of SURREAL's training videos). In the order of
the frames a pose is kept that is far enough from every one kept before.
"""

import numpy as np
from scipy.spatial import cKDTree

from tf_hmr import joints

# Joints that move most: few kept poses have both near those of another.
_WRISTS = list(joints.select(("left_wrist", "right_wrist"), of=joints.SMPL24))
_PELVIS = joints.SMPL24.index("pelvis")
_RECENT = 2000  # Kept poses that are compared one by one, before a new tree.


class DistinctPoses:
    """Keeps poses, and tells whether another one differs from all of them."""

    def __init__(self, least_m: float):
        """Sets the distance that one joint of each pair has, metres."""
        self._least = least_m
        self._kept: list[np.ndarray] = []
        self._tree, self._in_tree = None, np.zeros((0, 24, 3))
        self._recent = np.zeros((_RECENT, 24, 3))

    def __len__(self) -> int:
        return len(self._kept)

    def admit(self, joints3d: np.ndarray) -> bool:
        """Keeps a pose if it differs.

        Args:
            joints3d: (24, 3) joints.SMPL24 in the camera's frame, metres.

        Returns:
            Whether it was kept: its joints, about the pelvis, are `least_m`
            away from those of every kept pose, in one joint at least.
        """
        pose = joints3d - joints3d[_PELVIS]
        if self._is_near(pose, self._candidates(pose)):
            return False
        self._recent[len(self._kept) - len(self._in_tree)] = pose
        self._kept.append(pose)
        return True

    def _candidates(self, pose: np.ndarray) -> np.ndarray:
        """(N, 24, 3) kept poses that may be near."""
        if len(self._kept) - len(self._in_tree) >= _RECENT:
            self._in_tree = np.stack(self._kept)
            wrists = self._in_tree[:, _WRISTS].reshape(len(self._kept), -1)
            self._tree = cKDTree(wrists)
        recent = self._recent[: len(self._kept) - len(self._in_tree)]
        near = self._in_tree[:0]
        if self._tree is not None:
            # Joints as near as that have coordinates as near.
            rows = self._tree.query_ball_point(
                pose[_WRISTS].ravel(), self._least, p=np.inf
            )
            near = self._in_tree[rows]
        return np.concatenate([near, recent])

    def _is_near(self, pose: np.ndarray, others: np.ndarray) -> bool:
        distances = np.linalg.norm(others - pose, axis=2)
        return bool((distances.max(axis=1) < self._least).any())
