"""A stage that trains a part of a method alone, on poses without pictures."""

import dataclasses
import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import (
    pipeline_batches,
    processes,
    record_samples,
    toy_method,
)
from tests.support.closeness import assert_close
from tf_hmr import method as methods
from tf_hmr.networks import dropout
from training import config
from training.data.pipeline import batches
from training.data.records import mocap
from training.engine import (
    checkpoints,
    devices,
    loop,
    model_selection,
    run_log,
)
from training.engine import step as steps
from training.tasks import fit as task
from training.tasks import initial_weights


class Spread(methods.Learner):
    """Learns the size of the poses' rotations, through dropout."""

    def __init__(self):
        super().__init__(name="spread")
        self.drop = dropout.Dropout(0.3, seed=9)
        self.size = keras.layers.Dense(1, name="size")

    def inputs(self, batch):
        return tf.reshape(batch["prior_rotmats"], (-1, 24 * 9))

    def call(self, x, training=False):
        return self.size(self.drop(x, training=training))

    def terms(self, batch, prediction):
        error = tf.square(prediction[:, 0] - batch["prior_betas"][:, 0])
        return {"size": methods.Term(error, tf.ones_like(error), 2.0)}


class Model(toy_method.Model):
    """The made-up method, with a part that pictures have no say in."""

    def __init__(self, settings, body):
        super().__init__(settings, body)
        self.spread = Spread()

    def build_all(self):
        super().build_all()
        self.spread(tf.zeros((1, 24 * 9)))


PART_STAGE = config.Stage("alone", 6, config.Optim(lr=1e-2), part="spread")
EXPERIMENT = dataclasses.replace(
    toy_method.EXPERIMENT,
    before=(PART_STAGE,),
    data=config.Data(batch_size=8, prior_per_image=2),
    eval_every=3,
)


def write_poses(folder: Path) -> config.Experiment:
    """Forty poses there, and the experiment that reads them."""
    folder.mkdir(exist_ok=True, parents=True)
    rng = np.random.default_rng(5)
    poses = rng.normal(size=(40, 82)).astype(np.float32)
    mocap.write(folder, mocap.Prior(poses[:, :72], poses[:, 72:], "open-v1"))
    data = dataclasses.replace(EXPERIMENT.data, prior=str(folder))
    return dataclasses.replace(EXPERIMENT, data=data)


def make_dataset(experiment):
    """As training.fit makes it, with made-up rows in the pictures' place."""
    rows = toy_method.make_dataset()

    def make(step, context):
        if experiment.stage_at(step).part == "spread":
            return batches.prior_dataset(experiment.data, context, step)
        return rows(step, context)

    return make


def run(folder, body, experiment, evaluate=None, device="cpu"):
    keras.utils.set_random_seed(3)
    strategy = devices.strategy(device)
    with strategy.scope():
        model = Model(toy_method.Config(), body)
        model.build_all()
    before = {v.path: v.numpy() for v in model.trainable_variables}
    make = make_dataset(experiment)
    loop.train(experiment, model, strategy, make, evaluate, Path(folder))
    after = {v.path: v.numpy() for v in model.trainable_variables}
    return {p for p in after if np.abs(after[p] - before[p]).max() > 0}


def test_the_part_alone_moves_and_nothing_is_measured(tmp_path, body):
    """And the stages after it leave it as it is, but not what they train."""
    measured = []

    def evaluate(model):
        measured.append(model.spread.size.kernel.numpy())
        return model_selection.Evaluation(1.0, {"mpjpe_mm": 1.0})

    experiment = dataclasses.replace(
        write_poses(tmp_path / "poses"), stages=toy_method.STAGES[:1]
    )
    moved_paths = run(tmp_path / "whole", body, experiment, evaluate)
    assert {
        name
        for name in ("size", "first", "second")
        if any(name in path for path in moved_paths)
    } == {"size", "first"}
    lines = run_log.read_metrics(tmp_path / "whole" / run_log.METRICS_FILE)
    kinds = {line["step"]: line["kind"] for line in lines if "loss" in line}
    assert [kinds[step] for step in (1, 6, 7, 12)] == [
        *("alone", "alone", "one", "one")
    ]
    assert {"size", "loss"} <= set(lines[0]) and "fit" not in lines[0]
    at = [line["step"] for line in lines if line["kind"] == "evaluation"]
    assert at == [9, 12]
    assert_close("exact", measured[1], measured[0])


class Seeing(methods.Learner):
    """A part that sees what the made-up method sees."""

    image_size = 224

    def __init__(self):
        super().__init__(name="seeing")
        self.size = keras.layers.Dense(2, name="size")

    def inputs(self, batch):
        return batch["x"]

    def call(self, x, training=False):
        return self.size(x)

    def terms(self, batch, prediction):
        error = tf.reduce_sum(tf.square(prediction - batch["y"]), axis=1)
        return {"seen": methods.Term(error, 2 * tf.ones_like(error), 1.0)}


