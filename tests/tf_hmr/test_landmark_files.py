import gzip
import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tf_hmr import landmark_files

CONTENT = b"network of people" * 9


def network(**fields) -> landmark_files.NetworkFile:
    values = {
        "name": "people.tflite",
        "member": "modules/people.tflite",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "size": len(CONTENT),
    }
    return landmark_files.NetworkFile(**{**values, **fields})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and networks that a test can make."""
    monkeypatch.setenv("TF_HMR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(landmark_files, "OF_WHEEL", (network(),))
    crowds = network(name="persons.tflite", first=7, crowds=True)
    monkeypatch.setattr(landmark_files, "PERSONS", crowds)
    return tmp_path / "cache" / "landmark_networks"


@pytest.fixture
def no_download(monkeypatch):
    def run(*_, **__):
        raise AssertionError("something was downloaded")

    monkeypatch.setattr(subprocess, "run", run)


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("modules/people.tflite", CONTENT)
    return path


def tool_that_writes(make, status=0, stderr=""):
    """A subprocess.run that lets `make` write into pip's or npm's folder."""

    def run(command, **_):
        option = "--dest" if "--dest" in command else "--pack-destination"
        make(command[command.index(option) + 1])
        return subprocess.CompletedProcess(command, status, "", stderr)

    return run


def test_networks_of_a_wheel_lie_in_the_cache(
    cache, wheel, capsys, no_download
):
    assert landmark_files.main(["--from", str(wheel)]) == 0
    assert capsys.readouterr().out == f"{cache / 'people.tflite'}\n"
    assert landmark_files.read(network()) == CONTENT
    # There is nothing more to do, and nothing is said.
    assert landmark_files.main([]) == 0
    assert capsys.readouterr().out == ""


def test_a_missing_wheel_is_downloaded_without_its_dependencies(
    wheel, monkeypatch, capsys
):
    commands = []

    def make(folder):
        (wheel.parent / "some.whl").rename(f"{folder}/mediapipe.whl")

    tool = tool_that_writes(make)
    monkeypatch.setattr(
        subprocess, "run", lambda c, **k: commands.append(c) or tool(c, **k)
    )
    assert landmark_files.main([]) == 0
    assert landmark_files.read(network()) == CONTENT
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert "--no-deps" in command and landmark_files.WHEEL in command


def test_pip_that_fails_is_one_line_with_what_to_type(monkeypatch, capsys):
    tool = tool_that_writes(lambda folder: None, 1, "a\nb\nERROR: no\nnetwork")
    monkeypatch.setattr(subprocess, "run", tool)
    assert landmark_files.main([]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "pip failed: b ERROR: no network" in errors
    assert "--from WHEEL" in errors


def test_a_network_that_is_not_there(cache):
    with pytest.raises(FileNotFoundError, match=r"missing \(sha256 ") as error:
        landmark_files.read(network())
    assert str(error.value).endswith(
        "Get it by `python -m tf_hmr.landmark_files`."
    )
    with pytest.raises(FileNotFoundError, match="--crowds"):
        landmark_files.read(landmark_files.PERSONS)


def test_an_altered_network_is_refused_and_replaced(cache, wheel):
    landmark_files.fetch(wheel)
    (cache / "people.tflite").write_bytes(CONTENT[:-1] + b"X")
    with pytest.raises(ValueError, match="altered: its sha256 is ") as error:
        landmark_files.read(network())
    assert network().sha256 in str(error.value)
    landmark_files.fetch(wheel)
    assert landmark_files.read(network()) == CONTENT


@pytest.mark.parametrize(
    "content, message",
    [
        (b"PK no wheel", "is not a wheel"),
        (None, "no such wheel"),
    ],
)
def test_a_file_that_is_no_wheel(tmp_path, capsys, content, message):
    path = tmp_path / "other.whl"
    if content:
        path.write_bytes(content)
    assert landmark_files.main(["--from", str(path)]) == 1
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1


def test_an_encrypted_wheel_is_one_line(wheel, capsys):
    content = bytearray(wheel.read_bytes())
    for start in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[start] |= 1  # The flags of the member.
    wheel.write_bytes(content)
    assert landmark_files.main(["--from", str(wheel)]) == 1
    errors = capsys.readouterr().err
    assert "is not a wheel" in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    "damaged",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-8] + b"checksum",
        lambda content: content[:20] + b"\xff" * 20 + content[40:],
    ],
    ids=["cut", "checksum", "inside"],
)
def test_a_damaged_tarball_is_one_line(wheel, monkeypatch, capsys, damaged):
    landmark_files.fetch(wheel)

    def make(folder):
        packed = gzip.compress(b"no tarball" * 2000)
        Path(f"{folder}/objectron.tgz").write_bytes(damaged(packed))

    monkeypatch.setattr(landmark_files.shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", tool_that_writes(make))
    assert landmark_files.main(["--crowds"]) == 1
    errors = capsys.readouterr().err
    assert "is not npm's package" in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    "member, content, message",
    [
        ("modules/people.tflite", CONTENT[::-1], "not the published network"),
        ("modules/people.tflite", CONTENT + b" ", None),
        ("modules/dogs.tflite", CONTENT, "is not a wheel"),
    ],
)
def test_a_wheel_of_another_version(
    cache, tmp_path, capsys, member, content, message
):
    path = tmp_path / "later.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    status = landmark_files.main(["--from", str(path)])
    if message is None:  # What follows the network does not count.
        assert status == 0
        return
    assert status == 1
    assert message in capsys.readouterr().err
    assert not cache.exists()


def test_the_detector_of_persons_comes_from_the_middle_of_a_file(
    cache, wheel, monkeypatch, capsys
):
    landmark_files.fetch(wheel)

    def make(folder):
        content = b"*" * 7 + CONTENT + b"more"
        entry = tarfile.TarInfo("modules/people.tflite")
        entry.size = len(content)
        with tarfile.open(f"{folder}/objectron.tgz", "w:gz") as archive:
            archive.addfile(entry, io.BytesIO(content))

    monkeypatch.setattr(landmark_files.shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", tool_that_writes(make))
    assert landmark_files.main(["--crowds"]) == 0
    assert landmark_files.read(landmark_files.PERSONS) == CONTENT


def test_crowds_without_npm_are_one_line(wheel, monkeypatch, capsys):
    landmark_files.fetch(wheel)
    monkeypatch.setattr(landmark_files.shutil, "which", lambda name: None)
    assert landmark_files.main(["--crowds"]) == 1
    assert "Install Node.js, or leave" in capsys.readouterr().err
