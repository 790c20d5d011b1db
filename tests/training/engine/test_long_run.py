"""A long run takes no more memory, descriptors or threads than a short one."""

import dataclasses
import gc
from pathlib import Path

import pytest

from tests.support import memory, toy_method
from training.engine import model_selection

STEPS, EVAL_EVERY = 2000, 20
MIB = 2**20


def resources() -> dict[str, int]:
    """What the process holds."""
    gc.collect()
    counts = {
        name: len(list(Path(f"/proc/self/{name}").iterdir()))
        for name in ("fd", "task")
    }
    return counts | {"bytes": memory.start()}


@pytest.mark.slow  # Half a minute.
def test_two_thousand_steps_keep_nothing(tmp_path, body):
    experiment = dataclasses.replace(
        toy_method.EXPERIMENT,
        stages=(dataclasses.replace(toy_method.STAGES[0], steps=STEPS),),
        eval_every=EVAL_EVERY,
        save_every=100,
    )
    samples = []

    def evaluate(method):
        samples.append(resources())
        return model_selection.Evaluation(
            float(len(samples)), {"mpjpe_mm": 1.0}
        )

    toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
    assert len(samples) == STEPS // EVAL_EVERY
    # The first ones trace graphs and fill caches.
    settled, last = samples[len(samples) // 4], samples[-1]
    assert last["fd"] <= settled["fd"]
    assert last["task"] <= settled["task"] + 4
    assert last["bytes"] - settled["bytes"] < 20 * MIB, samples
