"""Each protocol on records and predictions whose errors are known."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import planted
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.body import surface_landmarks
from training.evaluation import evaluator, protocols, selection
from training.evaluation import results as scores
from training.evaluation.metrics import surface
from training.evaluation.protocol import Predictions

# Protocol -> ids that are its, and others in the same split that are not.
H36M = ("S9_Eating_1.54138969_000001", "S11_Eating.55011271_000006")
FRONTAL = ("S9_SittingDown.60457274_000001", "S11_Phoning_3.60457274_000011")
TRIAL_2 = ("S9_SittingDown_1.60457274_000001", "S9_Walking.60457274_000006")
# As HMR's and SPIN's own lists name people.
MOSHED = ("test-S9_Eating_0_cam3-00000", "test-S11_WakingDog_0_cam3-00004")
MOSHED_1 = ("test-S11_Directions_1_cam1-00000", "test-S9_Eating_0_cam0-00001")
NOT_MOSHED = (
    "test-S11_Directions_1_cam0-00000",
    "train-S1_Eating_0_cam3-00000",
)
LISTED_1 = ("h36m_valid_protocol1-000007",)
LISTED_2 = ("h36m_valid_protocol2-000007",)
NOT_H36M = (
    "S1_Eating_1.60457274_000001",  # a training subject
    "S9_Eating_1.60457274_000002",  # another frame
    "S11_Directions.54138969_000006",  # the corrupt film
)
PEOPLE = {
    "h36m_p1_hmr": (
        H36M + FRONTAL + TRIAL_2 + MOSHED + MOSHED_1,
        NOT_H36M + NOT_MOSHED + LISTED_1,
    ),
    "h36m_p2_hmr": (
        FRONTAL + MOSHED,
        NOT_H36M + NOT_MOSHED + MOSHED_1 + TRIAL_2 + H36M + LISTED_2,
    ),
    "h36m_p1_spin": (
        H36M + FRONTAL + TRIAL_2 + LISTED_1,
        NOT_H36M + MOSHED + LISTED_2,
    ),
    "h36m_p2_spin": (
        FRONTAL + TRIAL_2 + LISTED_2,
        NOT_H36M + H36M + MOSHED + LISTED_1,
    ),
    "h36m_p1_hund": (H36M + FRONTAL + TRIAL_2, NOT_H36M),
    "h36m_root_smplr": (H36M + FRONTAL, NOT_H36M),
    "h36m_procrustes_smplr": (H36M + FRONTAL, NOT_H36M),
    "mpi_inf_3dhp": (("TS1_000001_a1", "TS6_000002_a7"), ()),
    "mpi_inf_3dhp_hmr": (("TS1_000001_a1", "TS6_000002_a7"), ()),
    "3dpw_spin": (("downtown_bar_00_1_00003", "office_call_00_0_00000"), ()),
    "3dpw_hund": (("downtown_bar_00_1_00003", "office_call_00_0_00000"), ()),
    "surreal_smplr": (("run0_01_01_c0001_0001",), ()),
    "surreal_smplr_val": (("run0_01_01_c0001_0001",), ()),
    "surreal_bodynet": (("run0_01_01_c0001_0050",), ()),
    "up3d_smplr": (("00001", "00002"), ()),
}


def measured(name, body, change, labels=True) -> dict:
    """The results of a protocol on those of PEOPLE that it chooses."""
    protocol = protocols.get(name)
    own_ids, other_ids = PEOPLE[name]
    chosen_ids = [
        example_id
        for example_id in (*other_ids, *own_ids)
        if protocol.includes(example_id)
    ]
    assert chosen_ids == list(own_ids)
    batch = planted.batch(protocol, body, chosen_ids, labels)
    names, predictions = planted.found(protocol, body, len(chosen_ids), change)
    context = evaluator.make_context(body, names)
    got = evaluator.Scores(protocol, context)
    got.add(batch, predictions)
    report = {"splits": {protocol.splits[0]: {}}}
    people = selection.Selection(
        Path(), protocol.splits[0], np.arange(len(own_ids)), own_ids, report, ()
    )
    results = scores.result(got, {}, people, [], [])
    assert results["measured"] == len(own_ids)
    assert results["expected"] == (protocol.count or len(own_ids))
    assert results["complete"] is (protocol.count is None)
    assert set(protocol.headline) <= results["metrics"].keys()
    return results


def thirty(names, points, vertices):
    """All joints 30 mm off, but a pelvis that is the root.

    The hips go apart, so that their middle stays.
    """
    off = np.tile([0.0, 0.030, 0.0], (len(names), 1))
    off[names.index("left_hip")] *= -1
    if "pelvis" in names:
        off[names.index("pelvis")] = 0
    return points + off, vertices + [0, 0, 0.030]


def similarity_moved(names, points, vertices):
    """Turned, larger, elsewhere."""
    turn = 1.3 * Rotation.from_rotvec([0.4, -1.0, 2.0]).as_matrix()
    return points @ turn.T + [0.2, 3, 1], vertices @ turn.T + [0.2, 3, 1]


@pytest.mark.parametrize("name", PEOPLE)
def test_thirty_millimetres_read_thirty(name, body):
    results = measured(name, body, thirty)
    metrics, protocol = results["metrics"], protocols.get(name)
    counted = [joint != "pelvis" for joint in protocol.joints]
    expected = 30 * np.mean(counted)
    assert_close("float32_mm", metrics["mpjpe_mm"], expected)
    per_joint = list(results["per_joint_mm"].values())
    assert_close("float32_mm", per_joint, 30 * np.array(counted, float))
    assert metrics["pa_mpjpe_mm"] < 30
    for row in results["per_action"].values():
        assert_close("float32_mm", row["mpjpe_mm"], expected)
    if "pve_mm" in metrics:
        assert_close("float32_mm", metrics["pve_mm"], 30.0)
    if "translation_mm" in metrics:
        assert_close("float32_mm", metrics["translation_mm"], 0.0)
    if name.endswith("_root_smplr"):
        groups = [v for k, v in metrics.items() if k.startswith("group_")]
        assert_close("float32_mm", groups, np.full(8, 30.0))


@pytest.mark.parametrize("name", PEOPLE)
def test_a_turned_and_scaled_prediction_is_right_after_procrustes(name, body):
    metrics = measured(name, body, similarity_moved)["metrics"]
    assert_close("float32_mm", metrics["pa_mpjpe_mm"], 0.0)
    assert metrics["mpjpe_mm"] > 100
    if "pve_pa_mm" in metrics:
        assert_close("float32_mm", metrics["pve_pa_mm"], 0.0)
    if name == "h36m_procrustes_smplr":
        groups = [v for k, v in metrics.items() if k.startswith("group_")]
        assert_close("float32_mm", groups, np.zeros(8))
    if name.startswith("mpi_inf_3dhp"):
        assert metrics["pck3d_150mm"] < 60
        assert metrics["pck3d_150mm_aligned"] == 100
        assert_close("float64", metrics["auc3d_aligned"], 100 * 30 / 31)


def test_actions_and_truth_are_told(body):
    results = measured("h36m_p1_hmr", body, thirty)
    counts = {k: v["count"] for k, v in results["per_action"].items()}
    assert counts == {
        **{"Eating": 4, "SittingDown": 2, "Phoning": 1, "Walking": 1},
        **{"Directions": 1, "WakingDog": 1},
    }
    assert results["truth"] == {"records": 10}
    assert results["rule"]["root"].startswith("the middle of the hips")


def test_hmr_also_averages_films_then_actions(body, monkeypatch):
    """30 mm in both pictures of a film, 60 in one of another, then 90."""
    ids = (
        "S9_Eating_1.54138969_000001",
        "S9_Eating_1.54138969_000006",
        "S9_Eating.54138969_000001",
        "test-S9_Walking_0_cam3-00000",
    )
    monkeypatch.setitem(PEOPLE, "h36m_p1_hmr", (ids, ()))
    factors = iter([1, 1, 2, 3])

    def change_next(names, points, vertices):
        off, _ = thirty(names, np.zeros_like(points), vertices)
        return points + next(factors) * off, vertices

    results = measured("h36m_p1_hmr", body, change_next)
    metrics = results["metrics"]
    assert_close("float32_mm", metrics["mpjpe_mm"], (30 + 30 + 60 + 90) / 4)
    assert_close("float32_mm", results["per_action"]["Eating"]["mpjpe_mm"], 40)
    expected = ((30 + 60) / 2 + 90) / 2
    assert_close("float32_mm", metrics["mpjpe_mm_over_actions"], expected)
    assert metrics["pa_mpjpe_mm_over_actions"] > metrics["pa_mpjpe_mm"]
    assert "mpjpe_mm_over_actions 67.5" in scores.table(results)


def with_moved_joints(name, body, labels, move):
    """The results of the true bodies where the stored joints are elsewhere.

    Args:
        name: of the protocol.
        body: of the people.
        labels: whether pose and betas are labelled.
        move: (3,) metres, by which the stored right wrist is moved.
    """
    protocol = protocols.get(name)
    ids = [one for one in PEOPLE[name][0] if protocol.includes(one)]
    batch = planted.batch(protocol, body, ids, labels)
    batch["joints3d"] = batch["joints3d"].copy()
    wrist = joints.KEYPOINTS.index("right_wrist")
    batch["joints3d"][:, wrist, :3] += move
    names, right = planted.found(
        protocol, body, len(ids), lambda n, p, v: (p, v)
    )
    counted = evaluator.Scores(protocol, evaluator.make_context(body, names))
    counted.add(batch, right)
    return counted


H36M_BY_HMR = (
    *("h36m_p1_hmr", "h36m_p2_hmr"),
    *(
        f"h36m_{number}_{pattern}_hkmr"
        for number in ("p1", "p2")
        for pattern in ("bar", "circle", "rectangle")
    ),
)


@pytest.mark.parametrize("name", ["h36m_p1_hmr", "h36m_p2_hmr"])
@pytest.mark.parametrize("labels", [True, False])
def test_hmr_compares_with_the_joints_of_human36m(name, labels, body):
    """Whether or not the records have a fitted body, whose wrist is right."""
    counted = with_moved_joints(name, body, labels, [0.28, 0, 0])
    assert counted.details()["truth"] == {"records": counted.examples}
    assert_close("float32_mm", counted.summary()["mpjpe_mm"], 280 / 14)


@pytest.mark.parametrize("name", H36M_BY_HMR)
def test_the_truth_of_hmrs_human36m_is_the_datasets(name):
    protocol = protocols.get(name)
    assert protocol.truth == ("records",)
    words = protocol.description
    assert "joints of the dataset" in words.regressor
    assert "MoSh" not in words.regressor + words.ours


def test_another_truth_than_the_protocols_first_is_a_deviation(
    body, monkeypatch
):
    """Records without bodies, by a protocol that may take stored joints."""
    name = "h36m_root_smplr"
    protocol = dataclasses.replace(
        protocols.get(name),
        measures=("joints3d",),
        headline=("mpjpe_mm",),
        joints=joints.LSP14,
        root=("left_hip", "right_hip"),
        regressor="cocoplus",
        truth=("cocoplus", "records"),
    )
    monkeypatch.setattr(protocols, "get", lambda name: protocol)
    counted = with_moved_joints(name, body, False, [0, 0, 0])
    ids = np.array(PEOPLE[name][0])
    people = selection.Selection(
        Path(), "p1", np.arange(4), ids, {"splits": {"p1": {}}}, ()
    )
    results = scores.result(counted, {}, people, [], [])
    (deviation,) = results["deviations"]
    assert "4 examples are from 'records'" in deviation
    assert "of the protocol are from 'cocoplus'" in deviation
    assert results["complete"] is False
    counted = with_moved_joints(name, body, True, [0, 0, 0])
    results = scores.result(counted, {}, people, [], [])
    assert results["deviations"] == [] and results["complete"] is True


def test_hmr_does_not_turn_mpi_inf_3dhp_to_the_crops_ray(body):
    """14 joints about the hips; the other rule has 17 about the pelvis."""
    ours, matlab = (protocols.get(f"mpi_inf_3dhp{end}") for end in ("_hmr", ""))
    assert (ours.perspective, matlab.perspective) == (False, True)
    assert (len(ours.joints), len(matlab.joints)) == (14, 17)
    ids = ["TS1_000001_a1", "TS6_000002_a7"]
    errors = []
    for protocol in (ours, matlab):
        batch = planted.batch(protocol, body, ids)
        # The person is at the border of a wide picture.
        batch["stored_box"] = batch["stored_box"] + np.float32([600, 0, 0, 0])
        names, right = planted.found(protocol, body, 2, lambda n, p, v: (p, v))
        counted = evaluator.Scores(
            protocol, evaluator.make_context(body, names)
        )
        counted.add(batch, right)
        errors.append(counted.summary()["mpjpe_mm"])
    assert_close("float32_mm", errors[0], 0.0)
    assert errors[1] > 50


def test_smplr_needs_labelled_bodies(body):
    with pytest.raises(ValueError, match="No record has all joints"):
        measured("h36m_root_smplr", body, thirty, labels=False)


def test_spins_truth_is_not_moved_to_the_predictions_root(body):
    """A wrong predicted pelvis counts for every joint."""

    def only_the_pelvis(names, points, vertices):
        off = np.zeros((len(names), 1))
        off[names.index("pelvis")] = 1
        return points + off * [0, 0, 0.040], vertices

    metrics = measured("h36m_p2_spin", body, only_the_pelvis)
    assert_close("float32_mm", metrics["metrics"]["mpjpe_mm"], 40.0)


def test_a_translation_error_is_the_roots(body):
    def translate(names, points, vertices):
        return points + [0.03, 0, -0.04], vertices

    metrics = measured("h36m_p1_hund", body, translate)["metrics"]
    assert_close("float32_mm", metrics["translation_mm"], 50.0)
    assert_close("float32_mm", metrics["mpjpe_mm"], 0.0)


def test_the_surface_is_about_the_pelvis(body):
    """Mesh and joints are elsewhere together."""

    def elsewhere(names, points, vertices):
        return points + [3, 4, 5], vertices + [3, 4, 5]

    for name in ("h36m_root_smplr", "surreal_smplr", "up3d_smplr"):
        metrics = measured(name, body, elsewhere)["metrics"]
        assert_close("float32_mm", metrics["pve_mm"], 0.0)


def test_bones_a_tenth_too_long(body):
    """All sizes grow about the pelvis: lengths by a tenth of themselves."""

    def longer(names, points, vertices):
        return tuple(
            points[0] + 1.1 * (side - points[0]) for side in (points, vertices)
        )

    people = planted.people(body)
    ids = [
        surface_landmarks.IDS["open-v1"][name] for name in joints.LANDMARKS18
    ]
    points = np.concatenate([people.skeleton, people.vertices[:, ids]], axis=1)
    index = list(joints.smplr41_parents())
    lengths = np.linalg.norm(points[:, 1:] - points[:, index], axis=-1)
    assert lengths.shape == (len(points), 41)
    metrics = measured("h36m_root_smplr", body, longer)["metrics"]
    expected = 1000 * 0.1 * lengths
    assert_close("float32_mm", metrics["bone_length_mm"], expected.mean())
    offsets = people.vertices[:, ids] - people.skeleton[:, :1]
    expected = 1000 * 0.1 * np.linalg.norm(offsets, axis=-1)
    assert_close("float32_mm", metrics["landmarks_mm"], expected.mean())


def test_without_known_landmarks_the_joints_bones_count(body, monkeypatch):
    monkeypatch.setattr(surface_landmarks, "IDS", {})

    def longer(names, points, vertices):
        return points[0] + 1.1 * (points - points[0]), vertices

    people = planted.people(body)
    index = list(joints.parents()[1:])
    lengths = np.linalg.norm(
        people.skeleton[:, 1:] - people.skeleton[:, index], axis=-1
    )
    metrics = measured("h36m_root_smplr", body, longer)["metrics"]
    expected = 1000 * 0.1 * lengths
    assert_close("float32_mm", metrics["bone_length_mm"], expected.mean())
    assert "landmarks_mm" not in metrics


def test_the_surface_of_labelled_people_is_about_their_own_pelvis(body):
    """The first two have no labels; pelvises depend on the shape."""
    protocol = protocols.get("h36m_root_smplr")
    ids = [f"S9_Eating_1.54138969_00000{n}" for n in range(4)]
    batch = planted.batch(protocol, body, ids)
    for name in ("has_pose", "has_betas"):
        batch[name] = np.float32([0, 0, 1, 1])
    people = planted.people(body)
    assert np.ptp(people.skeleton[:, 0], axis=0).max() > 1e-3
    measure = surface.Measure(protocol, evaluator.make_context(body, ()))
    measure.add(
        batch, Predictions(vertices=people.vertices, betas=people.betas)
    )
    assert_close("float32_mm", measure.summary()["pve_mm"], 0.0)
