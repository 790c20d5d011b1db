import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.body import capsules as body_capsules
from tf_hmr.geometry import camera, rotations
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import priors, schedules, self_penetration
from training.data.synthetic import kinematics

FOCAL_PX, CENTRE = 5000.0, (112.0, 112.0)


@pytest.fixture(scope="module")
def energy(body) -> self_penetration.SelfPenetration:
    return self_penetration.SelfPenetration(body)


def bent(**degrees) -> np.ndarray:
    """(1, 24, 3, 3) a resting body with some joints turned."""
    angles = np.zeros((1, 24, 3))
    for name, angle in degrees.items():
        angles[0, joints.SMPL24.index(name)] = angle
    matrices = kinematics.swing_twist_rotations(angles).as_matrix()
    return matrices.reshape(1, 24, 3, 3).astype(np.float32)


def arm_to_belly(share: float) -> np.ndarray:
    """The left hand on its way into the belly: 0 at rest, 1 inside."""
    return bent(
        left_shoulder=share * np.array([60, 10, -85]),
        left_elbow=share * np.array([0, -90, 0]),
    )


NOTHING = np.zeros((1, 10), np.float32)


def test_a_body_with_its_limbs_apart_costs_nothing(energy):
    assert energy(bent(), NOTHING).numpy()[0] < 1e-9


@pytest.mark.parametrize(
    "pose",
    [
        arm_to_belly(1),
        bent(left_hip=(0, 0, -30)),
        bent(right_shoulder=(0, 80, 60), right_elbow=(0, 140, 0)),
    ],
    ids=["arm in belly", "thigh in thigh", "hand in head"],
)
def test_limbs_in_the_body_cost(energy, pose):
    assert energy(pose, NOTHING).numpy()[0] > 0.1


def test_the_cost_rises_as_the_forearm_enters(energy):
    shares = np.linspace(0.7, 1, 7)
    poses = np.concatenate([arm_to_belly(share) for share in shares])
    depth = kinematics.SelfPenetration(energy._body.data).depth(poses)
    # Outside at first, inside at the end, or the test says nothing.
    assert depth[0] < 0 < depth[-1]
    energies = energy(poses, np.zeros((len(poses), 10)))
    assert (np.diff(energies) > 0).all()
    assert energies[-1] > 100 * energies[0]


def test_the_energy_is_the_sum_of_its_definition(energy, rng):
    pose, betas = arm_to_belly(0.9), np.float32(rng.normal(0, 1, (1, 10)))
    centres, radii = (
        capsule[0].numpy() for capsule in energy.spheres(pose, betas)
    )
    capsules = body_capsules.measure(energy._body.data)
    parts = []
    for capsule in capsules:
        length = np.linalg.norm(capsule.end - capsule.start)
        parts += [capsule.name] * (1 + int(np.ceil(length / capsule.radius)))
    expected = 0.0
    for i, j in itertools.combinations(range(len(parts)), 2):
        same = parts[i] == parts[j]
        if not same and not body_capsules.may_touch(parts[i], parts[j]):
            square = np.sum((centres[i] - centres[j]) ** 2)
            width = (radii[i] / 3) ** 2 + (radii[j] / 3) ** 2
            expected += np.exp(-square / width)
    np.testing.assert_allclose(energy(pose, betas)[0], expected, rtol=1e-3)


def test_spheres_stay_in_the_bones_of_any_shape_and_pose(body, energy, rng):
    rotvecs = rng.normal(0, 0.4, (2, 24, 3)).astype(np.float32)
    pose = rotations.rotvec_to_rotmat(rotvecs)
    betas = np.float32(rng.normal(0, 2, (2, 10)))
    centres, radii = energy.spheres(pose, betas)
    skeleton = body.keypoints(pose, betas)[1].numpy()
    at = {name: skeleton[:, i] for i, name in enumerate(joints.SMPL24)}
    start = 0
    for capsule in body_capsules.measure(body.data):
        length = np.linalg.norm(capsule.end - capsule.start)
        count = 1 + int(np.ceil(length / capsule.radius))
        mine = slice(start, start + count)
        start += count
        if capsule.name in ("left_shank", "right_forearm"):
            next_joint = {"knee": "ankle", "elbow": "wrist"}
            side, joint = capsule.joint.split("_")
            ends = at[capsule.joint], at[f"{side}_{next_joint[joint]}"]
            expected = np.linspace(*ends, count, axis=1)
            assert_close("loss", centres[:, mine], expected)
            shaped = body.data.v_template + body.data.shapedirs @ betas[0]
            (limb,) = (
                one
                for one in body_capsules.measure(body.data, shaped)
                if one.name == capsule.name
            )
            # Medians of the skin, nearly linear in the betas.
            thick = radii.numpy()[0, mine]
            assert np.ptp(thick) == 0
            assert thick[0] == pytest.approx(limb.radius, rel=0.06)
    assert start == centres.shape[1]


