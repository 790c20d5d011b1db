"""SMPLR's landmarks on the open body are found again by names and a rule."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.paths import ROOT
from tf_hmr import joints
from tf_hmr.body import surface_landmarks
from tf_hmr.body.model import Body

SLAB_M = 0.02
# Names of the open body's own points, of the left side.
NAMED = {
    "left_breast": ("landmarks18", "left_bust"),
    "belly": ("landmarks18", "belly_front"),
    "left_toe": ("vertex", "left_big_toe"),
    "left_fingertip": ("vertex", "left_middle"),
    "nose_tip": ("vertex", "nose"),
}


class Around(NamedTuple):
    """A place beside a bone.

    Attributes:
        bone: its two joints.
        share: of the way from the first to the second.
        direction: in which the vertex lies, seen from the bone.
        owners: joints whose skin counts.
    """

    bone: tuple[str, str]
    share: float
    direction: tuple[int, int, int]
    owners: tuple[str, ...]


THIGH, UPPER_ARM = ("left_hip", "left_knee"), ("left_shoulder", "left_elbow")
FRONT, BACK, OUTWARD = (0, 0, 1), (0, 0, -1), (1, 0, 0)
AROUND = {
    "left_hip_side": Around(THIGH, 0.0, OUTWARD, ("left_hip", "pelvis")),
    "left_thigh_front": Around(THIGH, 0.4, FRONT, ("left_hip",)),
    "left_thigh_back": Around(THIGH, 0.4, BACK, ("left_hip",)),
    "left_biceps": Around(UPPER_ARM, 0.5, FRONT, ("left_shoulder",)),
    "left_triceps": Around(UPPER_ARM, 0.5, BACK, ("left_shoulder",)),
}
# SMPLR's mean lengths, of its own body (meysam-madadi/SMPLR: Models/smplr.py),
# of the bones that are alike on any body.
LISTED_M = {"left_toe": 0.0672, "nose_tip": 0.1187, "left_thigh_back": 0.1877}


def outermost(data, around: Around) -> int:
    """The vertex whose offset from the bone points most along the direction.

    Among the skin of the owners within SLAB_M along the bone.
    """
    vertices = data.v_template.astype(np.float64)
    skeleton = data.J_regressor @ vertices
    first, second = skeleton[list(joints.select(around.bone, joints.SMPL24))]
    axis = (second - first) / np.linalg.norm(second - first)
    offsets = vertices - first - around.share * (second - first)
    along = offsets @ axis
    offsets = offsets - along[:, np.newaxis] * axis
    direction = np.array(around.direction, np.float64)
    direction -= (direction @ axis) * axis
    cosines = offsets @ direction / np.linalg.norm(direction)
    cosines = cosines / np.maximum(np.linalg.norm(offsets, axis=1), 1e-9)
    owners = joints.select(around.owners, joints.SMPL24)
    is_near = np.isin(data.weights.argmax(1), owners)
    is_near &= np.abs(along) < SLAB_M
    # A centimetre along the bone is worth a cosine of 0.005.
    return int(np.where(is_near, cosines - 0.5 * np.abs(along), -9).argmax())


def test_the_open_bodys_ids_follow_the_rule(body_data):
    path = ROOT / "tf_hmr" / "assets" / "open_body" / "open_body.npz"
    with np.load(path) as arrays:
        names = {
            "landmarks18": dict(
                zip(
                    arrays["landmarks18_names"],
                    arrays["landmarks18"],
                    strict=True,
                )
            ),
            "vertex": dict(
                zip(arrays["vertex_names"], arrays["vertex_ids"], strict=True)
            ),
        }
    expected = {
        landmark: int(names[kind][name])
        for landmark, (kind, name) in NAMED.items()
    }
    for landmark, around in AROUND.items():
        expected[landmark] = outermost(body_data, around)
    for landmark in list(expected):
        if landmark.startswith("left_"):
            mirrored = body_data.mirror_vertices[expected[landmark]]
            expected[joints.mirror_name(landmark)] = int(mirrored)
    assert surface_landmarks.IDS["open-v1"] == expected


@pytest.mark.parametrize("topology", surface_landmarks.IDS)
def test_each_landmark_has_a_vertex_of_its_own(topology):
    ids = surface_landmarks.IDS[topology]
    assert tuple(ids) == joints.LANDMARKS18
    assert len(set(ids.values())) == len(ids)
    assert 0 <= min(ids.values()) and max(ids.values()) < 6890


def test_landmarks_follow_the_posed_mesh(body_data, rng):
    """Beside keypoints, without the mesh, by both functions of a body."""
    names = joints.COCOPLUS19 + joints.LANDMARKS18
    posed = Body(body_data, names, jit=False)
    rotmats = np.linalg.qr(rng.normal(size=(2, 24, 3, 3)))[0]
    rotmats *= np.linalg.det(rotmats)[..., np.newaxis, np.newaxis]
    rotmats = tf.constant(rotmats, tf.float32)
    betas = tf.constant(rng.normal(size=(2, 10)), tf.float32)
    points, skeleton = posed.keypoints(rotmats, betas)
    mesh = posed(rotmats, betas)
    ids = list(surface_landmarks.IDS["open-v1"].values())
    expected = mesh.vertices.numpy()[:, ids]
    assert_close("same_sum_metres", points[:, 19:], expected)
    assert_close("same_sum_metres", skeleton, mesh.skeleton)


def test_the_template_is_the_bodys_own(body_data):
    rest = surface_landmarks.rest_points(body_data)
    template = surface_landmarks.bone_template(body_data)
    assert rest.shape == (41, 3) and template.dtype == np.float32
    lengths = dict(zip(joints.SMPLR41, template, strict=True))
    for name, length in LISTED_M.items():
        assert abs(lengths[name] - length) < 1e-3
    for name, length in lengths.items():
        assert abs(length - lengths[joints.mirror_name(name)]) < 1e-3
    nose = joints.SMPLR41.index("nose_tip")
    assert rest[nose, 1] > 0.5 and rest[nose, 2] > 0.05


def test_another_topology_has_no_landmarks(body_data):
    foreign = dataclasses.replace(body_data, topology="mine")
    with pytest.raises(ValueError, match="'mine' are not known.*open-v1"):
        foreign.regressor(["nose", "belly"])
    assert foreign.regressor(["nose"]).shape == (1, 6890)


def test_names_of_nothing_are_refused(body_data):
    with pytest.raises(ValueError, match="shin"):
        body_data.regressor(["belly", "shin"])
