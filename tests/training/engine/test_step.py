"""The compiled step: many in a call, a batch in parts, a broken value."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.support import processes, toy_method
from tests.support.closeness import assert_close
from training import config
from training.engine import devices, loop
from training.engine import step as steps

OPTIM = config.Optim(lr=0.05, lr_adversary=0.1, clip_norm=0.5)


@pytest.fixture
def descent(monkeypatch):
    """Adam divides a wrong scale of the gradients away; SGD shows it."""
    monkeypatch.setattr(steps, "optimizer", processes.plain_descent)


def take_steps(body, optim=OPTIM, calls=(8,), spoil=None, drop=0.0):
    """Values (n,) of the steps of several calls, and the model after them."""
    keras.utils.set_random_seed(3)
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    model.drop.rate = drop
    strategy = devices.strategy("cpu")
    step = steps.Step(strategy, model, config.Stage("one", 8, optim))
    batches = loop.batches_from(toy_method.make_dataset(spoil), 0, strategy)
    values = [step(batches, count)[0] for count in calls]
    return {
        name: np.concatenate(
            [values_of_call[name] for values_of_call in values]
        )
        for name in values[0]
    }, model


def _nothing(self, batch, prediction):
    return {}


def _made_anew(self, batch, prediction, fits):
    return dict(batch)


def test_a_value_is_the_weighted_sum_of_errors_over_their_count(body):
    """By hand, for the first batch, of which some rows have no label."""
    keras.utils.set_random_seed(3)
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    batch = toy_method.batch_at(0)
    predicted = model(batch["x"]).rotmats.numpy()
    score = model.adversary(predicted).numpy()[:, 0]
    rows = batch["has"][:, 0] > 0
    assert 0 < rows.sum() < len(rows)
    errors = np.square(predicted - batch["y"])[rows]
    values, _ = take_steps(body, calls=[1])
    assert_close("loss", values["fit"], [3.0 * errors.mean()])
    assert_close("loss", values["fool"], [0.1 * np.square(score - 1).mean()])
    assert_close("loss", values["loss"], values["fit"] + values["fool"])


def test_many_steps_in_a_call_are_the_same_steps(body):
    one, model = take_steps(body, calls=[1] * 8, drop=0.3)
    in_two_calls, other_model = take_steps(body, calls=[3, 5], drop=0.3)
    assert one.keys() == in_two_calls.keys() and len(one["loss"]) == 8
    for name, values in one.items():
        assert_close("exact", in_two_calls[name], values)
    for a, b in zip(model.variables, other_model.variables, strict=True):
        assert_close("exact", b.numpy(), a.numpy())


def test_a_batch_in_parts_gives_the_same_gradient(body, descent):
    """Both players, clipped; the first of four parts has no label at all."""
    in_one, model = take_steps(body)
    parts, other_model = take_steps(
        body, dataclasses.replace(OPTIM, accumulate=4)
    )
    assert in_one["gradient_norm"].max() > OPTIM.clip_norm
    assert in_one["adversary/gradient_norm"].min() > 0.01
    for name, values in in_one.items():
        assert_close("loss", parts[name], values)
    for a, b in zip(model.variables, other_model.variables, strict=True):
        assert_close("loss", b.numpy(), a.numpy())


def test_parts_need_counts_before_predictions(body, monkeypatch):
    monkeypatch.setattr(toy_method.Model, "targets", _made_anew)
    with pytest.raises(ValueError, match="makes targets"):
        take_steps(body, dataclasses.replace(OPTIM, accumulate=2))


def test_a_batch_that_does_not_divide_is_refused(tmp_path, body):
    stage = config.Stage("one", 2, config.Optim(accumulate=3))
    experiment = dataclasses.replace(toy_method.EXPERIMENT, stages=(stage,))
    with pytest.raises(ValueError, match="a multiple of 3"):
        toy_method.run(tmp_path, body, experiment)


def test_a_broken_step_is_the_last_and_moves_nothing(body):
    """The weights after it are those before it."""
    before, model = take_steps(body, calls=[5])
    broken, other_model = take_steps(body, calls=[8], spoil=5)
    assert len(before["loss"]) == 5 and len(broken["loss"]) == 6
    assert not np.isfinite(broken["loss"][-1])
    assert np.isfinite(broken["adversary/real"][:-1]).all()
    for a, b in zip(
        model.trainable_variables, other_model.trainable_variables, strict=True
    ):
        assert_close("exact", b.numpy(), a.numpy())


def test_a_wish_to_stop_ends_the_call_after_its_first_step(body):
    keras.utils.set_random_seed(3)
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    strategy = devices.strategy("cpu")
    step = steps.Step(strategy, model, config.Stage("one", 8, OPTIM))
    batches = loop.batches_from(toy_method.make_dataset(), 0, strategy)
    values, stopped = step(batches, 5, stop=True)
    assert stopped and len(values["loss"]) == 1
    values, stopped = step(batches, 5)
    assert not stopped and len(values["loss"]) == 5


def test_an_adversary_may_have_nothing_to_say(body, monkeypatch):
    monkeypatch.setattr(toy_method.Model, "adversary_terms", _nothing)
    values, model = take_steps(body)
    assert set(values) == {"fit", "fool", "loss", "gradient_norm"}
    assert len(values["loss"]) == 8


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_of_the_layers(precision):
    with devices.policy(precision):
        layer = keras.layers.Dense(2)
    layer.build((None, 2))
    assert layer.compute_dtype == precision
    assert layer.kernel.dtype == "float32"


def test_float16_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="loss scaled.*bfloat16"):
        devices.precision("float16")
