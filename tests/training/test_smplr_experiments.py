"""Every experiment of SMPLR's tables trains: two steps of each, small."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_hmr import method as methods
from training import config, fit
from training.data.pipeline import batches
from training.engine import step as steps
from training.papers import paper_tables
from training.tasks import initial_weights

SIDE = 72  # The least that both backbones take, with hourglasses of one level.
SMALL = {
    "image_size": SIDE,
    "stacks": 2,
    "width": 8,
    "bins": 4,
    "levels": 1,
    "stem": (8, 8, 8),
    "hidden": 8,
}
ONE_STACK = {"stacks": 1}
"""All else is as large as in the paper."""
NAMES = sorted(
    {
        cell.requirements.experiment
        for cell in paper_tables.cells()
        if cell.paper == "SMPLR"
    }
)


def two_steps(name: str, records: str, sizes: dict) -> config.Experiment:
    """An experiment of another size, on rendered people.

    Two steps in the last stage with pictures, one in those before. The body is
    laid on its points after training alone, so it is left out.
    """
    experiment = fit.load_experiment(name)
    longest = "train" if experiment.steps else "encoder"
    data = dataclasses.replace(
        experiment.data,
        sources=(config.Source(records),),
        batch_size=2,
        prior=records,
        prior_per_image=2,
    )
    return dataclasses.replace(
        experiment,
        method=dataclasses.replace(
            experiment.method, **sizes, procrustes=False
        ),
        data=data,
        before=tuple(
            dataclasses.replace(
                stage,
                steps=min(2 if stage.name == longest else 1, stage.steps),
            )
            for stage in experiment.before
        ),
        steps=min(2, experiment.steps),
    )


@functools.cache
def batch_of(data: config.Data, side: int, crop_m: float, scale: float):
    dataset = batches.train_dataset(
        data.sources, data, side, crop_scale=scale, crop_m=crop_m
    )
    batch = next(iter(dataset))
    return {k: v for k, v in batch.items() if v.dtype != tf.string}


@pytest.fixture
def eager():
    """Tracing dozens of graphs would take minutes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@functools.cache
def train(experiment: config.Experiment, body) -> tuple[str, ...]:
    """Trains stage by stage; the names of those that took a step."""
    model = methods.build(experiment.method, body)
    initial_weights.check_parts(model, experiment)
    sizes = (model.image_size, model.config.crop_m, model.config.crop_scale)
    batch = batch_of(experiment.data, *sizes)
    trained = []
    for stage in experiment.all_stages():
        if not stage.steps:
            continue
        step = steps.Step(tf.distribute.get_strategy(), model, stage)
        learner = steps.learner(model, stage)
        before = [v.numpy() for v in learner.player_variables()]
        metrics, _ = step(iter([batch] * stage.steps), stage.steps)
        for name, value in metrics.items():
            assert np.isfinite(value).all(), (stage.name, name)
        # Of the denoiser, which starts as the identity, the last layer alone.
        has_changed = [
            np.abs(v.numpy() - old).max() > 0
            for v, old in zip(learner.player_variables(), before, strict=True)
        ]
        assert sum(has_changed) >= 2, stage.name
        trained.append(stage.name)
    return tuple(trained)


def test_the_tables_name_fourteen():
    assert len(NAMES) == 14 and set(NAMES) <= set(fit.names())


def check(name: str, experiment: config.Experiment, body) -> None:
    """Trains it, unless an equal one was, and looks at the stages."""
    trained = train(experiment, body)
    parts = {stage.name for stage in experiment.before}
    left_out = {"pose_smpl"} if name == "smplr_pose" else set()
    last = {"train"} if experiment.steps else set()
    assert set(trained) == parts - left_out | last
    on_pictures = experiment.method.learn_from == "pictures"
    assert (trained[0] == "encoder") == on_pictures


@pytest.mark.parametrize("name", [*NAMES, "smplr_up3d"])
def test_each_trains(name, tiny_records, body, eager):
    """Those of the same training are trained once."""
    records = str(tiny_records / "synthetic")
    check(name, two_steps(name, records, SMALL), body)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_trains_as_large_as_in_the_paper(name, tiny_records, body, eager):
    records = str(tiny_records / "synthetic")
    check(name, two_steps(name, records, ONE_STACK), body)
