"""Human3.6M's 17 joints of a body: by name, whoever stores them."""

import dataclasses

import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.body import keypoint_regressors

# nkolot/GraphCMR's file: the left leg first, then the arms left first.
STORED = (
    *("pelvis", "left_hip", "left_knee", "left_ankle"),
    *("right_hip", "right_knee", "right_ankle", "spine", "thorax"),
    *("neck_nose", "head_top", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist"),
)


def test_rows_of_the_file_beside_smpl_are_taken_by_name(tmp_path):
    rows = np.random.default_rng(1).random((17, 6890)).astype(np.float32)
    np.save(tmp_path / "J_regressor_h36m.npy", rows)
    raw = {"v_template": np.zeros((6890, 3))}
    regressor = keypoint_regressors.h36m(
        raw, tmp_path / "SMPL.pkl", use_spin_file=True
    )
    for name, row in zip(joints.H36M17, regressor, strict=True):
        assert_close("exact", row, rows[STORED.index(name)])
    no = keypoint_regressors.h36m(
        raw, tmp_path / "SMPL.pkl", use_spin_file=False
    )
    assert no is None


def test_left_joints_of_the_open_body_are_on_its_left(body_data):
    """At rest it faces +z, its left side at +x, y up."""
    rest = body_data.h36m_rows() @ body_data.v_template
    positions = dict(zip(joints.H36M17, rest, strict=True))
    for name, position in positions.items():
        if name.startswith("left_"):
            assert position[0] > 0 > positions[joints.mirror_name(name)][0], (
                name
            )
    above = ["left_ankle", "left_knee", "pelvis", "spine", "thorax", "head_top"]
    heights = [positions[name][1] for name in above]
    assert heights == sorted(heights)


def test_a_body_without_them_names_the_file(body_data):
    body_without_rows = dataclasses.replace(body_data, h36m_regressor=None)
    with pytest.raises(FileNotFoundError, match=r"J_regressor_h36m\.npy.*SPIN"):
        body_without_rows.h36m_rows()
