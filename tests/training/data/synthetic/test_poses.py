import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.closeness import assert_close
from tests.support.reference_body import pose_body, random_rotmats
from tf_hmr import joints
from training.data.synthetic import kinematics, poses

INDEX = {name: index for index, name in enumerate(joints.SMPL24)}
STILL = np.tile(np.eye(3), (1, 24, 1, 1))
DOWN, FORWARD, UP = (
    np.array([0, -1, 0]),
    np.array([0, 0, 1]),
    np.array([0, 1, 0]),
)


@pytest.fixture(scope="module")
def sampler(body_data):
    return poses.PoseSampler(body_data)


@pytest.fixture(scope="module")
def rest(body_data):
    return body_data.J_regressor @ body_data.v_template


def to_matrices(rotvecs):
    flat = Rotation.from_rotvec(rotvecs.reshape(-1, 3)).as_matrix()
    return flat.reshape(-1, 24, 3, 3)


def posed(rest, **degrees):
    """Joint places by name after bending; angles as poses.py has them."""
    angles = np.zeros((1, 24, 3))
    for name, angle in degrees.items():
        angles[0, INDEX[name]] = angle
    matrices = kinematics.swing_twist_rotations(angles).as_matrix()
    joints3d = kinematics.forward(matrices.reshape(1, 24, 3, 3), rest)[1][0]
    return dict(zip(joints.SMPL24, joints3d, strict=True))


def direction(joints3d, start, end):
    bone = joints3d[end] - joints3d[start]
    return bone / np.linalg.norm(bone)


def test_forward_kinematics_equals_the_reference(body_data, rest, rng):
    rotmats = random_rotmats(rng, 3, spread=1.0).astype(np.float64)
    _, joints3d = kinematics.forward(rotmats, rest)
    for one, matrices in zip(joints3d, rotmats, strict=True):
        expected = pose_body(body_data, matrices, np.zeros(10)).skeleton
        assert_close("same_sum_metres", one, expected)


def test_each_body_may_have_its_own_rest(rest, rng):
    rotmats = random_rotmats(rng, 2).astype(np.float64)
    rests = np.stack([rest, 1.1 * rest])
    together = kinematics.forward(rotmats, rests)[1]
    for i in range(2):
        joints_of_one = kinematics.forward(rotmats[i : i + 1], rests[i])[1][0]
        assert_close("exact", together[i], joints_of_one)


@pytest.mark.parametrize(
    ("joint", "angle", "start", "end", "towards"),
    [
        ("left_knee", (90, 0, 0), "left_knee", "left_ankle", -FORWARD),
        ("right_knee", (90, 0, 0), "right_knee", "right_ankle", -FORWARD),
        ("left_hip", (-90, 0, 0), "left_hip", "left_knee", FORWARD),
        ("left_shoulder", (0, 0, -90), "left_shoulder", "left_elbow", DOWN),
        ("right_shoulder", (0, 0, 90), "right_shoulder", "right_elbow", DOWN),
        ("left_shoulder", (0, 0, 80), "left_shoulder", "left_elbow", UP),
        ("left_elbow", (0, -90, 0), "left_elbow", "left_wrist", FORWARD),
        ("right_elbow", (0, 90, 0), "right_elbow", "right_wrist", FORWARD),
        ("spine1", (90, 0, 0), "spine1", "spine2", FORWARD),
    ],
)
def test_angles_bend_the_way_their_table_says(
    rest, joint, angle, start, end, towards
):
    bone = direction(posed(rest, **{joint: angle}), start, end)
    assert bone @ towards > 0.9


def test_twist_comes_before_swing(rest):
    # Twisting the upper arm turns the bent forearm, not the upper arm.
    plain = posed(rest, left_shoulder=(0, 0, -90), left_elbow=(0, -90, 0))
    twisted = posed(rest, left_shoulder=(90, 0, -90), left_elbow=(0, -90, 0))
    still = direction(plain, "left_shoulder", "left_elbow")
    assert still @ direction(twisted, "left_shoulder", "left_elbow") > 0.999
    before = direction(plain, "left_elbow", "left_wrist")
    after = direction(twisted, "left_elbow", "left_wrist")
    assert abs(before @ after) < 0.1


def test_angles_stay_inside_the_limits_of_both_sides(rng):
    angles = poses.draw_angles(rng, 3000)
    low, high = kinematics.angle_limits()
    assert (angles >= low).all()
    assert (angles <= high).all()
    left, right = INDEX["left_shoulder"], INDEX["right_shoulder"]
    assert low[right].tolist() == [low[left, 0], *(-high[left, 1:]).tolist()]
    # The sides are alike: mirrored, their means agree.
    for name in ("hip", "knee", "shoulder", "elbow", "wrist"):
        of_left = angles[:, INDEX[f"left_{name}"]].mean(axis=0)
        of_right = angles[:, INDEX[f"right_{name}"]].mean(axis=0) * [1, -1, -1]
        assert np.abs(of_left - of_right).max() < 5, name


def test_every_joint_moves(rng):
    angles = poses.draw_angles(rng, 500)
    for name, index in INDEX.items():
        if name != "pelvis":
            assert angles[:, index].std(axis=0).max() > 2, name
    assert (angles[:, INDEX["pelvis"]] == 0).all()


def test_shares_of_behaviours_add_up():
    shares = [behaviour.share for behaviour in poses.BEHAVIOURS.values()]
    assert_close("float64", sum(shares), 1.0)


