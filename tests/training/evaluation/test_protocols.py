"""Protocols as data: their names, rules, people and commands."""

import dataclasses
import importlib
import shlex

import pytest
import tyro

from tf_hmr import joints
from training.evaluation import evaluator, protocols

NAMES = protocols.names()
PROMISED = {
    *("h36m_p1_hmr", "h36m_p2_hmr", "h36m_p1_spin", "h36m_p2_spin"),
    *("h36m_root_smplr", "h36m_procrustes_smplr", "h36m_p1_hund"),
    *("mpi_inf_3dhp_hmr", "lsp_segmentation_hmr"),
    *("mpi_inf_3dhp", "3dpw_spin", "3dpw_hund", "surreal_smplr"),
    *("surreal_smplr_val", "surreal_bodynet", "up3d_smplr", "synthetic_v1"),
}


def test_the_promised_protocols_are_there():
    assert set(NAMES) >= PROMISED


@pytest.mark.parametrize(
    ("bare", "meanings"),
    [
        ("h36m_p2", ["h36m_p2_hmr", "h36m_p2_spin"]),
        ("h36m_p1", ["h36m_p1_hmr", "h36m_p1_hund", "h36m_p1_spin"]),
        ("3dpw", ["3dpw_hund", "3dpw_spin"]),
    ],
)
def test_a_name_with_several_meanings_is_refused_with_them(bare, meanings):
    with pytest.raises(ValueError, match="different papers") as error:
        protocols.get(bare)
    for name in meanings:
        assert repr(name) in str(error.value)


@pytest.mark.parametrize("bare", ["h36m", "quack", ""])
def test_an_unknown_name_lists_what_there_is(bare):
    with pytest.raises(ValueError, match="h36m_p2_hmr.*h36m_p2_spin"):
        protocols.get(bare)


def test_two_of_one_name_are_refused(monkeypatch):
    rules = importlib.import_module("training.evaluation.protocols.synthetic")
    monkeypatch.setattr(rules, "PROTOCOLS", 2 * rules.PROTOCOLS)
    with pytest.raises(ValueError, match="Two protocols.*synthetic_v1"):
        protocols._by_name.__wrapped__()


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_says_all_its_parts(name):
    protocol = protocols.get(name).description
    for field in dataclasses.fields(protocol):
        text = getattr(protocol, field.name)
        assert field.name == "ours" or len(text) > 3, field.name
    # A public repository's path or a paper's section; or what is ours.
    assert any(word in protocol.source for word in ("paper", ":", "repository"))


@pytest.mark.parametrize("name", NAMES)
def test_joints_roots_and_measures_exist(name):
    protocol = protocols.get(name)
    joint_names = {
        "cocoplus": joints.KEYPOINTS,
        "h36m": (*joints.H36M17, "neck"),
        "smpl": joints.SMPL24,
    }
    if protocol.joints:
        roots = (*protocol.root, *protocol.pred_root)
        joints.select(
            (*protocol.joints, *roots), of=joint_names[protocol.regressor]
        )
    for measure in set(protocol.measures):
        assert (
            evaluator._measure_class(measure).__module__
            == f"training.evaluation.metrics.{measure}"
        )
    assert protocol.splits and protocol.headline


@pytest.mark.parametrize("name", NAMES)
def test_the_command_makes_records_of_that_split_and_rules(name):
    """Its words are options of a reader that exists."""
    protocol = protocols.get(name)
    reader, *words = shlex.split(protocol.prepare)
    module = importlib.import_module(
        f"training.data.prepare.{reader.replace('-', '_')}"
    )
    options = tyro.cli(
        module.Options,
        args=[*words, *_required(module.Options)],
    )
    if reader != "synthetic":
        assert options.split == protocol.splits[0]
    if protocol.box_rules:
        assert options.rules == protocol.box_rules


def _required(options) -> list[str]:
    """Words for the options that have no default."""
    words = []
    for field in dataclasses.fields(options):
        factory = field.default_factory
        if dataclasses.MISSING is field.default is factory:
            words += [f"--{field.name.replace('_', '-')}", "somewhere"]
    return words


def test_the_rules_that_differ_between_papers_differ():
    """HMR's Human3.6M is about the hips, SPIN's about a regressed pelvis."""
    hmr, spin = (protocols.get(f"h36m_p2_{paper}") for paper in ("hmr", "spin"))
    assert hmr.root == ("left_hip", "right_hip")
    assert spin.root == ("pelvis",)
    assert (hmr.regressor, spin.regressor) == ("cocoplus", "h36m")
    second = "S9_Walking.60457274_000001"
    assert spin.includes(second) and not hmr.includes(second)
