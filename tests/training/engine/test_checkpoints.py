"""What a checkpoint implies, and what is not restored."""

import types

import numpy as np
import pytest

from tests.support import toy_method
from tf_hmr.formats import atomic
from training import config
from training.engine import checkpoints, fit_store, run_log
from training.engine import step as steps


@pytest.fixture
def method(body):
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    return model


def make(folder, method, fits=None):
    return checkpoints.Checkpoints(folder, method, [], run_log.Mean(), fits)


def test_weights_that_are_not_finite_are_not_restored(tmp_path, method, caplog):
    saved = make(tmp_path, method)
    saved.save(4)
    kernel = method.second.kernel
    whole = kernel.numpy()
    kernel.assign(np.full(whole.shape, np.nan))
    saved.save(8)
    assert make(tmp_path, method).restore() == 4
    np.testing.assert_array_equal(kernel.numpy(), whole)
    assert "ckpt-8" in caplog.text and "not finite" in caplog.text
    assert "second/kernel" in caplog.text


def test_an_optimiser_that_is_not_finite_is_not_restored(
    tmp_path, method, caplog
):
    """Weights are whole: the next step would spoil them."""
    adam = steps.optimizer(config.Optim(), 0.1, 8, method.trainable_variables)
    player = types.SimpleNamespace(prefix="", optimizer=adam)
    stage = types.SimpleNamespace(players=[player])

    def with_optimizer():
        return checkpoints.Checkpoints(
            tmp_path, method, [stage], run_log.Mean()
        )

    saved, slot = with_optimizer(), adam.variables[-1]
    saved.save(4)
    slot.assign(np.full(slot.shape, np.nan))
    saved.save(8)
    assert with_optimizer().restore() == 4
    assert np.isfinite(slot.numpy()).all()
    assert slot.path in caplog.text and "not finite" in caplog.text


def test_fits_are_written_before_the_checkpoint_that_implies_them(
    tmp_path, method
):
    """A kill between the two would leave a checkpoint without its fits."""
    saved = make(tmp_path, method, fit_store.FitStore())
    present = []

    def save(checkpoint_number):
        path = fit_store.path_of(tmp_path, checkpoint_number)
        present.append(path.exists())

    saved._manager = types.SimpleNamespace(save=save)
    saved.save(4)
    assert present == [True]


def test_a_checkpoint_is_on_the_disk_when_it_is_saved(
    tmp_path, method, monkeypatch
):
    synced = []
    monkeypatch.setattr(atomic, "sync", lambda path: synced.append(path.name))
    monkeypatch.setattr(
        atomic, "sync_folder", lambda path: synced.append(path.name)
    )
    make(tmp_path, method).save(4)
    assert sorted(synced) == [
        checkpoints.FOLDER,
        "ckpt-4.data-00000-of-00001",
        "ckpt-4.index",
    ]


def test_too_many_open_files_are_no_damaged_checkpoint(
    tmp_path, method, monkeypatch
):
    """Else whole checkpoints would be set aside."""
    make(tmp_path, method).save(4)
    again = make(tmp_path, method)

    def fail(path):
        raise checkpoints.tf.errors.ResourceExhaustedError(
            None, None, f"{path}; Too many open files"
        )

    again._state = types.SimpleNamespace(restore=fail)
    with pytest.raises(OSError, match="ulimit"):
        again.restore()
