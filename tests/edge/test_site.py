"""The folder of the page: what is in it, and what is refused."""

import json
import re
import subprocess
import threading
import urllib.request

import pytest

from edge import site
from edge.tasks import export
from tests.support.paths import ROOT
from tf_hmr import landmark_files


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A folder with the runtime's files, as npm leaves them."""
    web = tmp_path / "web"
    for name in ("package.json", "package-lock.json"):
        web.mkdir(exist_ok=True)
        (web / name).write_bytes((site.WEB / name).read_bytes())
    modules = web / "node_modules"
    for folder in site._RUNTIME.values():
        (modules / folder).mkdir(parents=True)
        (modules / folder / "index.js").write_text("export {};\n")
    (modules / site._RUNTIME["wasm"] / "run.wasm").write_bytes(b"\0asm")
    for pattern in site.PAGE:
        for path in site.WEB.glob(pattern):
            copied = web / path.relative_to(site.WEB)
            copied.parent.mkdir(exist_ok=True)
            copied.write_bytes(path.read_bytes())
    monkeypatch.setattr(site, "WEB", web)
    return modules


@pytest.fixture
def write(tmp_path, monkeypatch, runtime, tflite):
    """Runs the command, with a small network in the place of the lifter."""

    def exported(args):
        for source, path in zip(
            site._model_files(tflite), site._model_files(args.out), strict=True
        ):
            path.write_bytes(source.read_bytes())

    monkeypatch.setattr(export, "export", exported)

    def command(*models, out="site"):
        return site.main(site.Args(tmp_path / out, model=models))

    return command


def content_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_site_has_all_that_the_page_asks_for(write, tmp_path, tflite):
    assert write(tflite) == 0
    folder = tmp_path / "site"
    names = set(content_of(folder))
    described = json.loads((folder / "site.json").read_text())
    assert described["models"] == [
        {"name": "small", "title": "small: hmr, float32"},
        {"name": "lifter", "title": "BlazePose and the lifter"},
    ]
    for model in described["models"]:
        stem = f"models/{model['name']}"
        ends = (".tflite", ".card.json", ".mesh.npz")
        assert {stem + end for end in ends} <= names
    assert set(described["networks"]) == {"people", "faces", "landmarks"}
    assert set(described["networks"].values()) <= names
    assert set(described["page"]) - {"./"} <= names
    # Without a network the page has no more than these.
    page = {
        name
        for name in names
        if not name.startswith(("vendor/", "networks/", "models/"))
    }
    unlisted_files = {"index.html", "sw.js", "site.json", "NOTICE.txt"}
    assert page - unlisted_files == set(described["page"]) - {"./"}
    for name in sorted(page):
        if name.endswith((".js", ".html")):
            text = (folder / name).read_text()
            for link in re.findall(
                r'(?:from |import\(|src=|href=)"([^"]+)"', text
            ):
                if link.startswith(("@", "#")) or "#" in link:
                    continue
                path = (folder / name).parent / link
                assert path.is_file(), f"{name} asks for {link}"
    assert "vendor/wasm/run.wasm" in names


def test_a_changed_site_has_another_version(write, tmp_path, tflite):
    assert write() == 0
    first = content_of(tmp_path / "site")
    assert write() == 0
    assert content_of(tmp_path / "site") == first
    assert write(tflite) == 0
    second = content_of(tmp_path / "site")
    versions = [
        json.loads(content["site.json"])["version"]
        for content in (first, second)
    ]
    assert versions[0] != versions[1]
    assert f'const VERSION = "{versions[1]}";' in second["sw.js"].decode()
    assert write() == 0
    assert content_of(tmp_path / "site") == first, "the older model is gone"


def test_other_files_are_left_alone(write, tmp_path, caplog):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"mine")
    assert write(out="photos") == 1
    (record,) = caplog.records
    assert "holds other files" in record.message
    assert content_of(folder) == {"a.jpg": b"mine"}


def test_bad_models_are_one_line_and_leave_the_older_site(
    write, tmp_path, tflite, caplog
):
    assert write() == 0
    before = content_of(tmp_path / "site")
    files = dict(zip("abc", site._model_files(tflite), strict=True))
    bad = tmp_path / "bad.tflite"
    for source, path in zip(
        files.values(), site._model_files(bad), strict=True
    ):
        path.write_bytes(source.read_bytes())
    bad.write_bytes(tflite.read_bytes()[:-1])
    without_card = tmp_path / "alone.tflite"
    without_card.write_bytes(tflite.read_bytes())
    inside = tmp_path / "site" / "models" / "lifter.tflite"
    inside = inside.rename(inside.with_name("other.tflite"))
    for path in site._model_files(inside)[1:]:
        path.write_bytes(b"{}")
    for path, words in (
        (bad, "is damaged"),
        (without_card, "there is no alone.card.json"),
        (inside, "which is written anew"),
        (tmp_path / "gone.tflite", "there is no gone.tflite"),
    ):
        caplog.clear()
        assert write(path) == 1
        (record,) = caplog.records
        assert words in record.message and "\n" not in record.message
    inside.rename(inside.with_name("lifter.tflite"))
    for path in site._model_files(inside)[1:]:
        path.unlink()
    assert content_of(tmp_path / "site") == before


def test_missing_networks_and_npm_are_one_line(
    write, tmp_path, monkeypatch, caplog, runtime
):
    runtime.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert write() == 1
    assert "there is no npm here" in caplog.records[-1].message
    monkeypatch.setenv("TF_HMR_CACHE", str(tmp_path / "none"))
    assert write() == 1
    assert landmark_files.COMMAND in caplog.records[-1].message
    assert not (tmp_path / "site" / "site.json").exists()


def test_npm_that_fails_is_one_line(
    write, tmp_path, monkeypatch, caplog, runtime
):
    runtime.rename(tmp_path / "elsewhere")
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho no registry >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert write() == 1
    assert "npm failed: no registry" in caplog.records[-1].message


def test_the_server_isolates_the_page(tmp_path):
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "a.wasm").write_bytes(b"\0asm")
    with site.server(tmp_path, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        port = running.server_address[1]
        answers = [
            urllib.request.urlopen(f"http://localhost:{port}/{name}")
            for name in ("", "a.wasm")
        ]
        with pytest.raises(OSError, match="Give another port"):
            site.server(tmp_path, port)
        running.shutdown()
        thread.join()
    page, wasm = (dict(answer.headers) for answer in answers)
    assert page["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert wasm["Content-type"] == "application/wasm"


def test_git_has_neither_runtime_nor_packages():
    listed = subprocess.run(
        ["git", "ls-files", "edge/web"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert not [n for n in listed if "node_modules" in n or ".wasm" in n]
