import dataclasses

import h5py
import numpy as np
import pytest
import scipy.sparse
from scipy.spatial.transform import Rotation

from tests.support import smpl_files
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.body import files as body_files
from tf_hmr.body import parts as body_parts
from tf_hmr.body import topology
from tf_hmr.body.data import BodyData

TEXTS = ("name", "topology", "licence", "joint_names", "keypoint_regressor")
ARRAYS = tuple(
    field.name
    for field in dataclasses.fields(BodyData)
    if field.name not in TEXTS
)


def assert_same(actual: BodyData, expected: BodyData) -> None:
    assert actual.joint_names == expected.joint_names
    for name in ARRAYS:
        if getattr(expected, name) is None:
            assert getattr(actual, name) is None
        else:
            assert_close(
                "exact", getattr(actual, name), getattr(expected, name)
            )


@pytest.fixture
def raw(body_data):
    return smpl_files.light_arrays(body_data)


@pytest.fixture
def whole_raw(body_data):
    return smpl_files.arrays(body_data)


@pytest.fixture
def as_smpl(monkeypatch, body_data):
    """Lets files with the open body's faces pass for official SMPL ones."""
    monkeypatch.setattr(
        topology,
        "TOPOLOGIES",
        {"smpl": topology.TOPOLOGIES["open-v1"]},
    )


def load_npz(tmp_path, arrays) -> BodyData:
    plain = {
        name: value.toarray() if scipy.sparse.issparse(value) else value
        for name, value in arrays.items()
        if not isinstance(value, dict)
    }
    np.savez(tmp_path / "body.npz", **plain)
    return BodyData.load(tmp_path / "body.npz")


def test_open_body_ships_with_the_package(body_data):
    assert body_data.topology == "open-v1"
    assert "CC0" in body_data.licence
    assert body_data.shapedirs.shape == (6890, 3, 10)
    assert body_data.faces.shape == (13776, 3)
    assert set(body_data.keypoint_regressor) == set(joints.KEYPOINTS)
    assert body_data.skeleton_keypoints == ()
    folder = body_files.OPEN_BODY.parent
    assert "CC0 1.0" in (folder / "LICENSE").read_text()
    assert "MakeHuman" in (folder / "PROVENANCE.md").read_text()


def test_open_body_is_closed_and_mirrors_onto_itself(body_data):
    edges = np.concatenate(
        [body_data.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]
    )
    # Each edge is walked once in each direction: closed and oriented.
    directed_edges = {(a, b) for a, b in edges.tolist()}
    assert len(directed_edges) == len(edges)
    assert {(b, a) for a, b in directed_edges} == directed_edges
    mirrored = body_data.v_template[body_data.mirror_vertices] * [-1, 1, 1]
    assert_close("exact", mirrored, body_data.v_template)


def test_faces_turn_counter_clockwise_seen_from_outside(body_data):
    a, b, c = (body_data.v_template[ids] for ids in body_data.faces.T)
    volume = np.einsum("fi,fi->", a, np.cross(b, c)) / 6
    assert 0.04 < volume < 0.12  # cubic metres of an adult


@pytest.mark.parametrize("name", body_parts.PARTS)
def test_parts_equal_the_labels_stored_with_the_open_body(body_data, name):
    labels, names = body_data.parts(name)
    with np.load(body_files.OPEN_BODY) as stored:
        assert list(names) == stored[f"{name}_names"].tolist()
        assert_close("exact", labels, stored[name])


def test_unknown_parts_are_explained(body_data):
    with pytest.raises(ValueError, match="no division 'part7'.*part14"):
        body_data.parts("part7")


