"""Files of torch.save: both layouts, and what a hostile one may not do."""

import pickle
import struct
import zipfile

import numpy as np
import pytest

from tests.support import torch_writer
from tests.support.closeness import assert_close
from tf_hmr.formats import torch_files

WRITERS = {
    "zip": torch_writer.write_zip,
    "pickles": torch_writer.write_pickles,
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    def to_file(content):
        path = tmp_path / "file.pt"
        WRITERS[request.param](path, content)
        return path

    return to_file


def test_arrays_come_back(write, rng):
    arrays = {
        "float": rng.normal(size=(3, 4)).astype(np.float32),
        "double": rng.normal(size=(2, 1, 5)),
        "half": rng.normal(size=6).astype(np.float16),
        "long": np.arange(5),
        "flag": np.array([True, False]),
        "bytes": np.arange(4, dtype=np.uint8),
        "scalar": np.float32(3.5),
        "empty": np.zeros((0, 3), np.float32),
    }
    content = torch_files.load(
        write({"model": torch_writer.tensors(arrays), "epoch": 3})
    )
    assert content["epoch"] == 3 and list(content["model"]) == list(arrays)
    for name, array in arrays.items():
        tensor = content["model"][name]
        assert tensor.shape == array.shape
        assert tensor.numpy().dtype == array.dtype
        assert_close("exact", tensor.numpy(), array)


def test_a_view_of_a_storage(write):
    """Transposed, and from the third number on."""
    values = np.arange(20, dtype=np.float32)
    view = torch_writer.Tensor(
        values, 0, offset=2, shape=(3, 4), strides=(1, 3)
    )
    array = torch_files.load(write([view]))[0].numpy()
    assert_close("exact", array, values[2:14].reshape(4, 3).T)


@pytest.mark.parametrize(
    "stated",
    [
        {"shape": (7,)},
        {"offset": 1},
        {"offset": -1},
        {"strides": (-1,)},
        {"strides": (2,)},
        {"shape": (6, 10**12), "strides": (1, 0)},
        {"shape": (-6,)},
        {"shape": (2, 3)},
    ],
)
def test_a_tensor_outside_its_storage_is_refused(write, stated):
    values = torch_writer.Tensor(np.zeros(6, np.float32), 0, **stated)
    with pytest.raises(ValueError, match="could not be read"):
        torch_files.load(write({"a": values}))


@pytest.mark.parametrize("count", [5, 7, 10**15, -6])
def test_a_storage_of_another_size_than_stated_is_refused(write, count):
    values = torch_writer.Tensor(np.zeros(6, np.float32), 0, count=count)
    path = write({"a": values})
    with pytest.raises(ValueError, match=r"could not be read.*fetch it again"):
        torch_files.load(path)


class Foreign:
    def __reduce__(self):
        return print, ("run",)


def test_nothing_of_a_file_is_run(write, capsys):
    with pytest.raises(ValueError, match=r"asks for __builtin__.print.*state"):
        torch_files.load(write({"model": Foreign()}))
    assert capsys.readouterr().out == ""


def test_cut_short_anywhere_is_one_error(write):
    arrays = {"a": np.ones(50, np.float32), "b": np.ones((3, 3))}
    path = write({"model": torch_writer.tensors(arrays)})
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 13):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="could not be read"):
            torch_files.load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The count before the numbers of the second storage.
        (struct.pack("<q", 3), struct.pack("<q", 2)),
        (pickle.dumps(["0", "1"], 2), pickle.dumps(["0"], 2)),
        (pickle.dumps(["0", "1"], 2), pickle.dumps(["0", "2"], 2)),
    ],
)
def test_storages_of_pickles_are_those_that_are_listed(tmp_path, old, new):
    path = tmp_path / "a.pt"
    arrays = {"a": np.ones(6), "b": np.ones(3)}
    torch_writer.write_pickles(path, torch_writer.tensors(arrays))
    stored = path.read_bytes()
    assert stored.count(old) == 1
    path.write_bytes(stored.replace(old, new))
    with pytest.raises(ValueError, match="could not be read"):
        torch_files.load(path)


def test_what_no_reader_knows_of_pickles_is_refused(tmp_path):
    """Another protocol; a storage that is part of another one."""
    path = tmp_path / "a.pt"
    torch_writer.write_pickles(path, [])
    stored, protocol = path.read_bytes(), pickle.dumps(1001, 2)
    path.write_bytes(stored.replace(protocol, pickle.dumps(1002, 2)))
    with pytest.raises(ValueError, match="its protocol is 1002, not 1001"):
        torch_files.load(path)
    part = torch_writer.Tensor(np.ones(2), 0, view=("1", 0, 2))
    torch_writer.write_pickles(path, [part])
    with pytest.raises(ValueError, match="part of another one"):
        torch_files.load(path)


