"""People of a body with fingers: drawn and rendered as those of SMPL's joints.

Poses of the generator are of SMPL's joints: the fingers rest.
"""

import numpy as np
import pytest

from tests.support import larger_body
from tests.support.closeness import assert_close
from tests.support.reference_body import random_betas, random_rotmats
from tf_hmr import joints, rendering
from tf_hmr.body.model import Body
from training.data.synthetic import kinematics, people
from training.data.synthetic import rendering as render


@pytest.fixture(scope="module")
def larger(body_data):
    return larger_body.with_fingers(body_data, np.random.default_rng(5))


def test_skinner_equals_the_body(larger, rng):
    rotmats = random_rotmats(rng, 4, spread=0.8, num_joints=26)
    betas = random_betas(rng, 4, 12)
    actual = render.Skinner(larger)(rotmats, betas)
    expected = Body(larger, joints.KEYPOINTS, jit=False)(rotmats, betas)
    assert_close("body_metres", actual.vertices, expected.vertices)
    assert_close("body_metres", actual.joints, expected.joints)


def test_skinner_and_picture_show_a_bent_finger(larger):
    rotmats = np.tile(np.eye(3), (2, 26, 1, 1))
    rotmats[:, 0] = np.diag([1.0, -1.0, -1.0])
    rotmats[1, larger.joint_names.index("left_index1")] = [
        *([0, -1, 0], [1, 0, 0], [0, 0, 1])
    ]
    skinner = render.Skinner(larger)
    posed = skinner(rotmats, np.zeros((2, 12)))
    view = rendering.View(128, 128, 250.0, (63.5, 63.5))
    background = np.zeros((128, 128, 3), np.uint8)
    pictures = [
        render.draw(
            background,
            vertices + np.float32([0, 0, 4]),
            skinner.faces,
            view,
            np.ones_like(vertices),
            larger.parts("part14")[0],
        )
        for vertices in posed.vertices
    ]
    names = larger.parts("part14")[1]
    changed = pictures[0].parts != pictures[1].parts
    assert changed.any()
    changed_parts = np.concatenate(
        [picture.parts[changed] for picture in pictures]
    )
    arm = {names.index(name) + 1 for name in ("left_hand", "left_forearm")}
    assert set(changed_parts.tolist()) <= {0, *arm}


def test_rotations_of_another_tree_are_refused(larger):
    rest = larger.J_regressor @ larger.v_template
    with pytest.raises(ValueError, match=r"\(N, 24, 3, 3\).*24 joints"):
        kinematics.forward(np.zeros((1, 26, 3, 3)), rest)
    with pytest.raises(ValueError, match=r"\(N, 26, 3, 3\)"):
        kinematics.forward(np.zeros((1, 24, 3, 3)), rest, larger.parents)


def test_smpls_joints_rest_where_they_did(larger, body_data):
    rest_joints = kinematics.smpl24_rest(larger)
    expected = body_data.J_regressor @ body_data.v_template
    assert_close("same_sum_metres", rest_joints, expected)


def test_the_generators_people_rest_their_fingers(body_data):
    larger = larger_body.with_fingers(
        body_data, np.random.default_rng(5), more_betas=0
    )
    settings = people.Settings(size=96, occluded=0.0)
    for one, plain in zip(
        people.People(5, settings=settings, data=larger).examples(0, 3),
        people.People(5, settings=settings, data=body_data).examples(0, 3),
        strict=True,
    ):
        assert_close("exact", one.pose, plain.pose)
        assert_close("exact", one.betas, plain.betas)
        assert_close("recorded_px", one.keypoints, plain.keypoints)
        assert_close("recorded_metres", one.joints3d, plain.joints3d)