def test_keypoints_lie_where_their_names_say(body_data):
    rest = dict(
        zip(
            joints.KEYPOINTS,
            body_data.regressor(joints.KEYPOINTS) @ body_data.v_template,
            strict=True,
        )
    )
    for name, position in rest.items():
        mirrored = rest[joints.mirror_name(name)] * [-1, 1, 1]
        assert_close("body_metres", position, mirrored)
        if name.startswith("left_"):
            assert position[0] > 0, name
    for low, high in (
        ("left_heel", "left_ankle"),
        ("left_ankle", "left_knee"),
        ("left_knee", "left_hip"),
        ("pelvis", "spine"),
        ("spine", "thorax"),
        ("neck", "nose"),
        ("nose", "left_eye"),
        ("left_eye", "head_top"),
    ):
        assert rest[low][1] < rest[high][1], (low, high)
    assert rest["left_big_toe"][2] > rest["left_heel"][2]
    assert rest["left_small_toe"][0] > rest["left_big_toe"][0]


def test_save_and_load_lose_nothing(tmp_path, body_data):
    body_data.save(tmp_path / "copy.npz")
    copy = BodyData.load(tmp_path / "copy.npz")
    assert_same(copy, body_data)
    assert (copy.name, copy.topology, copy.licence) == (
        body_data.name,
        body_data.topology,
        body_data.licence,
    )
    assert_close(
        "exact",
        copy.regressor(joints.KEYPOINTS),
        body_data.regressor(joints.KEYPOINTS),
    )


def test_official_pickle_with_chumpy_and_old_scipy(
    tmp_path, body_data, whole_raw, monkeypatch
):
    whole_raw["shapedirs"] = smpl_files.chumpy(whole_raw["shapedirs"])
    whole_raw["posedirs"] = smpl_files.chumpy_select(whole_raw["posedirs"])
    whole_raw["J_regressor"] = smpl_files.old_csc(whole_raw["J_regressor"])
    smpl_files.pretend_old_modules(monkeypatch)
    path = smpl_files.write_pickle(tmp_path / "basicModel_f.pkl", whole_raw)
    monkeypatch.undo()
    read = BodyData.load(path)
    for name in (
        "v_template",
        "shapedirs",
        "posedirs",
        "J_regressor",
        "weights",
        "parents",
        "faces",
    ):
        assert_close("exact", getattr(read, name), getattr(body_data, name))
    assert read.name == "basicModel_f"


def test_version_1_1_keeps_the_first_ten_of_300_betas(tmp_path, body_data, raw):
    more = np.zeros((6890, 3, 290))
    more[..., 0] = 0.5
    raw["shapedirs"] = np.concatenate([raw["shapedirs"], more], axis=-1)
    path = smpl_files.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", raw)
    read = BodyData.load(path)
    assert_close("exact", read.shapedirs, body_data.shapedirs)
    assert BodyData.load(path, num_betas=11).shapedirs[..., 10].min() == 0.5
    with pytest.raises(ValueError, match="num_betas is 301.*stores 300"):
        BodyData.load(path, num_betas=301)


def test_fewer_betas_cut_all_that_belongs_to_them(body_data):
    few = BodyData.load("open", num_betas=4)
    assert few.num_betas == 4
    cut = body_data.beta_cov_gender[:, :4, :4]
    assert_close("exact", few.beta_cov_gender, cut)


def test_smpl_folder_with_spins_files(tmp_path, whole_raw, rng, as_smpl):
    extra, h36m = rng.random((9, 6890)), rng.random((17, 6890))
    smpl_files.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", whole_raw)
    np.save(tmp_path / "J_regressor_extra.npy", extra.astype(np.float32))
    np.save(tmp_path / "J_regressor_h36m.npy", h36m.astype(np.float32))
    pose = rng.normal(size=144).astype(np.float32)
    np.savez(
        tmp_path / "smpl_mean_params.npz",
        pose=pose,
        cam=np.ones(3),
        shape=np.full(10, 0.2, np.float32),
    )
    read = BodyData.load(tmp_path)
    assert read.topology == "smpl"
    named = {
        "right_hip": extra[0],
        "left_hip": extra[1],
        "neck": extra[2],
        "head_top": extra[3],
        "pelvis": h36m[0],
        "spine": h36m[7],
        "thorax": h36m[8],
        "neck_nose": h36m[9],
        "left_knee": whole_raw["J_regressor"].toarray()[4],
        "right_wrist": whole_raw["J_regressor"].toarray()[21],
        "nose": np.eye(6890)[332],
        "left_heel": np.eye(6890)[3387],
    }
    rows = read.regressor(tuple(named))
    for row, expected in zip(rows, named.values(), strict=True):
        assert_close("exact", row, expected.astype(np.float32))
    assert read.regressor(joints.KEYPOINTS).shape == (
        len(joints.KEYPOINTS),
        6890,
    )
    assert_close("exact", read.mean_parameters()[0], pose)
    limbs = joints.LSP14[:2] + joints.LSP14[4:12]
    assert set(read.skeleton_keypoints) == set(limbs)
    read.save(tmp_path / "copy.npz")
    copy = BodyData.load(tmp_path / "copy.npz")
    assert_same(copy, read)
    assert copy.skeleton_keypoints == read.skeleton_keypoints


