import numpy as np
import pytest

from tests.support import smpl_files
from tf_hmr import joints
from tf_hmr.body import topology
from tf_hmr.body.data import BodyData


@pytest.fixture
def raw(body_data):
    """The open body's arrays, without a tag of their topology."""
    return smpl_files.light_arrays(body_data)


def load(tmp_path, raw) -> BodyData:
    return BodyData.load(smpl_files.write_pickle(tmp_path / "body.pkl", raw))


def test_the_open_body_is_told_by_faces_and_shapes(tmp_path, raw):
    assert load(tmp_path, raw).topology == "open-v1"


@pytest.mark.parametrize(
    ("key", "change", "component"),
    [
        ("v_template", np.s_[1000], "v_template"),
        ("shapedirs", np.s_[1000, :, 0], "beta 0"),
        ("shapedirs", np.s_[1000, :, 9], "beta 9"),
    ],
)
def test_another_shape_space_with_its_faces_is_refused(
    tmp_path, raw, key, change, component
):
    raw[key][change] += 1e-3  # one vertex, by a millimetre
    with pytest.raises(
        ValueError, match=rf"body\.pkl .* its {component} is anoth"
    ):
        load(tmp_path, raw)
    raw["topology"] = "open-v1"
    with pytest.raises(ValueError, match="Load 'open', or give"):
        load(tmp_path, raw)
    raw["topology"] = "mine"  # the cure that the message names
    assert load(tmp_path, raw).topology == "mine"


def test_shape_numbers_in_another_order_are_refused(tmp_path, raw):
    raw["shapedirs"] = raw["shapedirs"][..., ::-1]
    with pytest.raises(ValueError, match="its beta 0 is another"):
        load(tmp_path, raw)


def test_fewer_betas_are_still_the_open_body(tmp_path):
    BodyData.load("open", num_betas=4).save(tmp_path / "few.npz")
    few = BodyData.load(tmp_path / "few.npz")
    assert (few.topology, few.num_betas) == ("open-v1", 4)
    assert len(few.regressor(joints.KEYPOINTS)) == len(joints.KEYPOINTS)


def test_smpls_genders_share_a_topology(tmp_path, raw, monkeypatch):
    monkeypatch.setattr(
        topology,
        "TOPOLOGIES",
        {"smpl": topology.TOPOLOGIES["open-v1"]},
    )
    raw["shapedirs"] *= 1.1
    assert load(tmp_path, raw).topology == "smpl"
