"""Contact sheets: what is drawn of labels, and where."""

import dataclasses

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tests.support import record_samples
from tests.support.datasets import people
from tf_hmr import joints
from training.data.readers import label_sheet

SIZE = 128
HALF = Rotation.from_rotvec([np.pi, 0, 0])


def panels_of(example):
    """The two panels."""
    panels = label_sheet.draw_labels(example, SIZE)
    return panels[:, :SIZE], panels[:, -SIZE:]


def test_who_has_a_place_is_drawn_and_nobody_in_the_corner():
    example = record_samples.example(3, parts=None, joints3d=None, pose=None)
    points = np.zeros_like(example.keypoints)
    hidden = joints.KEYPOINTS.index("left_wrist")
    points[hidden, :2] = 40, 90
    left, right = panels_of(dataclasses.replace(example, keypoints=points))
    none, _ = panels_of(dataclasses.replace(example, keypoints=None))
    rows, columns = np.nonzero((left != none).any(axis=2))
    scale = SIZE / record_samples.WIDTH
    top = (record_samples.WIDTH - record_samples.HEIGHT) / 2
    assert abs(columns.mean() - 40 * scale) < 1
    assert abs(rows.mean() - (90 + top) * scale) < 1
    assert len(rows) < 20
    assert (right == none).mean() > 0.9  # the picture without its box


def test_a_pose_is_shown_as_its_joints_are():
    """From the side; half a turn too much is seen."""
    for number in range(3):  # of mean shape and without a face: nearly
        (person,) = people.scene(number).people
        points = np.ones((len(joints.KEYPOINTS), 4))
        points[:, :3] = person.points3d(joints.KEYPOINTS)
        fields = {"parts": None, "pose": person.pose}
        example = record_samples.example(1, joints3d=points, **fields)
        overlaps = []
        for turn in (Rotation.identity(), HALF):
            pose = np.array(person.pose)
            pose[0] = (turn * Rotation.from_rotvec(pose[0])).as_rotvec()
            posed = dataclasses.replace(example, joints3d=None, pose=pose)
            overlaps.append(overlap(panels_of(posed)[1], panels_of(example)[1]))
        assert overlaps[0] > 0.85 > 0.6 > overlaps[1]


def overlap(panel, other_panel):
    """The share of a panel's coloured lines that are near the other's."""
    shares = []
    for warm in (True, False):
        lines, other_lines = (
            (p.max(axis=2) - p.min(axis=2) > 60)
            & ((p[..., 0] > p[..., 2]) == warm)
            for p in (panel, other_panel)
        )
        distances_px = cv2.distanceTransform(
            1 - other_lines.astype(np.uint8), cv2.DIST_L2, 3
        )
        shares.append((distances_px[lines] < SIZE / 10).mean())
    return min(shares)