def test_damaged_numbers_of_a_zip_are_found(tmp_path):
    path = tmp_path / "a.pt"
    torch_writer.write_zip(path, torch_writer.tensors({"a": np.ones(50)}))
    stored = bytearray(path.read_bytes())
    stored[stored.index(np.ones(50).tobytes()) + 100] ^= 1
    path.write_bytes(stored)
    with pytest.raises(ValueError, match="CRC"):
        torch_files.load(path)["a"].numpy()


def test_a_packed_zip_is_refused(tmp_path):
    """torch.save does not pack; a bomb would."""
    path = tmp_path / "a.pt"
    content = torch_writer.tensors({"a": np.zeros(10**5)})
    torch_writer.write_zip(path, content, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        torch_files.load(path)


def test_other_files_say_what_they_are_not(tmp_path):
    path = tmp_path / "a.pt"
    for nothing in (path, tmp_path):
        with pytest.raises(FileNotFoundError, match="Expected.*torch.save"):
            torch_files.load(nothing)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="begins with.*file of torch.save"):
        torch_files.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(ValueError, match="0 members are called data.pkl"):
        torch_files.load(path)


def test_big_ends_first_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}):
            pickle.dump(value, file, protocol=2)
        file.write(struct.pack("<q", 0))
    with pytest.raises(ValueError, match="big end first"):
        torch_files.load(path)
    torch_writer.write_zip(path, torch_writer.tensors({"a": np.ones(2)}))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["archive/byteorder"] = b"big"
    with zipfile.ZipFile(path, "w") as rewritten:
        for name, content in members.items():
            rewritten.writestr(name, content)
    with pytest.raises(ValueError, match="'big' end first"):
        torch_files.load(path)


def test_a_compressed_pickle_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"N0" * 2**24 + b"N.")
    with pytest.raises(ValueError, match=r"data.pkl has \d+ bytes, compressed"):
        torch_files.load(path)


NAMES = ("conv1.weight", "layer1.0.bn1.bias", "fc.bias")


def tensors(prefix="", start=0, names=NAMES):
    """A state_dict; each storage of a file has its own number."""
    return {
        f"{prefix}{name}": torch_writer.Tensor(np.full(2, number), number)
        for number, name in enumerate(names, start)
    }


@pytest.mark.parametrize(
    ("content", "prefix", "other_entries"),
    [
        (tensors(), "", []),
        ({"model": tensors(), "epoch": 3}, "", ["epoch"]),
        ({"state_dict": tensors(), "optimizer": {}}, "", ["optimizer"]),
        (tensors("module."), "module.", []),
        ({"model": tensors("module.")}, "module.", []),
        ({"state_dict": tensors("model.")}, "model.", []),
        ({"state_dict": tensors("model.module.")}, "model.module.", []),
        ({"net": {"weights": tensors("a.b."), "x": 1}}, "a.b.", ["net.x"]),
        ({"model": tensors(), "ema": tensors(start=7)}, "", ["ema"]),
        ({"ema": tensors(start=7), "state_dict": tensors()}, "", ["ema"]),
        (tensors("ema.", 7) | tensors("model."), "model.", []),
    ],
)
def test_a_network_lies_under_any_key_and_prefix(
    tmp_path, content, prefix, other_entries
):
    path = tmp_path / "a.pt"
    torch_writer.write_zip(path, content)
    stored = torch_files.state_dict(path, NAMES)
    values = [stored.tensors[name].numpy().tolist() for name in NAMES]
    assert values == [[0, 0], [1, 1], [2, 2]]
    assert (stored.prefix, stored.other_entries) == (prefix, other_entries)


def test_tensors_beside_the_network_have_their_whole_names(tmp_path):
    path = tmp_path / "a.pt"
    loss_tensors = tensors(start=5, names=("loss.weight", "fc.bias"))
    torch_writer.write_zip(
        path, {"state_dict": tensors("model.") | loss_tensors}
    )
    stored = torch_files.state_dict(path, NAMES)
    assert sorted(stored.tensors) == sorted((*NAMES, "loss.weight"))
    assert stored.tensors["fc.bias"].numpy().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], "holds a list, expected the dictionary"),
        ({"epoch": 3}, r"no tensors by name \('epoch' is a int\)"),
        (
            {"state_dict": tensors("net_a.") | tensors("net_b.", 7)},
            r"2 times: as 'state_dict' 'net_a.', 'state_dict' 'net_b.'",
        ),
        (
            {f"part{number}": number for number in range(300)},
            "'part4' is a int, and 295 more",
        ),
    ],
)
def test_a_file_without_one_network_is_one_short_line(tmp_path, content, words):
    path = tmp_path / "a.pt"
    torch_writer.write_zip(path, content)
    with pytest.raises(ValueError, match=words) as error:
        torch_files.state_dict(path, NAMES)
    assert len(str(error.value)) < 400


def test_dictionaries_within_each_other_end(tmp_path):
    content: dict = {"a": tensors()}
    for _ in range(30):
        content = {"left": content, "right": content}
    content["self"] = content
    path = tmp_path / "a.pt"
    torch_writer.write_zip(path, content)
    with pytest.raises(ValueError, match="no tensors by name"):
        torch_files.state_dict(path, NAMES)