def test_gradient_is_that_of_finite_differences(energy):
    rotvecs = rotations.rotmat_to_rotvec(arm_to_belly(1))
    rotvecs, betas = tf.constant(rotvecs), tf.constant(NOTHING)

    def at(rotvecs):
        return energy(rotations.rotvec_to_rotmat(rotvecs), betas)

    with tf.GradientTape() as tape:
        tape.watch((rotvecs, betas))
        energies = at(rotvecs)
    pose_gradient, betas_gradient = tape.gradient(energies, (rotvecs, betas))
    assert betas_gradient is None
    step = 2e-3
    scale = np.abs(pose_gradient).max()
    assert scale > 1
    for name, axis in itertools.product(
        ("pelvis", "left_shoulder", "left_elbow", "right_knee"), range(3)
    ):
        side = np.zeros((1, 24, 3), np.float32)
        side[0, joints.SMPL24.index(name), axis] = step
        slope = (at(rotvecs + side) - at(rotvecs - side)).numpy() / (2 * step)
        off = slope - pose_gradient[0, joints.SMPL24.index(name), axis]
        assert abs(off[0]) < 0.02 * scale, (name, axis)


def test_schedules_without_it_do_not_pay_for_it(body_data, monkeypatch):
    built = []
    monkeypatch.setattr(
        smplify.self_penetration, "SelfPenetration", built.append
    )
    for schedule in (schedules.SPIN, schedules.KEYPOINTS):
        smplify.Fitter(body_data, priors.load(), schedule)
    assert not built
    smplify.Fitter(body_data, priors.load(), schedules.ORIGINAL)
    assert len(built) == 1


def test_a_body_without_skin_of_a_limb_is_a_named_error(body_data):
    weights = body_data.weights.copy()
    shin = joints.SMPL24.index("left_knee")
    weights[:, 0] += weights[:, shin]
    weights[:, shin] = 0
    with pytest.raises(ValueError, match="follows its left_knee"):
        body_capsules.measure(dataclasses.replace(body_data, weights=weights))


def test_a_fit_with_it_penetrates_less(body_data):
    """To keypoints of an arm inside the trunk, seen from the front."""
    stage = schedules.Stage(steps=40, pose_prior=0.5, self_penetration=1e3)
    schedule = dataclasses.replace(
        schedules.SPIN, stages=(stage,), camera_steps=0
    )
    fitter = smplify.Fitter(body_data, priors.load(), schedule, jit=False)
    # The first of two bodies goes without: one function is traced, not two.
    weights = fitter._table["self_penetration"]
    fitter._table["self_penetration"] = weights[:, None] * np.float32([0, 1])
    pose = rotations.rotmat_to_rotvec(arm_to_belly(1)).numpy()
    pose[0, 0] = np.pi, 0, 0
    start = smplify.Parameters(
        np.tile(pose.reshape(1, 72), [2, 1]),
        np.tile(NOTHING, [2, 1]),
        np.float32([[0, 0, 45]] * 2),
    )
    fit = fitter(start, exact_keypoints(fitter, start), FOCAL_PX, CENTRE)
    rotmats = rotations.rotvec_to_rotmat(tf.reshape(fit.pose, [2, 24, 3]))
    depth_without, depth_with = kinematics.SelfPenetration(body_data).depth(
        rotmats.numpy()
    )
    assert depth_without > 0.05
    assert depth_with < 0.02
    assert np.sqrt(fit.score[1]) < 3


def exact_keypoints(
    fitter: smplify.Fitter, at: smplify.Parameters
) -> np.ndarray:
    """Exact keypoints (B, 29, 3)."""
    rotmats = rotations.rotvec_to_rotmat(at.pose.reshape(-1, 24, 3))
    points = fitter._body.keypoints(rotmats, at.betas)[0]
    pixels = camera.project_perspective(
        points + at.translation[:, None], FOCAL_PX, CENTRE
    )
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=2)
