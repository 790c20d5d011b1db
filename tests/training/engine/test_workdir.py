"""A run's folder: who may train there, and on what."""

import copy

import pytest

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
    moved = copy.deepcopy(SETTLED)
    moved["sources"][0] |= {"records": "/elsewhere/coco", "shards": (0, 1)}
    workdir.check_same_data(tmp_path, SETTLED, moved)
    for change, name in (
        ({"records": "data/synthetic"}, "synthetic"),
        ({"labels": "all"}, "all"),
        ({"share": 0.5}, "0.5"),
    ):
        other = copy.deepcopy(SETTLED)
        other["sources"][0] |= change
        with pytest.raises(ValueError, match=rf"records were.*{name}"):
            workdir.check_same_data(tmp_path, SETTLED, other)
    other = copy.deepcopy(SETTLED) | {"topology": "smpl"}
    with pytest.raises(ValueError, match=r"body were.*smpl.*--body"):
        workdir.check_same_data(tmp_path, SETTLED, other)


def test_a_foreign_file_among_the_checkpoints_is_no_step(tmp_path):
    folder = tmp_path / workdir.CHECKPOINTS
    folder.mkdir()
    for name in ("ckpt-7.index", "ckpt-x.index", "damaged-ckpt-8.index"):
        (folder / name).touch()
    assert workdir.saved_steps(tmp_path) == [7]