def test_a_part_that_sees_images_is_measured(tmp_path, body):
    steps_measured = []

    def evaluate(model):
        steps_measured.append(1)
        return model_selection.Evaluation(1.0, {"mpjpe_mm": 1.0})

    keras.utils.set_random_seed(3)
    model = toy_method.Model(toy_method.Config(), body)
    model.seeing = Seeing()
    model.build_all()
    model.seeing(tf.zeros((1, 2)))
    seeing_stage = dataclasses.replace(PART_STAGE, part="seeing")
    experiment = dataclasses.replace(
        EXPERIMENT, before=(seeing_stage,), stages=toy_method.STAGES[:1]
    )
    loop.train(
        experiment,
        model,
        devices.strategy("cpu"),
        toy_method.make_dataset(),
        evaluate,
        tmp_path,
    )
    lines = run_log.read_metrics(tmp_path / run_log.METRICS_FILE)
    at = [line["step"] for line in lines if line["kind"] == "evaluation"]
    assert at == [3, 6, 9, 12] and "seen" in lines[0]


def test_a_part_is_fed_by_what_it_sees(tmp_path, body):
    """Images of its own size, or poses alone."""
    folder = record_samples.folder(tmp_path / "samples", 8)
    data = pipeline_batches.two_sources(folder)
    model = Model(toy_method.Config(image_size=64), body)
    model.seeing = Seeing()
    stages = tuple(
        dataclasses.replace(PART_STAGE, part=part)
        for part in ("spread", "seeing")
    )
    experiment = dataclasses.replace(EXPERIMENT, before=(), stages=stages)
    make = task.dataset_maker(experiment, model, data)
    poses, images = (
        next(iter(make(step, None))) for step in (0, PART_STAGE.steps)
    )
    assert "image" not in poses and "prior_rotmats" in poses
    assert images["image"].shape[1:3] == (Seeing.image_size,) * 2


def test_stopped_within_the_part_and_continued(tmp_path, body):
    experiment = dataclasses.replace(
        write_poses(tmp_path / "poses"),
        before=(),
        stages=(toy_method.STAGES[0], PART_STAGE),
    )
    run(tmp_path / "whole", body, experiment)
    short = dataclasses.replace(PART_STAGE, steps=3)
    part = dataclasses.replace(experiment, stages=(toy_method.STAGES[0], short))
    run(tmp_path / "parts", body, part)
    folder = tmp_path / "parts" / checkpoints.FOLDER
    for path in [*folder.glob("ckpt-9.*"), folder / "checkpoint"]:
        path.unlink()
    run(tmp_path / "parts", body, experiment)
    losses = toy_method.losses
    assert [line["step"] for line in losses(tmp_path / "whole")][-1] == 12
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_poses_are_a_function_of_the_step(tmp_path):
    """Two replicas see the halves of what one sees; no picture is there."""
    data = write_poses(tmp_path).data
    full_batches = list(batches.prior_dataset(data).take(4))
    assert set(full_batches[0]) == {
        *("prior_rotmats", "prior_betas", "prior_gender")
    }
    assert full_batches[0]["prior_rotmats"].shape == (16, 24, 3, 3)
    late = next(iter(batches.prior_dataset(data, None, 3)))
    assert_close("exact", late["prior_betas"], full_batches[3]["prior_betas"])
    context = tf.distribute.InputContext(1, 0, 2)
    halves = list(batches.prior_dataset(data, context, 1).take(2))
    joined_betas = tf.concat([half["prior_betas"] for half in halves], axis=0)
    assert_close("exact", joined_betas, full_batches[1]["prior_betas"])


def test_a_stage_without_poses_names_the_cure():
    with pytest.raises(ValueError, match="prior_per_image.*prior.npz"):
        batches.prior_dataset(config.Data(prior=""))


@pytest.mark.parametrize("name", ["spreads", "first"])
def test_a_part_must_be_a_learner(name, body):
    model = Model(toy_method.Config(), body)
    stage = dataclasses.replace(PART_STAGE, part=name)
    with pytest.raises(ValueError, match=f"{name}.*method.Learner"):
        steps.Step(devices.strategy("cpu"), model, stage)


def test_a_part_without_a_stage_is_refused(body):
    model = Model(toy_method.Config(), body)
    initial_weights.check_parts(model, EXPERIMENT)
    with pytest.raises(ValueError, match=r"spread would stay random.*before"):
        initial_weights.check_parts(
            model, dataclasses.replace(EXPERIMENT, before=())
        )


def train_here(folder: str, device: str) -> None:
    """What a process of the test below runs: the part alone, by descent."""
    from tf_hmr.body.data import BodyData
    from tf_hmr.body.model import Body

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    steps.optimizer = processes.plain_descent
    devices.strategy(device)
    Spread.call = lambda self, x, training=False: self.size(x)
    body = Body(BodyData.load("open"), jit=False)
    experiment = write_poses(Path(folder) / "poses")
    part_experiment = dataclasses.replace(
        experiment, stages=(PART_STAGE,), before=()
    )
    run(Path(folder) / "run", body, part_experiment, device=device)


@pytest.mark.slow
def test_two_devices_train_the_part_as_one(tmp_path):
    losses = []
    for device in ("cpu", "cpu:2"):
        folder = tmp_path / device.replace(":", "")
        process = processes.start(folder, device, function=train_here)
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
        lines = run_log.read_metrics(folder / "run" / run_log.METRICS_FILE)
        losses.append([x["loss"] for x in lines if x["kind"] == "alone"])
    assert len(losses[0]) == 6
    assert_close("loss", losses[1], losses[0])
