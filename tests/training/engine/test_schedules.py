"""Learning rates against their definitions and the original code's."""

import numpy as np
import pytest

from tests.support.closeness import assert_close
from tests.support.golden_files import golden
from training import config
from training.engine import schedules

EPOCHS = 200


@pytest.mark.parametrize(
    ("kind", "warmup", "expected"),
    [
        ("constant", 0, {0: 0.4, 50: 0.4}),
        ("constant", 10, {0: 0.0, 5: 0.2, 10: 0.4, 50: 0.4}),
        ("cosine", 0, {0: 0.4, 25: 0.2, 50: 0.0}),
        ("cosine", 10, {0: 0.0, 5: 0.2, 10: 0.4, 30: 0.2, 50: 0.0}),
    ],
)
def test_rates_rise_from_zero_and_a_cosine_ends_with_its_stage(
    kind, warmup, expected
):
    optim = config.Optim(schedule=kind, warmup_steps=warmup)
    rate = schedules.schedule(optim, 0.4, 50)
    for step, value in expected.items():
        actual = rate(step) if callable(rate) else rate
        assert float(actual) == pytest.approx(value, abs=1e-6), step


@pytest.mark.parametrize(
    ("array", "kind"), [("lr_smplr", "sigmoid"), ("lr_shn", "sigmoid_late")]
)
def test_a_sigmoid_is_the_curve_of_smplrs_code(array, kind):
    """At the start of each epoch of its 200, however long one is."""
    steps_per_epoch = 3
    optim = config.Optim(schedule=kind)
    rate = schedules.schedule(optim, 0.01, EPOCHS * steps_per_epoch)
    rates = [float(rate(steps_per_epoch * epoch)) for epoch in range(EPOCHS)]
    assert_close("learning_rate", np.array(rates), golden("smplr")[array])


def test_a_sigmoid_rises_first_where_it_is_warmed_up():
    optim = config.Optim(schedule="sigmoid", warmup_steps=10)
    plain = schedules.schedule(config.Optim(schedule="sigmoid"), 0.1, 100)
    rate = schedules.schedule(optim, 0.1, 100)
    assert float(rate(0)) == 0
    assert float(rate(5)) == pytest.approx(0.5 * float(plain(5)))
    assert float(rate(60)) == float(plain(60))


@pytest.mark.parametrize("name", ["constant", "cosine", "sigmoid"])
@pytest.mark.parametrize("warmup", [0, 5])
def test_a_stage_of_no_steps_has_a_schedule_too(name, warmup):
    """It is left out; its optimisers are made with the others."""
    optim = config.Optim(schedule=name, warmup_steps=warmup)
    assert schedules.schedule(optim, 1e-3, 0) is not None
