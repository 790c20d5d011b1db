"""Damage ends in one error: the file, what was expected, what to do."""

import io
import shutil

import h5py
import numpy as np
import pytest
import scipy.sparse

from tests.support import record_samples, smpl_files
from tf_hmr.body import topology
from tf_hmr.body.data import BodyData
from tf_hmr.formats import array_files
from training.data.records import mocap, records_folder, shard_index, shards

TOPOLOGIES = {"smpl": topology.TOPOLOGIES["open-v1"]}
SPIN_CURE = "Fetch it again from the SPIN release"


def flip(path, share: float) -> None:
    """Turns the bits of the byte at this share of the file."""
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 0xFF
    path.write_bytes(data)


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_kind(path) -> None:
    """An archive where an array belongs, an array where an archive does."""
    with path.open("wb") as file:
        if path.suffix == ".npy":
            np.savez(file, rows=np.zeros((9, 6890)))
        else:
            np.save(file, np.zeros(144))


@pytest.fixture(scope="module")
def intact(tmp_path_factory, body_data):
    """An SMPL folder with SPIN's files, with the open body's numbers."""
    folder = tmp_path_factory.mktemp("smpl")
    rng = np.random.default_rng(20180618)
    raw = smpl_files.light_arrays(body_data)
    smpl_files.write_pickle(folder / "SMPL_NEUTRAL.pkl", raw)
    for name, count in (("extra", 9), ("h36m", 17)):
        rows = rng.random((count, 6890)).astype(np.float32)
        np.save(folder / f"J_regressor_{name}.npy", rows)
    np.savez_compressed(
        folder / "smpl_mean_params.npz",
        pose=rng.normal(size=144).astype(np.float32),
        shape=np.zeros(10, np.float32),
        cam=np.ones(3),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topology, "TOPOLOGIES", TOPOLOGIES)
        assert BodyData.load(folder).topology == "smpl"  # nothing is wrong
    return folder


@pytest.fixture
def folder(intact, tmp_path, monkeypatch):
    """A copy of it to do harm to."""
    monkeypatch.setattr(topology, "TOPOLOGIES", TOPOLOGIES)
    return shutil.copytree(intact, tmp_path, dirs_exist_ok=True)


@pytest.mark.parametrize("harm", [cut, other_kind])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("J_regressor_extra.npy", "at least 9 rows of 6890 finite numbers"),
        ("J_regressor_h36m.npy", "at least 17 rows of 6890 finite numbers"),
        ("smpl_mean_params.npz", r"finite pose \(144,\) and shape \(10,\)"),
    ],
)
def test_files_beside_smpl(folder, name, expected, harm):
    harm(folder / name)
    with pytest.raises(ValueError, match=f"{name} .*{expected}.*{SPIN_CURE}"):
        BodyData.load(folder)


def test_changed_header_of_a_regressor(folder):
    path = folder / "J_regressor_extra.npy"
    flip(path, 60 / path.stat().st_size)  # within the words of its header
    with pytest.raises(ValueError, match=f"extra.npy .*9 rows.*{SPIN_CURE}"):
        BodyData.load(folder)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((8, 6890)),
        np.zeros((9, 6889)),
        np.zeros(6890),
        np.full((9, 6890), np.nan),
        np.full((9, 6890), "x"),
    ],
    ids=["few", "short", "flat", "nan", "text"],
)
def test_regressors_of_another_form(folder, rows):
    np.save(folder / "J_regressor_extra.npy", rows)
    with pytest.raises(ValueError, match=f"extra.npy .*9 rows.*{SPIN_CURE}"):
        BodyData.load(folder)


@pytest.mark.parametrize("share", [0.3, 0.4, 0.5])
def test_changed_bytes_of_the_mean(folder, share):
    flip(folder / "smpl_mean_params.npz", share)
    with pytest.raises(ValueError, match=f"params.npz .*144.*{SPIN_CURE}"):
        BodyData.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"pose": np.zeros(72)},
        {"shape": np.zeros((1, 10))},
        {"pose": np.full(144, np.inf)},
    ],
)
def test_mean_of_another_form(folder, changes):
    mean = {"pose": np.zeros(144), "shape": np.zeros(10)}
    np.savez(folder / "smpl_mean_params.npz", **(mean | changes))
    with pytest.raises(ValueError, match=f"params.npz.*144.*{SPIN_CURE}"):
        BodyData.load(folder)


