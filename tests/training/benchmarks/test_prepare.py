"""The benchmark of prepare: its set is COCO's, its figures are of the run."""

import pytest

from training.benchmarks import prepare
from training.data.records import shards


def test_all_people_of_the_made_up_set_are_prepared(tmp_path):
    kib = prepare.write_images(tmp_path / "train2014", 192)
    assert kib > 5
    usage = prepare.measure(tmp_path, 35)
    assert len(shards.Records(tmp_path / "out35", "train")) == 35
    assert usage.wall > 0
    assert usage.cpu > 0
    assert 100 < usage.peak_mib < 4000


def test_a_run_that_fails_gives_no_figure(tmp_path, monkeypatch):
    prepare.write_images(tmp_path / "train2014", 192)
    monkeypatch.setattr(prepare.sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="status 1"):
        prepare.measure(tmp_path, 1)


def test_the_rate_is_free_of_the_start(tmp_path, monkeypatch, capsys):
    runs = iter([prepare.Run(6.0, 5.0, 600.0), prepare.Run(9.0, 8.0, 602.0)])
    monkeypatch.setattr(prepare, "measure", lambda root, count: next(runs))
    rate = prepare.run(prepare.Options(count=100, size=48))
    # 3 s of CPU for 900 more people, on two cores.
    assert rate == pytest.approx(2 * 900 / 3)
    output = capsys.readouterr().out
    assert "+2 MiB for 10 times the people" in output
    assert output.splitlines()[-1] == "images/s of two cores 600"
