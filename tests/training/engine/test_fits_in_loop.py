"""Fits through the real loop, of a made-up method that is quickly trained."""

import dataclasses
import time

import pytest

from tests.support import keeper_method, toy_method
from tests.support.closeness import assert_close
from training.engine import fit_store, loop


@pytest.fixture(scope="module", autouse=True)
def keeper():
    """The made-up method of all tests here is the one that keeps fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_method, "Model", keeper_method.Keeper)
        patch.setattr(toy_method, "make_dataset", keeper_method.make_dataset)
        yield


@pytest.fixture(scope="module")
def uninterrupted(body, keeper, tmp_path_factory):
    """A workdir of all twelve steps; to be read."""
    folder = tmp_path_factory.mktemp("keeper")
    toy_method.run(folder, body)
    return folder


def test_stopped_and_continued_keeps_the_fits_of_its_step(
    tmp_path, body, uninterrupted, caplog
):
    """A checkpoint without its fits is none: the one before it continues."""
    lines = toy_method.losses(uninterrupted)
    assert lines[0]["fits_known"] == 0 and lines[-1]["fits_known"] > 0.8
    assert 0.2 < lines[5]["fits_better"] < 0.9
    stages = toy_method.STAGES
    part = dataclasses.replace(
        toy_method.EXPERIMENT,
        stages=(stages[0], dataclasses.replace(stages[1], steps=3)),
    )
    toy_method.run(tmp_path / "parts", body, part)
    fit_store.path_of(tmp_path / "parts", 9).unlink()
    toy_method.run(tmp_path / "parts", body)
    assert "fits-9.npz is missing" in caplog.text
    assert toy_method.losses(tmp_path / "parts") == lines
    expected_fits, continued_fits = (
        keeper_method.kept(uninterrupted),
        keeper_method.kept(tmp_path / "parts"),
    )
    assert (
        expected_fits.keys()
        == continued_fits.keys()
        == set(range(keeper_method.EXAMPLES))
    )
    for key, fit in expected_fits.items():
        assert_close("exact", continued_fits[key], fit)


def test_each_step_reads_what_the_last_one_wrote(
    tmp_path, body, uninterrupted, monkeypatch
):
    """Several steps in a call, though writing takes long."""
    update = fit_store.FitStore.update

    def slowly(self, keys, rows):
        time.sleep(0.05)
        update(self, keys, rows)

    monkeypatch.setattr(fit_store.FitStore, "update", slowly)
    experiment = dataclasses.replace(toy_method.EXPERIMENT, steps_per_call=4)
    experiment = dataclasses.replace(experiment, log_every=0)
    toy_method.run(tmp_path / "many", body, experiment)
    expected_fits, slow_fits = (
        keeper_method.kept(uninterrupted),
        keeper_method.kept(tmp_path / "many"),
    )
    for key, fit in expected_fits.items():
        assert_close("exact", slow_fits[key], fit)


def test_a_broken_step_keeps_nothing(tmp_path, body):
    with pytest.raises(loop.NonFiniteError, match="step 6"):
        toy_method.run(tmp_path, body, spoil=5)
    assert fit_store.path_of(tmp_path, 4).exists()
    assert len(list((tmp_path / fit_store.FOLDER).iterdir())) == 1
