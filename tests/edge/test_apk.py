"""`make apk` says in one line what it cannot build from; it builds nothing."""

import concurrent.futures
import hashlib
import json
import os
import shutil
import stat

import pytest

from edge.apk import __main__ as command
from edge.apk import libraries, package, sources, tools

NETWORK = b"\x1c\0\0\0TFL3 a network"
MESH = b"triangles"


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def model(tmp_path):
    """The three files of an export, as far as the app's builder reads them."""
    path = tmp_path / "hmr.tflite"
    path.write_bytes(NETWORK)
    path.with_suffix(".mesh.npz").write_bytes(MESH)
    write_card(path)
    return path


def write_card(path, **changes):
    card = {
        "format": "tflite",
        "precision": "float32",
        "method": "hmr",
        "inputs": {"image": {}},
        "crop": {"scale": 1.2},
        "topology": "open-v1",
        "bytes": len(NETWORK),
        "sha256": digest(NETWORK),
        "mesh": {"file": "hmr.mesh.npz", "sha256": digest(MESH)},
    } | changes
    card = {key: value for key, value in card.items() if value is not None}
    path.with_suffix(".card.json").write_text(json.dumps(card))


def refusal(model, tmp_path, caplog):
    """What the command says in its one line."""
    out = tmp_path / "out" / "app.apk"
    assert command.main(command.Args(model, out)) == 1
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert not out.exists()
    return record.getMessage()


@pytest.fixture
def all_tools(monkeypatch):
    monkeypatch.setattr(tools, "missing", lambda: [])


def test_a_whole_export_is_taken(model):
    assert package.check_model(model)["method"] == "hmr"


def test_a_model_that_is_not_there(tmp_path, caplog, all_tools):
    says = refusal(tmp_path / "none.tflite", tmp_path, caplog)
    assert "none.tflite is missing" in says and "edge.export" in says


def damage(path, how):
    if how == "not of edge.export":
        path.with_suffix(".card.json").unlink()
        # A photo, say.
        path.write_bytes(b"\xff\xd8\xff\xe0" + NETWORK)
    elif how == "without a card":
        path.with_suffix(".card.json").unlink()
    elif how == "cut short":
        path.write_bytes(NETWORK[:-1])
    elif how == "without a mesh":
        path.with_suffix(".mesh.npz").unlink()
    elif how == "another mesh":
        path.with_suffix(".mesh.npz").write_bytes(b"other triangles")
    elif how == "an ONNX file":
        write_card(path, format="onnx")
    elif how == "an old card":
        write_card(path, sha256=None, mesh=None)
    elif how == "a damaged card":
        path.with_suffix(".card.json").write_text("{")
    elif how == "unknown inputs":
        write_card(path, inputs={"image": {}, "depth": {}})


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("not of edge.export", "does not say TFL3"),
        ("without a card", "The card of"),
        ("cut short", "is damaged"),
        ("without a mesh", "hmr.mesh.npz is missing"),
        ("another mesh", "is not the mesh of hmr.tflite"),
        ("an ONNX file", "another format"),
        ("an old card", "lacks mesh, sha256"),
        ("a damaged card", "is damaged"),
        ("unknown inputs", "reads depth"),
    ],
)
def test_files_that_no_export_wrote(
    how, words, model, tmp_path, caplog, all_tools
):
    damage(model, how)
    assert words in refusal(model, tmp_path, caplog)