def test_walkers_swing_the_arm_against_the_leg(monkeypatch, rng):
    everyone_walks = {
        name: behaviour._replace(share=float(name == "walk"))
        for name, behaviour in poses.BEHAVIOURS.items()
    }
    monkeypatch.setattr(poses, "BEHAVIOURS", everyone_walks)
    angles = poses.draw_angles(rng, 2000)
    hips = angles[:, [INDEX["left_hip"], INDEX["right_hip"]], 0]
    assert np.corrcoef(hips.T)[0, 1] < -0.7
    leg = angles[:, INDEX["left_hip"], 0]  # Negative: the leg is forward.
    arm = angles[:, INDEX["left_shoulder"], 1]  # Negative: the arm is.
    assert np.corrcoef(leg, arm)[0, 1] < -0.4


def test_samples_do_not_pass_through_themselves(body_data, sampler, rng):
    rotvecs, accepted = sampler.sample(rng, 300)
    assert rotvecs.shape == (300, 24, 3)
    assert (rotvecs[:, 0] == 0).all()
    depth = kinematics.SelfPenetration(body_data).depth(to_matrices(rotvecs))
    assert depth.max() < 0.02
    # Without the test nearly half would: it does reject.
    assert 0.5 < accepted < 0.75


def test_same_seed_same_poses(sampler):
    samples = [
        sampler.sample(np.random.default_rng(s), 40)[0] for s in (1, 1, 2)
    ]
    assert (samples[0] == samples[1]).all()
    assert not (samples[0] == samples[2]).all()


def test_resting_body_is_clear_of_itself(body_data):
    depth = kinematics.SelfPenetration(body_data).depth(STILL)
    assert -0.1 < depth[0] < 0


@pytest.mark.parametrize(
    "angles",
    [
        # An arm into the belly, a thigh into a thigh, a hand into the head.
        {"left_shoulder": (60, 10, -85), "left_elbow": (0, -90, 0)},
        {"left_hip": (0, 0, -30)},
        {"right_shoulder": (0, 80, 60), "right_elbow": (0, 140, 0)},
    ],
)
def test_limbs_inside_the_body_are_found(body_data, angles):
    degrees = np.zeros((1, 24, 3))
    for name, angle in angles.items():
        degrees[0, INDEX[name]] = angle
    matrices = kinematics.swing_twist_rotations(degrees).as_matrix()
    depth = kinematics.SelfPenetration(body_data).depth(
        matrices.reshape(1, 24, 3, 3)
    )
    assert depth[0] > 0.02


def test_segment_distance_equals_the_smallest_over_many_points(rng):
    ends = rng.normal(size=(4, 100, 3))
    ends[1, :20] = ends[0, :20] + ends[3, :20] - ends[2, :20]  # Parallel.
    distance = kinematics.segment_distance(*ends)
    steps = np.linspace(0, 1, 201)[:, None, None]
    first = ends[0] + steps * (ends[1] - ends[0])
    second = ends[2] + steps * (ends[3] - ends[2])
    sampled = np.array(
        [
            np.linalg.norm(
                first[:, None, i] - second[None, :, i], axis=-1
            ).min()
            for i in range(ends.shape[1])
        ]
    )
    assert_close("sampled_distance", distance, sampled)


def test_balance_brings_the_trunk_over_the_foot(rest):
    # Both legs backwards: the body would fall on its face.
    angles = np.zeros((1, 24, 3))
    for side in ("left", "right"):
        angles[0, INDEX[f"{side}_hip"], 0] = 25
    leaning = kinematics.swing_twist_rotations(angles).as_matrix()
    leaning = leaning.reshape(1, 24, 3, 3)
    turn = kinematics.balance(leaning, rest).as_matrix()
    balanced = leaning.copy()
    balanced[:, 0] = turn @ leaning[:, 0]

    def tilt(matrices):
        joints3d = kinematics.forward(matrices, rest)[1][0]
        feet = joints3d[[INDEX["left_ankle"], INDEX["right_ankle"]]].mean(
            axis=0
        )
        trunk = joints3d[[INDEX["pelvis"], INDEX["spine3"]]].mean(axis=0) - feet
        return np.degrees(np.arccos(trunk[1] / np.linalg.norm(trunk)))

    assert tilt(leaning) > 10
    assert tilt(balanced) < 1


def test_who_sits_is_not_turned(rest):
    angles = np.zeros((1, 24, 3))
    for side in ("left", "right"):
        angles[0, INDEX[f"{side}_hip"], 0] = -85
        angles[0, INDEX[f"{side}_knee"], 0] = 80
    sitting = kinematics.swing_twist_rotations(angles).as_matrix()
    turn = kinematics.balance(sitting.reshape(1, 24, 3, 3), rest)
    assert_close("exact", turn.magnitude(), [0.0])


def test_most_people_stand_and_face_the_camera(sampler, rng):
    rotvecs, _ = sampler.sample(rng, 1500)
    matrices = sampler.orient(rng, rotvecs).as_matrix()
    upright = matrices[:, 1, 1]
    assert 0.02 < np.mean(upright < 0.3) < 0.08, "one in twenty lies"
    assert np.median(upright) > 0.95
    facing = matrices[:, 2, 2]
    assert 0.55 < np.mean(facing > 0) < 0.8
    assert facing.min() < -0.9