@pytest.mark.parametrize(
    "changes",
    [{"pose": np.zeros(144)}, {"shape": np.full(10, np.nan)}, {}],
    ids=["6d", "nan", "no shape"],
)
def test_hmrs_mean_of_another_form(folder, changes):
    (folder / "smpl_mean_params.npz").unlink()
    mean = {"pose": np.zeros(72)}
    mean |= {"shape": np.zeros(10)} if changes else {}
    with h5py.File(folder / "neutral_smpl_mean_params.h5", "w") as file:
        for key, value in (mean | changes).items():
            file[key] = value
    with pytest.raises(ValueError, match=r"params\.h5.*72.*models\.tar\.gz"):
        BodyData.load(folder)
    cut(folder / "neutral_smpl_mean_params.h5")
    with pytest.raises(ValueError, match=r"params\.h5.*72.*models\.tar\.gz"):
        BodyData.load(folder)


@pytest.fixture(scope="module")
def intact_body(tmp_path_factory, body_data):
    path = tmp_path_factory.mktemp("body") / "body.npz"
    body_data.save(path)
    return path


@pytest.fixture
def body_path(intact_body, tmp_path):
    """A copy of a saved body to do harm to."""
    return shutil.copyfile(intact_body, tmp_path / "body.npz")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_changed_bytes_of_a_body(body_path, share):
    flip(body_path, share)
    with pytest.raises(ValueError, match=r"body\.npz .*Expected.*Fetch it"):
        BodyData.load(body_path)


@pytest.mark.parametrize("harm", [cut, other_kind])
def test_cut_body_and_array_for_a_body(body_path, harm):
    harm(body_path)
    with pytest.raises(ValueError, match=r"body\.npz .*xpected.*Fetch it"):
        BodyData.load(body_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"h36m_names": ["pelvis"]}, "lacks J_regressor_h36m"),
        (
            {"cocoplus_names": ["neck"], "J_regressor_cocoplus": 2},
            r"J_regressor_cocoplus of .* \(2, 6890\).*\(1, 6890\)",
        ),
        (
            {"keypoint_names": ["a", "b"], "keypoint_regressor": 1},
            r"keypoint_regressor of .* \(1, 6890\).*\(2, 6890\)",
        ),
        (
            {"keypoint_names": ["a", "a"], "keypoint_regressor": 2},
            "keypoint_names of .* different names",
        ),
        (
            {"vertex_names": ["left_heel"], "vertex_ids": [6890]},
            "vertex_ids of .* whole numbers from 0 to 6889",
        ),
        (
            {"vertex_names": ["left_heel"], "vertex_ids": [1, 2]},
            r"vertex_ids of .* shape \(2,\)",
        ),
    ],
)
def test_names_and_rows_of_a_body_that_do_not_fit(
    tmp_path, body_data, changes, words
):
    raw = smpl_files.light_arrays(body_data)
    for key, value in changes.items():
        count = isinstance(value, int)  # that many rows
        raw[key] = np.zeros((value, 6890)) if count else np.array(value)
    path = smpl_files.write_pickle(tmp_path / "body.pkl", raw)
    with pytest.raises(ValueError, match=f"{words}.*fetch it again") as caught:
        BodyData.load(path)
    assert str(path) in str(caught.value)


def test_rows_of_hmrs_pickle_that_do_not_fit(folder, body_data):
    raw = smpl_files.light_arrays(body_data)
    raw["cocoplus_regressor"] = scipy.sparse.csc_matrix(np.ones((18, 6890)))
    smpl_files.write_pickle(folder / "SMPL_NEUTRAL.pkl", raw)
    message = r"cocoplus_regressor of .*NEUTRAL\.pkl .*\(18, .*\(19, 6890\)"
    with pytest.raises(ValueError, match=message):
        BodyData.load(folder)


@pytest.fixture
def stored(tmp_path):
    """A records folder of two shards, with unpaired poses."""
    return record_samples.folder(tmp_path / "samples", 10)


def swap(path) -> None:
    np.save(path, np.load(path)[::-1])


def drop(path) -> None:
    np.save(path, np.load(path)[:-1])