def test_programs_that_are_missing_are_named(
    model, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    says = refusal(model, tmp_path, caplog)
    for name in ("openjdk-17-jdk-headless", "maven", "aapt", "apksigner"):
        assert name in says
    assert "apt-get install" in says
    with pytest.raises(FileNotFoundError, match="apt-get install zipalign"):
        tools.run("zipalign", "-c", "4", model)


def jdk(folder, version):
    """Something that looks like a JDK."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "javac").touch()
    release = folder / "release"
    release.write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


def test_the_latest_jdk_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "JDKS", tmp_path / "jvm")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(FileNotFoundError, match="Java 22 or later"):
        tools.jdk(22)
    jdk(tmp_path / "jvm" / "old", "1.8.0_402")
    jdk(tmp_path / "jvm" / "seventeen", "17.0.15")
    runtime_alone = tmp_path / "jvm" / "runtime"
    runtime_alone.mkdir()
    (runtime_alone / "release").write_text('JAVA_VERSION="30"\n')
    jdk(tmp_path / "jvm" / "damaged", "?")
    with pytest.raises(FileNotFoundError, match="JAVA_HOME"):
        tools.jdk(22)
    assert tools.jdk(17) == tmp_path / "jvm" / "seventeen"
    later = jdk(tmp_path / "later", "25.0.3")
    monkeypatch.setenv("JAVA_HOME", str(later))
    assert tools.jdk(22) == later


def test_gradle_gets_the_networks_and_the_shaders(model, tmp_path, capsys):
    assets = tmp_path / "assets"
    for _ in range(2):  # Also where an older one is.
        assert command.main(command.Args(model, assets=assets)) == 0
    assert "networks and shaders" in capsys.readouterr().out
    assert (assets / "model.tflite").read_bytes() == NETWORK
    names = {path.name for path in assets.iterdir()}
    assert "pose_landmark_full.tflite" in names
    assert "model.card.json" in names and "model.mesh.npz" in names
    assert (assets / "shaders" / "mesh.frag").read_bytes() == (
        sources.SHADERS / "mesh.frag"
    ).read_bytes()
    model.write_bytes(b"none")
    assert command.main(command.Args(model, assets=assets)) == 1


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of libraries."""
    monkeypatch.setenv("TF_HMR_CACHE", str(tmp_path / "cache"))
    return libraries.folder()


def test_libraries_are_checked(cache, monkeypatch):
    library = libraries.Library("a.group:thing:1.0:aar", digest(b"good"))
    assert library.name == "thing-1.0.aar"
    named = libraries.Library("a.group:thing:1.0:jar:linux-x86_64", "")
    assert named.name == "thing-1.0-linux-x86_64.jar"
    cache.mkdir(parents=True)
    path = cache / library.name
    path.write_bytes(b"good")
    assert libraries.fetch(library) == path
    path.write_bytes(b"bad")
    with pytest.raises(ValueError, match="damaged or altered"):
        libraries.fetch(library)


def fake_maven(folder, script, monkeypatch):
    folder.mkdir()
    program = folder / "mvn"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_download_that_fails_says_why(cache, tmp_path, monkeypatch):
    script = "echo '[ERROR] Could not find artifact thing'; exit 1"
    fake_maven(tmp_path / "bin", script, monkeypatch)
    library = libraries.Library("a.group:thing:1.0", digest(b"good"))
    with pytest.raises(OSError, match="Could not find artifact thing"):
        libraries.fetch(library)


WRITES_GOOD = """
for word in "$@"; do
  case $word in -DoutputDirectory=*) out=${word#*=};; esac
done
mkdir -p "$out" && printf good > "$out/thing-1.0.jar"
"""


def test_two_processes_download_a_library_once(cache, tmp_path, monkeypatch):
    """Each has its own lock, as two processes have."""
    calls = tmp_path / "calls"
    script = f"echo x >> {calls}; {WRITES_GOOD}\nsleep 0.3"
    fake_maven(tmp_path / "bin", script, monkeypatch)
    library = libraries.Library("a.group:thing:1.0", digest(b"good"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(libraries.fetch, [library] * 2))
    assert [path.read_bytes() for path in paths] == [b"good"] * 2
    assert calls.read_text() == "x\n"


def test_a_download_lands_whole(cache, tmp_path, monkeypatch):
    fake_maven(tmp_path / "bin", WRITES_GOOD, monkeypatch)
    library = libraries.Library("a.group:thing:1.0", digest(b"good"))
    assert libraries.fetch(library).read_bytes() == b"good"
    assert [path.name for path in cache.iterdir()] == ["thing-1.0.jar"]


def test_without_maven_the_message_says_what_to_install(cache, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="apt-get install maven"):
        libraries.fetch(libraries.DX)
