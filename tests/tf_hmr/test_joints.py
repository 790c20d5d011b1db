"""Joint orders: names, mirrors, parents, and the shipped body's own names."""

import pathlib

import numpy as np
import pytest

import tf_hmr
from tf_hmr import joints

ORDERS = {
    "SMPL24": joints.SMPL24,
    "LSP14": joints.LSP14,
    "COCOPLUS19": joints.COCOPLUS19,
    "COCO17": joints.COCO17,
    "H36M17": joints.H36M17,
    "FEET6": joints.FEET6,
    "LANDMARKS18": joints.LANDMARKS18,
    "SMPLR41": joints.SMPLR41,
    "KEYPOINTS": joints.KEYPOINTS,
}
OPEN_BODY = (
    pathlib.Path(tf_hmr.__file__).parent / "assets/open_body/open_body.npz"
)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_names_are_distinct_and_count_as_the_order_says(order):
    assert len(set(order)) == len(order)


@pytest.mark.parametrize("name", [n for n in ORDERS if n[-1].isdigit()])
def test_an_order_has_as_many_joints_as_its_name_says(name):
    assert name.endswith(str(len(ORDERS[name])))


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_mirror_twice_is_the_identity_and_swaps_names(order):
    mirror = list(joints.mirror(order))
    values = np.array(order)
    assert (values[mirror][mirror] == values).all()
    for before, after in zip(order, values[mirror], strict=True):
        sides = {before.split("_")[0], after.split("_")[0]}
        if before == after:
            assert not sides & {"left", "right"}
        else:
            assert sides == {"left", "right"}
            assert before.split("_")[1:] == after.split("_")[1:]


def test_mirror_of_an_order_with_one_side_only_is_refused():
    with pytest.raises(ValueError, match="right_hip"):
        joints.mirror(("pelvis", "left_hip"))


def test_select_picks_by_name_in_the_asked_order():
    names = ("right_hip", "nose", "left_ankle")
    picked = joints.select(names, of=joints.KEYPOINTS)
    assert tuple(joints.KEYPOINTS[row] for row in picked) == names


def test_select_names_every_missing_joint():
    with pytest.raises(ValueError, match="'tail', 'wing'"):
        joints.select(("nose", "tail", "wing"), of=joints.COCO17)


def test_parents_come_before_their_children_and_keep_to_their_side():
    parents = joints.parents()
    assert joints.SMPL24[0] == "pelvis"
    assert parents[0] == -1
    assert all(p < child for child, p in enumerate(parents))
    for child, parent in zip(joints.SMPL24[1:], parents[1:], strict=True):
        mirrored = joints.SMPL24.index(joints.mirror_name(child))
        assert joints.SMPL24[parents[mirrored]] == joints.mirror_name(
            joints.SMPL24[parent]
        )


def test_parents_are_those_of_the_smpl_files():
    # The table of russoale/hmr2.0: src/tests/test_util.py.
    assert joints.parents() == (
        *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8),
        *(9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
    )


def test_lsp_and_face_are_the_head_of_the_superset():
    assert joints.KEYPOINTS[:19] == joints.COCOPLUS19
    assert joints.COCOPLUS19[:14] == joints.LSP14


def test_every_keypoint_of_the_data_sets_is_in_the_superset():
    for order in (joints.COCOPLUS19, joints.COCO17, joints.H36M17):
        joints.select(order, of=joints.KEYPOINTS)


def test_bones_join_known_keypoints_and_mirror_onto_bones():
    bones = {frozenset(bone) for bone in joints.BONES}
    for bone in joints.BONES:
        joints.select(bone, of=joints.KEYPOINTS)
        assert frozenset(map(joints.mirror_name, bone)) in bones


def test_names_and_mirror_are_those_of_the_open_body():
    with np.load(OPEN_BODY) as body:
        assert tuple(body["joint_names"]) == joints.SMPL24
        assert tuple(body["cocoplus_names"]) == joints.COCOPLUS19
        assert tuple(body["h36m_names"]) == joints.H36M17
        assert tuple(body["coco_names"]) == joints.COCO17
        assert set(joints.FEET6) <= set(body["vertex_names"])
        assert tuple(body["mirror_joints"]) == joints.mirror(joints.SMPL24)
        parents = body["kintree_table"][0].astype(np.int64)
    assert tuple(parents[1:]) == joints.parents()[1:]
