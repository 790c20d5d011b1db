"""The benchmark of SMPLR's parts runs, and shows the paper's figures."""

import pytest

from training.benchmarks import _peers, smplr

TINY = {"stacks": 1, "width": 8, "image_size": 64, "hidden": 8, "rounds": 1}


def test_a_tiny_run_prints_a_table(monkeypatch, capsys):
    # Its settings must precede TensorFlow's start.
    monkeypatch.setattr(_peers, "one_core", lambda: None)
    options = smplr.Options(parts=("dae",), points=4, **TINY)
    cells = smplr.run(options)
    assert [cell["step"] for cell in cells] == list(smplr.ROWS)
    assert all(cell["seconds"] > 0 for cell in cells)
    lines = capsys.readouterr().out.splitlines()[1:]
    # The paper's figure stands beside the same batch alone.
    assert [line.split()[-1] for line in lines] == ["-", "-", "0.007"]
    assert cells[0]["paper_batch"] == 256 and cells[0]["paper_s"] == 0.054


@pytest.mark.slow
def test_every_part_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(_peers, "one_core", lambda: None)
    cells = smplr.run(smplr.Options(images=1, points=4, **TINY))
    assert [cell["part"] for cell in cells] == [
        name for name in smplr.COLUMNS.values() for _ in smplr.ROWS
    ]
    assert cells[0]["paper_s"] == 2.8


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"No part \['3d'\].*volumetric"):
        smplr.run(smplr.Options(parts=("3d",)))
