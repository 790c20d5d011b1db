"""A run's folder: who may train there, and on what."""

import copy
import sys
from importlib import machinery

import pytest

from tests.support import toy_method
from training.engine import workdir

SETTLED = {
    "sources": [
        {
            "records": "data/coco",
            "share": 1.0,
            "labels": "2d",
            "shards": [0, 1],
            "split": "train",
        }
    ],
    "topology": "open-v1",
}


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with (
        workdir.locked(tmp_path / "run"),
        pytest.raises(ValueError, match=r"Another process.*--workdir"),
        workdir.locked(tmp_path / "run"),
    ):
        pytest.fail("it was held twice")
    with workdir.locked(tmp_path / "run"):
        assert workdir.noted(tmp_path / "run") == {}


def test_a_run_goes_on_with_the_records_it_began_with(tmp_path):
    relocated = copy.deepcopy(SETTLED)
    relocated["sources"][0] |= {"records": "/elsewhere/coco", "shards": (0, 1)}
    workdir.check_same_data(tmp_path, SETTLED, relocated)
    for change, name in (
        ({"records": "data/synthetic"}, "synthetic"),
        ({"labels": "all"}, "all"),
        ({"share": 0.5}, "0.5"),
    ):
        changed = copy.deepcopy(SETTLED)
        changed["sources"][0] |= change
        with pytest.raises(ValueError, match=rf"records were.*{name}"):
            workdir.check_same_data(tmp_path, SETTLED, changed)
    changed = copy.deepcopy(SETTLED) | {"topology": "smpl"}
    with pytest.raises(ValueError, match=r"body were.*smpl.*--body"):
        workdir.check_same_data(tmp_path, SETTLED, changed)


def test_a_foreign_file_among_the_checkpoints_is_no_step(tmp_path):
    folder = tmp_path / workdir.CHECKPOINTS
    folder.mkdir()
    for name in ("ckpt-7.index", "ckpt-x.index", "damaged-ckpt-8.index"):
        (folder / name).touch()
    assert workdir.saved_steps(tmp_path) == [7]


@pytest.mark.parametrize("name", ["²", "٣", "07", "-1", "1_0", ""])
def test_a_number_that_no_run_writes_is_no_step(tmp_path, name):
    folder = tmp_path / workdir.CHECKPOINTS
    folder.mkdir()
    (folder / f"ckpt-{name}.index").touch()
    (folder / "ckpt-7.index").touch()
    assert workdir.saved_steps(tmp_path) == [7]


@pytest.fixture
def claimed(tmp_path):
    choices = copy.deepcopy(SETTLED) | {"precision": "float32"}
    workdir.claim(tmp_path, toy_method.EXPERIMENT, choices)
    return tmp_path


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", "[" * 100_000])
@pytest.mark.parametrize(
    "name", [workdir.CONFIG_FILE, workdir.ENVIRONMENT_FILE]
)
def test_a_damaged_file_of_the_run_is_named(claimed, name, text):
    (claimed / name).write_text(text)
    with pytest.raises(ValueError, match="--workdir") as caught:
        workdir.settled(claimed, toy_method.EXPERIMENT)
    assert str(claimed / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"precision": None},
        {"precision": "float17"},
        {"sources": None},
        {"sources": [3]},
        {"sources": [{"share": 1.0}]},
        {"sources": "coco"},
    ],
    ids=str,
)
def test_choices_of_no_run_are_named(claimed, change):
    choices = workdir.settled(claimed, toy_method.EXPERIMENT)
    workdir.check_same_data(claimed, choices, choices)
    with pytest.raises(ValueError, match=r"environment.json is damaged"):
        workdir.check_same_data(claimed, choices | change, choices)


@pytest.mark.parametrize(
    "name", ["checkpoints", "best", "tensorboard", "fits", ""]
)
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, name):
    path = tmp_path / "run" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    with (
        pytest.raises(ValueError, match=rf"{path} is a file, expected a fo"),
        workdir.locked(tmp_path / "run"),
    ):
        pytest.fail("it was locked")
    assert path.read_text() == "x"


@pytest.mark.parametrize(
    "name", ["lock", "metrics.jsonl", "experiment.json", "environment.json"]
)
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with (
        pytest.raises(ValueError, match=rf"{name} is a folder, expected a fi"),
        workdir.locked(tmp_path),
    ):
        pytest.fail("it was locked")


def test_the_command_names_the_module_and_not_its_path(monkeypatch):
    spec = machinery.ModuleSpec("training.claims.__main__", None)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    typed = ["clone/training/claims/__main__.py", "--out", "my runs"]
    monkeypatch.setattr(sys, "argv", typed)
    command = workdir.environment()["command"]
    assert command == "python -m training.claims --out 'my runs'"
