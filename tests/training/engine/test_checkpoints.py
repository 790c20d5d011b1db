"""What a checkpoint implies, and what is not restored."""

import types

import keras
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
    saved_kernel = kernel.numpy()
    kernel.assign(np.full(saved_kernel.shape, np.nan))
    saved.save(8)
    assert make(tmp_path, method).restore() == 4
    np.testing.assert_array_equal(kernel.numpy(), saved_kernel)
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
    second_checkpoints = make(tmp_path, method)

    def fail(path):
        raise checkpoints.tf.errors.ResourceExhaustedError(
            None, None, f"{path}; Too many open files"
        )

    second_checkpoints._state = types.SimpleNamespace(restore=fail)
    with pytest.raises(OSError, match="ulimit"):
        second_checkpoints.restore()


class Listed(toy_method.Model):
    """The made-up method with normalisations in a list, as encoders have."""

    def __init__(self, settings, body):
        super().__init__(settings, body)
        self.norms = [keras.layers.BatchNormalization() for _ in range(2)]

    def build_all(self):
        super().build_all()
        for norm in self.norms:
            norm.build((None, 3))


def with_layers_in_a_list(body):
    model = Listed(toy_method.Config(), body)
    model.build_all()
    return model


def test_variables_of_layers_in_lists_are_saved(tmp_path, body, caplog):
    """TensorFlow does not find them: batch statistics began anew."""
    model = with_layers_in_a_list(body)
    variables = model.norms[1].variables
    for number, variable in enumerate(variables):
        variable.assign(np.full(variable.shape, 2.0 + number))
    saved = make(tmp_path, model)
    assert {v.path for v in saved._unreached} == {
        v.path for norm in model.norms for v in norm.variables
    }
    saved.save(4)
    restored_model = with_layers_in_a_list(body)
    assert make(tmp_path, restored_model).restore() == 4
    for number, variable in enumerate(restored_model.norms[1].variables):
        expected = np.full(variable.shape, 2.0 + number, np.float32)
        np.testing.assert_array_equal(variable.numpy(), expected)
    assert not caplog.text


def test_a_checkpoint_without_them_is_read_and_says_so(tmp_path, body, caplog):
    model = with_layers_in_a_list(body)
    older = make(tmp_path, model)
    older._state = older._older
    model.second.kernel.assign(np.full(model.second.kernel.shape, 3.0))
    older.save(4)
    restored_model = with_layers_in_a_list(body)
    assert make(tmp_path, restored_model).restore() == 4
    assert (restored_model.second.kernel.numpy() == 3).all()
    assert "did not save" in caplog.text and "trained again" in caplog.text
