"""A model folder whose files are damaged is refused; a whole one loads."""

import json
import shutil

import h5py
import numpy as np
import pytest

from tf_hmr import method
from tf_hmr.formats import model_files


@pytest.fixture
def folder(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "copy")


def change_config(folder, **changes):
    path = folder / method.CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder, body_data) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        method.load(folder, body_data, jit=False)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    return message


@pytest.mark.parametrize("kind", ["bit", "zeros", "cut"])
def test_weights_of_another_checksum_are_refused(folder, body_data, kind):
    path = folder / method.WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if kind == "bit":
        content[middle] ^= 0x40
    elif kind == "zeros":
        content[middle : middle + 4096] = bytes(4096)
    else:
        del content[1000:]
    path.write_bytes(content)
    message = refused(folder, body_data)
    assert method.WEIGHTS_FILE in message and "is damaged" in message
    with pytest.raises(ValueError, match="is damaged"):
        model_files.check_folder(folder)


def spoil_weights(folder) -> str:
    """Makes one array NaN; returns its name in the file."""
    with h5py.File(folder / method.WEIGHTS_FILE, "r+") as file:
        names = []
        file.visititems(
            lambda name, node: (
                names.append(name) if isinstance(node, h5py.Dataset) else None
            )
        )
        name = next(n for n in names if file[n].dtype == np.float32)
        file[name][...] = np.nan
    return name


def test_a_folder_of_before_checksums_loads_but_not_with_nans(
    folder, body_data, model, no_building
):
    config = folder / method.CONFIG_FILE
    content = json.loads(config.read_text())
    assert len(content.pop(model_files.DIGESTS)) == 1
    config.write_text(json.dumps(content))
    before = model.get_weights()
    method.load(folder, body_data, jit=False)
    model_files.check_folder(folder)
    name = spoil_weights(folder)
    try:
        message = refused(folder, body_data)
    finally:
        model.set_weights(before)
    assert "not finite" in message and method.WEIGHTS_FILE in message
    with pytest.raises(ValueError, match=f"not finite, the first is {name}"):
        model_files.check_folder(folder)


def test_weights_that_a_run_replaces_meanwhile_are_not_damaged(
    folder, monkeypatch
):
    """Several times, while the checksum of the last ones is computed."""
    numbers = iter(range(5))
    digest = model_files.digest

    def digest_of_next(path):
        number = next(numbers, None)
        if number is None:
            return digest(path)
        path.write_bytes(f"weights {number}".encode())
        stored = model_files.read_config(folder)
        stored.pop(model_files.DIGESTS)
        model_files.write_config(folder, stored, [digest(path)])
        return "of the ones before"

    monkeypatch.setattr(model_files, "digest", digest_of_next)
    model_files.check_digest(folder)
    (folder / method.WEIGHTS_FILE).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="is damaged"):
        model_files.check_digest(folder)


def test_a_save_that_stops_between_its_renames_leaves_a_whole_folder(
    folder, model, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    before = model.get_weights()
    try:
        model.set_weights([value + 1 for value in before])
        monkeypatch.setattr(method.model_files, "write_config", stop)
        with pytest.raises(KeyboardInterrupt):
            method.save(model, folder)
        model_files.check_folder(folder)
        monkeypatch.undo()
        with monkeypatch.context() as patch:
            write = method.model_files.write_config
            patch.setattr(
                method.model_files,
                "write_config",
                lambda folder, content, digests: (
                    write(folder, content, digests)
                    if len(digests) == 2
                    else stop()
                ),
            )
            with pytest.raises(KeyboardInterrupt):
                method.save(model, folder)
        # New weights under the old config, which admits them.
        stored = model_files.read_config(folder)[model_files.DIGESTS]
        assert len(stored) == 2
        digest = model_files.digest(folder / method.WEIGHTS_FILE)
        assert digest == stored[1] != stored[0]
        model_files.check_folder(folder)
        method.save(model, folder)
        assert model_files.read_config(folder)[model_files.DIGESTS] == [digest]
    finally:
        model.set_weights(before)


TEXTS = ["", "null", "3", "[]", "{", "[" * 100_000, '{"method": "hmr"}']


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_config_that_is_none_is_named(folder, body_data, text):
    (folder / method.CONFIG_FILE).write_text(text)
    assert method.CONFIG_FILE in refused(folder, body_data)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"joint_names": None}, "joint_names"),
        ({"joint_names": []}, "joint_names"),
        ({"joint_names": 3 * ["nose"]}, "joint_names"),
        ({"joint_names": ["<b>"]}, "<b>"),
        ({"joint_names": [["nose"]]}, "joint_names"),
        ({"config": []}, "config"),
        ({"config": None}, "config"),
        ({"method": None}, "method"),
        ({"method": "os"}, "os"),
        ({"topology": 3}, "topology"),
        ({"weights_sha256": "x"}, "weights_sha256"),
    ],
)
def test_entries_of_another_kind_are_named(folder, body_data, change, field):
    change_config(folder, **change)
    message = refused(folder, body_data)
    assert method.CONFIG_FILE in message and field in message


@pytest.mark.parametrize(
    "change",
    [
        {"crop_scale": -1},
        {"crop_scale": float("nan")},
        {"crop_scale": "1"},
        {"rotation": "quat"},
        {"iterations": 0},
        {"image_size": None},
        {"unknown": 1},
    ],
    ids=str,
)
def test_values_without_a_meaning_are_named(folder, body_data, change):
    path = folder / method.CONFIG_FILE
    config = json.loads(path.read_text())["config"] | change
    change_config(folder, config=config)
    message = refused(folder, body_data)
    assert method.CONFIG_FILE in message and next(iter(change)) in message