def test_hmrs_mean_params_are_read_beside_its_body(tmp_path, raw, rng, as_smpl):
    smpl_files.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", raw)
    pose, betas = rng.normal(size=72), np.linspace(-1, 1, 10)
    with h5py.File(tmp_path / "neutral_smpl_mean_params.h5", "w") as file:
        file["pose"], file["shape"] = pose, betas
    pose6d, shape = BodyData.load(tmp_path).mean_parameters()
    turns = Rotation.from_rotvec(pose.reshape(24, 3)).as_matrix()
    assert_close("rotation", pose6d, turns[:, :, :2].ravel())
    assert_close("exact", shape, betas.astype(np.float32))
    # SPIN's file, in the form that the body stores, is read first.
    spins = np.zeros(144, np.float32)
    np.savez(tmp_path / "smpl_mean_params.npz", pose=spins, shape=np.ones(10))
    assert_close("exact", BodyData.load(tmp_path).mean_parameters()[0], spins)


def test_older_extra_file_ends_with_the_same_nine_rows(
    tmp_path, raw, rng, as_smpl
):
    extra = rng.random((14, 6890)).astype(np.float32)
    smpl_files.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", raw)
    np.save(tmp_path / "J_regressor_extra.npy", extra)
    read = BodyData.load(tmp_path)
    assert_close("exact", read.regressor(("right_hip",))[0], extra[5])


def test_hmrs_pickle_wins_in_a_folder_and_brings_its_keypoints(
    tmp_path, raw, rng, as_smpl
):
    smpl_files.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", raw)
    cocoplus = rng.random((19, 6890)).astype(np.float32)
    raw["cocoplus_regressor"] = scipy.sparse.csc_matrix(cocoplus)
    smpl_files.write_pickle(
        tmp_path / "neutral_smpl_with_cocoplus_reg.pkl", raw
    )
    read = BodyData.load(tmp_path)
    assert read.name == "neutral_smpl_with_cocoplus_reg"
    assert_close("exact", read.regressor(joints.COCOPLUS19), cocoplus)
    assert read.skeleton_keypoints == ()


def test_missing_files_are_named_only_when_needed(tmp_path, raw, as_smpl):
    smpl_files.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", raw)
    read = BodyData.load(tmp_path)
    assert read.regressor(("left_knee", "nose", "left_heel")).shape[0] == 3
    with pytest.raises(
        FileNotFoundError, match=r"'neck'.*J_regressor_extra\.npy.*SPIN"
    ):
        read.regressor(("neck", "left_knee"))
    with pytest.raises(
        FileNotFoundError, match=r"'pelvis'.*J_regressor_h36m\.npy.*SPIN"
    ):
        read.regressor(("pelvis",))
    with pytest.raises(FileNotFoundError, match="smpl_mean_params.npz.*SPIN"):
        read.mean_parameters()