def high_bit(path) -> None:
    """A changed byte of the last end, far from the header."""
    data = bytearray(path.read_bytes())
    data[-9] ^= 0x80  # the sign of the last row's first number
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [cut, other_kind, swap, drop, high_bit])
def test_index_of_a_shard(stored, harm):
    path = shard_index.path_of(stored / "train-00001.tfrecord")
    harm(path)
    message = r"00001\.index\.npy .*xpected .* of 5 records.*prepare the data"
    with pytest.raises(ValueError, match=message):
        shards.Records(stored, "train")


def test_index_that_is_gone(stored):
    shard_index.path_of(stored / "train-00001.tfrecord").unlink()
    with pytest.raises(FileNotFoundError, match=r"00001\.index\.npy.*prepare"):
        shards.Records(stored, "train")


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"schema": 1'])
def test_report_that_is_damaged(stored, content):
    (stored / "report.json").write_text(content)
    with pytest.raises(ValueError, match=r"report\.json is damaged.*again: py"):
        shards.Records(stored, "train")


@pytest.mark.parametrize("harm", [cut, drop])
def test_a_writer_does_not_go_on_after_a_damaged_index(tmp_path, harm):
    folder = tmp_path / "samples"
    writer = records_folder.Writer(folder, "train", shard_size=2)
    for number in range(4):
        writer.write(record_samples.example(number))
    harm(shard_index.path_of(folder / "train-00001.tfrecord"))
    assert records_folder.Writer(folder, "train", 2, keep=9).counts == [2]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7])
def test_changed_bytes_of_the_prior(stored, share):
    flip(stored / "prior.npz", share)
    message = r"prior\.npz .*pose \(N, 72\).*prepare this data set again"
    with pytest.raises(ValueError, match=message):
        mocap.read(stored)


@pytest.mark.parametrize("harm", [cut, other_kind])
def test_prior_that_is_cut_or_something_else(stored, harm):
    harm(stored / "prior.npz")
    with pytest.raises(ValueError, match=r"prior\.npz .*prepare this data"):
        mocap.read(stored)


@pytest.mark.parametrize(
    "changes",
    [{"betas": np.zeros((3, 10))}, {"pose": np.zeros((4, 24, 3))}],
)
def test_prior_of_another_form(stored, changes):
    prior = {"pose": np.zeros((4, 72)), "betas": np.zeros((4, 10))}
    prior["topology"] = np.array("open-v1")
    np.savez(stored / "prior.npz", **(prior | changes))
    with pytest.raises(ValueError, match=r"shapes .*expected pose \(N, 72\)"):
        mocap.read(stored)


@pytest.mark.parametrize("read", [array_files.read_npy, array_files.read_npz])
def test_a_missing_file_is_named_with_what_to_do(tmp_path, read):
    with pytest.raises(FileNotFoundError) as caught:
        read(tmp_path / "a.npy", "three rows", "Make it again.")
    message = str(caught.value)
    assert str(tmp_path / "a.npy") in message
    assert message.endswith("expected three rows. Make it again.")


@pytest.mark.parametrize("write", [np.save, np.savez_compressed])
def test_no_changed_byte_raises_anything_else(tmp_path, write, rng):
    name = "a.npy" if write is np.save else "a.npz"
    read = array_files.read_npy if write is np.save else array_files.read_npz
    buffer, path = io.BytesIO(), tmp_path / name
    write(buffer, rng.random((3, 5)))
    refused = []
    for position in range(len(buffer.getvalue())):
        for bits in (0x01, 0x80, 0xFF):
            data = bytearray(buffer.getvalue())
            data[position] ^= bits
            path.write_bytes(data)
            try:
                content = read(path, "three rows", "Make it again.")
                dict(content) if write is np.savez_compressed else None
            except ValueError as error:  # anything else fails the test
                refused.append(str(error))
    assert len(refused) > 100
    for message in refused:
        assert str(path) in message
        assert message.endswith("xpected three rows. Make it again.")


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("kintree_table", np.zeros(3)),
        ("keypoint_names", np.zeros((2, 2))),
        ("lite_faces", np.array("no numbers")),
    ],
)
def test_an_array_that_is_not_what_its_name_says_names_the_file(
    body_path, key, wrong
):
    with np.load(body_path) as stored:
        arrays = dict(stored)
    np.savez(body_path, **(arrays | {key: wrong}))
    with pytest.raises(ValueError, match=r"body\.npz"):
        BodyData.load(body_path)
