"""Bodies of labels: genders, and the joints that are regressed from them."""

import dataclasses

import numpy as np
import pytest

from tests.support import planted
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.body import topology
from tf_hmr.body.model import Body
from training.evaluation import evaluator, ground_truth, joint_pairs, protocols
from training.evaluation.protocol import EvaluationContext, Predictions


@pytest.fixture(scope="module")
def smpl(body_data):
    """The open body's numbers under SMPL's name."""
    data = dataclasses.replace(body_data, topology="smpl")
    return Body(data, joints.LSP14, jit=False)


@pytest.fixture(scope="module")
def women(body_data, tmp_path_factory):
    """A folder with a female body, a tenth larger; none of a male one."""
    folder = tmp_path_factory.mktemp("bodies")
    larger = dataclasses.replace(
        body_data,
        topology="smpl",
        v_template=body_data.v_template * np.float32(1.1),
        shapedirs=body_data.shapedirs * np.float32(1.1),
        posedirs=body_data.posedirs * np.float32(1.1),
    )
    larger.save(folder / "SMPL_FEMALE.npz")
    return folder


@pytest.fixture
def npz_files(monkeypatch):
    files = {"female": "SMPL_FEMALE.npz", "male": "SMPL_MALE.npz"}
    monkeypatch.setattr(ground_truth, "GENDERED_FILES", files)
    topologies = {"smpl": topology.TOPOLOGIES["open-v1"]}
    monkeypatch.setattr(topology, "TOPOLOGIES", topologies)


def test_labels_are_posed_by_the_body_of_their_gender(smpl, women, npz_files):
    protocol = protocols.get("3dpw_spin")
    batch = planted.batch(protocol, smpl, ["a", "b", "c", "d"])
    batch["stored_gender"] = np.array([b"neutral", b"female"] * 2, object)
    labels = ground_truth.Labelled(ground_truth.TrueBodies(smpl, women))
    mesh = labels(batch)
    plain = planted.people(smpl)
    assert_close("body_metres", mesh.vertices[::2], plain.vertices[::2])
    assert_close("body_metres", mesh.skeleton[1::2], 1.1 * plain.skeleton[1::2])
    assert_close("body_metres", mesh.vertices[1::2], 1.1 * plain.vertices[1::2])
    assert labels(batch) is mesh


def test_3dpw_compares_with_the_gendered_body(smpl, women, npz_files):
    """The neutral truth against a larger woman: every joint is 1/11 short."""
    protocol = protocols.get("3dpw_spin")
    batch = planted.batch(protocol, smpl, ["a", "b", "c", "d"])
    batch["stored_gender"] = np.full(4, b"female", object)
    context = evaluator.make_context(smpl, (), women)
    prediction = Predictions(vertices=planted.people(smpl).vertices)
    sides = joint_pairs.JointPairs(protocol, context)(batch, prediction)
    assert_close("body_metres", 1.1 * sides.pred, sides.true)
    assert sides.source.tolist() == ["h36m"] * 4


def test_a_gender_of_no_body_is_refused(smpl, women, npz_files):
    bodies = ground_truth.TrueBodies(smpl, women)
    with pytest.raises(ValueError, match="the gender 'child', which no body"):
        bodies("child")


def test_a_missing_gender_names_its_file(smpl, women, npz_files):
    protocol = protocols.get("3dpw_spin")
    batch = planted.batch(protocol, smpl, ["a"])
    batch["stored_gender"] = np.array([b"male"], object)
    for folder in (women, None):
        context = evaluator.make_context(smpl, (), folder)
        with pytest.raises(FileNotFoundError, match="SMPL_MALE.*true-bodies"):
            context.labelled(batch)


def test_bodies_without_genders_take_the_methods(body):
    bodies_of = ground_truth.TrueBodies(body)
    assert bodies_of("female") is body and bodies_of("neutral") is body


def test_the_neck_of_h36m_is_the_thorax(body):
    """Row 8 of the regressor, which SPIN compares with LSP's neck."""
    context = EvaluationContext(body, (), None)
    neck, thorax = joint_pairs.regressor_rows(
        "h36m", ("neck", "thorax"), context
    )
    assert_close("exact", neck, thorax)
    assert_close("exact", neck, body.data.h36m_rows()[8])
    lsp_neck = joint_pairs.regressor_rows("cocoplus", ("neck",), context)[0]
    assert np.abs(lsp_neck - neck).max() > 0


def test_true_limbs_are_those_of_the_predictions(body):
    """Both are the skeleton's joints on a body with SPIN's keypoints."""
    posed = planted.people(body)
    names = ("left_knee", "nose")
    spins = Body(dataclasses.replace(body.data, topology="smpl"), names)
    context = evaluator.make_context(spins, names, None)
    batch = {
        "rotmats": posed.rotmats,
        "betas": posed.betas,
        "has_pose": np.ones(len(posed.betas)),
        "has_betas": np.ones(len(posed.betas)),
        "joints3d": np.zeros((len(posed.betas), len(joints.KEYPOINTS), 4)),
        "stored_gender": np.array([b"neutral"] * len(posed.betas), object),
    }
    protocol = dataclasses.replace(
        protocols.get("synthetic_v1"),
        joints=names,
        root=names[:1],
        truth=("cocoplus",),
        regressor="cocoplus",
    )
    predicted = spins(posed.rotmats, posed.betas).joints.numpy()
    pair = joint_pairs.JointPairs(protocol, context)(
        batch, Predictions(joints=predicted)
    )
    assert set(pair.source) == {"cocoplus"}
    assert_close("body_metres", pair.pred, pair.true)


def test_predictions_without_what_is_needed_are_refused(body):
    context = EvaluationContext(body, ("nose",), None)
    points = np.zeros((1, 1, 3))
    for prediction in (Predictions(), Predictions(joints=points)):
        with pytest.raises(ValueError, match="no.*pelvis.*h36m"):
            joint_pairs.predicted_joints(
                "h36m", ("pelvis",), prediction, context
            )


def test_skeletons_come_from_pose_and_shape(body):
    posed = planted.people(body)
    context = EvaluationContext(body, (), None)
    prediction = Predictions(rotmats=posed.rotmats, betas=posed.betas)
    got = joint_pairs.predicted_joints(
        "smpl", ("left_hand", "pelvis"), prediction, context
    )
    expected = posed.skeleton[:, [joints.SMPL24.index("left_hand"), 0]]
    assert_close("body_metres", got, expected)