def test_nothing_there_is_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"smpl\.is\.tue\.mpg\.de"):
        BodyData.load(tmp_path / "SMPL_NEUTRAL.pkl")
    with pytest.raises(FileNotFoundError, match="holds no body.*akanazawa/hmr"):
        BodyData.load(tmp_path)
    (tmp_path / "body.fbx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"no body file.*\.pkl or an \.npz"):
        BodyData.load(tmp_path / "body.fbx")


@pytest.mark.parametrize("key", body_files.REQUIRED)
def test_a_missing_key_is_named(tmp_path, raw, key):
    del raw[key]
    path = smpl_files.write_pickle(tmp_path / "body.pkl", raw)
    with pytest.raises(ValueError, match=rf"lacks \['{key}'\].*fetch it again"):
        BodyData.load(path)


@pytest.mark.parametrize(
    ("key", "cut"),
    [
        ("v_template", np.s_[:, :2]),
        ("shapedirs", np.s_[:-1]),
        ("posedirs", np.s_[..., :200]),
        ("J_regressor", np.s_[:17]),
        ("weights", np.s_[:, :22]),
    ],
)
def test_a_wrong_shape_is_named(tmp_path, raw, key, cut):
    raw[key] = raw[key][cut]
    message = rf"{key} of the body 'body' has shape .* expected \(.*Give"
    with pytest.raises(ValueError, match=message):
        load_npz(tmp_path, raw)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "key", ["v_template", "shapedirs", "posedirs", "weights"]
)
def test_a_number_that_is_not_finite_is_named(tmp_path, raw, key, value):
    raw[key][(5,) + (1,) * (raw[key].ndim - 1)] = value
    with pytest.raises(ValueError, match=rf"{key} .* not finite at \(.*fetch"):
        load_npz(tmp_path, raw)


def test_foreign_topologies_are_refused(tmp_path, raw, body_data):
    order = np.random.default_rng(0).permutation(len(raw["f"]))
    reordered = {**raw, "f": np.roll(raw["f"], 1, axis=1)[order]}
    # The same surface.
    assert load_npz(tmp_path, reordered).topology == "open-v1"
    flipped = {**raw, "f": raw["f"][:, ::-1]}
    with pytest.raises(ValueError, match="foreign topology.*Load SMPL or"):
        load_npz(tmp_path, flipped)
    with pytest.raises(ValueError, match="says .* 'smpl'.*those of 'open-v1'"):
        load_npz(tmp_path, {**raw, "topology": "smpl"})
    with pytest.raises(ValueError, match="says .* 'smpl'.*another body"):
        load_npz(tmp_path, {**flipped, "topology": "smpl"})
    assert (
        load_npz(tmp_path, {**flipped, "topology": "mine"}).topology == "mine"
    )
    body_data.check_same_topology("open-v1", "the prior")
    with pytest.raises(ValueError, match="the prior .* 'smpl'.* 'open-v1'"):
        body_data.check_same_topology("smpl", "the prior")


def test_bodies_with_other_joints_are_refused(tmp_path, raw):
    hands = {**raw, "kintree_table": np.zeros((2, 52), np.uint32)}
    with pytest.raises(ValueError, match="kintree_table.*SMPL-H and SMPL-X"):
        load_npz(tmp_path, hands)
    swapped = raw["kintree_table"].copy()
    swapped[0, 4], swapped[0, 5] = swapped[0, 5], swapped[0, 4]
    with pytest.raises(ValueError, match="not SMPL's tree"):
        load_npz(tmp_path, {**raw, "kintree_table": swapped})


def test_weights_that_do_not_sum_to_one_are_refused(tmp_path, raw):
    raw["weights"][17] *= 0.9
    with pytest.raises(ValueError, match=r"Row 17 of weights .* sums to 0\.9"):
        load_npz(tmp_path, raw)


def test_ids_out_of_range_are_refused(body_data):
    ids = body_data.mirror_vertices.copy()
    ids[3] = 6890
    with pytest.raises(ValueError, match="mirror_vertices .* 0 to 6889"):
        dataclasses.replace(body_data, mirror_vertices=ids)


def test_npz_with_pickled_objects_is_refused(tmp_path, raw):
    np.savez(tmp_path / "body.npz", **raw)  # a sparse matrix needs pickle
    with pytest.raises(ValueError, match=r"plain arrays.*BodyData\.save"):
        BodyData.load(tmp_path / "body.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match="may be damaged"):
        BodyData.load(tmp_path / "cut.npz")


def test_arrays_cannot_be_changed_by_accident(body_data):
    with pytest.raises(ValueError, match="read-only"):
        body_data.v_template[0, 0] = 1
