"""The loop on a small made-up method: stages, resume, stops."""

import dataclasses
import json
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.closeness import assert_close
from tf_hmr import method as methods
from tf_hmr.networks import dropout
from training import checkpoints, config, devices, journal, loop, workdir


@dataclasses.dataclass(frozen=True)
class Config(methods.Config):
    """Of the made-up method: two sub-models, no images, an adversary."""

    width: int = 4


class Model(methods.Method):
    """Learns y = 2 x in two parts; the adversary tells x from its guess."""

    def __init__(self, settings, body):
        super().__init__(settings, body)
        self.first = keras.layers.Dense(settings.width, name="first")
        self.second = keras.layers.Dense(2, name="second")
        self.drop = dropout.Dropout(0.3, seed=5)
        self.adversary = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1)], name="adversary"
        )

    def build_all(self):
        self(tf.zeros((1, 2)))

    def inputs(self, batch):
        return batch["x"]

    def call(self, x, training=False):
        hidden = self.drop(self.first(x), training=training)
        found = self.second(hidden)
        return methods.Prediction(found, found, found, found, found, None)

    def terms(self, batch, prediction):
        error = tf.square(prediction.rotmats - batch["y"]) * batch["has"]
        count = 2.0 * batch["has"][:, 0]
        score = self.adversary(prediction.rotmats)[:, 0]
        return {
            "fit": methods.Term(tf.reduce_sum(error, 1), count, 3.0),
            "fool": methods.Term(
                tf.square(score - 1), tf.ones_like(score), 0.1
            ),
        }

    def adversary_terms(self, batch, prediction):
        fake = self.adversary(tf.stop_gradient(prediction.rotmats))[:, 0]
        real = self.adversary(batch["y"])[:, 0]
        one = tf.ones_like(fake)
        return {
            "fake": methods.Term(tf.square(fake), one, 1.0),
            "real": methods.Term(tf.square(real - 1), one, 1.0),
        }


STAGES = (
    config.Stage("one", 6, config.Optim(lr=1e-2), ("first",)),
    config.Stage("two", 6, config.Optim(lr=1e-2, clip_norm=0.5), ("second",)),
)
EXPERIMENT = config.Experiment(
    method=Config(), stages=STAGES, log_every=1, save_every=4
)


def batch_at(step, spoil=None, size=8):
    """The batch of a step; half its rows have no label, in one replica."""
    rng = np.random.default_rng(int(step))
    x = rng.normal(size=(size, 2)).astype(np.float32)
    has = np.ones((size, 1), np.float32)
    # Unequal between the halves: a mean per replica would differ.
    has[: size // 2 - 1] = 0
    y = 2 * x
    if spoil == step:
        y[size - 1] = np.nan
    ids = np.array([f"row{step}-{i}" for i in range(size)])
    return {"x": x, "y": y, "has": has, "example_id": ids}


def make_dataset(spoil=None, pause_s=0.0):
    """One element per replica of the input pipeline, as the loop asks."""

    def make(start, context):
        replicas = context.num_replicas_in_sync if context else 1
        local = replicas // context.num_input_pipelines if context else 1
        first = context.input_pipeline_id * local if context else 0
        share = 8 // replicas

        def generate():
            step = start
            while True:
                time.sleep(pause_s)
                batch = batch_at(step, spoil)
                for part in range(first, first + local):
                    rows = slice(part * share, (part + 1) * share)
                    yield {key: value[rows] for key, value in batch.items()}
                step += 1

        return tf.data.Dataset.from_generator(
            generate,
            output_signature={
                "x": tf.TensorSpec((share, 2)),
                "y": tf.TensorSpec((share, 2)),
                "has": tf.TensorSpec((share, 1)),
                "example_id": tf.TensorSpec((share,), tf.string),
            },
        )

    return make


def run(folder, body, experiment=EXPERIMENT, spoil=None, evaluate=None):
    keras.utils.set_random_seed(3)
    model = Model(Config(), body)
    model.build_all()
    before = [v.numpy() for v in model.trainable_variables]
    loop.train(
        experiment,
        model,
        devices.strategy("cpu"),
        make_dataset(spoil),
        evaluate,
        Path(folder),
    )
    return model, before


def losses(folder):
    lines = journal.read_metrics(Path(folder) / journal.METRICS_FILE)
    return [
        {
            k: v
            for k, v in line.items()
            if k not in ("images_per_s", "trained_s")
        }
        for line in lines
    ]


def test_stages_train_what_they_name(tmp_path, body):
    only_first = dataclasses.replace(EXPERIMENT, stages=STAGES[:1])
    model, before = run(tmp_path, body, only_first)
    after = {v.path: v.numpy() for v in model.trainable_variables}
    first, second, adversary = 0, 0, 0
    for (path, value), old in zip(after.items(), before, strict=True):
        moved = bool(np.abs(value - old).max() > 0)
        first += moved and "first" in path
        second += moved and "second" in path
        adversary += moved and "adversary" in path
    assert first == 2 and second == 0 and adversary == 2
    assert [line["step"] for line in losses(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_both_stages_follow_each_other(tmp_path, body):
    run(tmp_path, body)
    kinds = [line["kind"] for line in losses(tmp_path)]
    assert kinds == ["one"] * 6 + ["two"] * 6
    assert {"fit", "fool", "loss", "gradient_norm", "adversary/fake"} <= set(
        losses(tmp_path)[0]
    )


@pytest.mark.parametrize("log_every", [1, 3])
def test_stopped_and_continued_is_as_uninterrupted(
    tmp_path, body, log_every, caplog
):
    """Dropout, both optimisers, the stages: every loss to the last bit.

    Also where a logged mean would reach over a save (3 and 4).
    """
    whole = dataclasses.replace(EXPERIMENT, log_every=log_every)
    run(tmp_path / "whole", body, whole)
    part = dataclasses.replace(
        whole, stages=(STAGES[0], dataclasses.replace(STAGES[1], steps=3))
    )
    run(tmp_path / "parts", body, part)
    # As a kill between two saves leaves it: lines after the last checkpoint.
    folder = tmp_path / "parts" / checkpoints.FOLDER
    for path in [*folder.glob("ckpt-9.*"), folder / "checkpoint"]:
        path.unlink()
    assert losses(tmp_path / "parts")[-1]["step"] == 9
    caplog.set_level("INFO")
    run(tmp_path / "parts", body, whole)
    assert "at step 8 of 12" in caplog.text
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_damaged_checkpoint_falls_back(tmp_path, body, caplog):
    run(tmp_path / "whole", body)
    part = dataclasses.replace(
        EXPERIMENT, stages=(STAGES[0], dataclasses.replace(STAGES[1], steps=3))
    )
    run(tmp_path / "hurt", body, part)
    newest = Path(
        tf.train.latest_checkpoint(str(tmp_path / "hurt" / checkpoints.FOLDER))
    )
    data = newest.with_name(newest.name + ".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    run(tmp_path / "hurt", body)
    assert "cannot be read" in caplog.text and newest.name in caplog.text
    assert losses(tmp_path / "hurt") == losses(tmp_path / "whole")


def test_no_whole_checkpoint_is_an_error(tmp_path, body):
    run(tmp_path, body, dataclasses.replace(EXPERIMENT, stages=STAGES[:1]))
    for data in (tmp_path / checkpoints.FOLDER).glob("*.data-*"):
        data.write_bytes(b"")
    with pytest.raises(RuntimeError, match="None of the checkpoints"):
        run(tmp_path, body)


def test_non_finite_term_stops_and_is_named(tmp_path, body):
    with pytest.raises(loop.NonFiniteError) as caught:
        run(tmp_path, body, spoil=5)
    message = str(caught.value)
    assert "fit" in message and "step 6" in message
    assert "row5-0" in message
    # What was saved is from before it.
    assert tf.train.latest_checkpoint(
        str(tmp_path / checkpoints.FOLDER)
    ).endswith("ckpt-4")


def test_best_is_the_best_and_survives_a_restart(tmp_path, body):
    scores = iter([3.0, 1.0, 2.0])
    kept = []

    def evaluate(model):
        score = next(scores)
        # The second stage trains `second`, so it tells the last two apart.
        kept.append(model.second.kernel.numpy())
        return loop.Evaluation(score, {"mpjpe_mm": score})

    experiment = dataclasses.replace(EXPERIMENT, eval_every=4)
    part = dataclasses.replace(
        experiment,
        stages=(STAGES[0], dataclasses.replace(STAGES[1], steps=2)),
    )
    run(tmp_path, body, part, evaluate=evaluate)
    assert len(kept) == 2
    run(tmp_path, body, experiment, evaluate=evaluate)
    assert len(kept) == 3
    model = Model(Config(), body)
    model.build_all()
    best = tmp_path / loop.BEST_FOLDER
    model.load_weights(best / methods.WEIGHTS_FILE)
    assert_close("exact", model.second.kernel, kept[1])
    assert json.loads((best / methods.CONFIG_FILE).read_text())["topology"]


def test_targets_made_in_the_step_push_nothing(tmp_path, body, monkeypatch):
    """A target that follows the prediction leaves a loss without gradient."""

    def follow(self, batch, prediction, fits):
        return batch | {"y": prediction.rotmats + 1.0}

    monkeypatch.setattr(Model, "targets", follow)
    monkeypatch.setattr(
        Model,
        "terms",
        lambda self, batch, prediction: {
            "fit": methods.Term(
                tf.reduce_sum(tf.square(prediction.rotmats - batch["y"]), 1),
                tf.ones_like(batch["y"][:, 0]),
                1.0,
            )
        },
    )
    run(tmp_path, body, dataclasses.replace(EXPERIMENT, stages=STAGES[:1]))
    # d/dp (p - stop(p + 1))^2 = -2; without the stop it would be 0.
    assert losses(tmp_path)[0]["gradient_norm"] > 0.1


def test_journal_is_cut_at_a_restore(tmp_path):
    book = journal.Journal(tmp_path, 0)
    for step in range(1, 7):
        book.scalars(step, "train", {"loss": float(step)})
    book.close()
    with open(tmp_path / journal.METRICS_FILE, "a") as file:
        file.write('{"step": 7, "ki')  # A killed writer's last line.
    journal.Journal(tmp_path, 4).close()
    lines = journal.read_metrics(tmp_path / journal.METRICS_FILE)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    steps = []
    for path in (tmp_path / journal.EVENTS_FOLDER).iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            event = journal.event_pb2.Event.FromString(record.numpy())
            steps += [event.step] * len(event.summary.value)
    assert sorted(steps) == [1, 2, 3, 4]


def test_workdir_refuses_another_configuration(tmp_path):
    workdir.claim(tmp_path, EXPERIMENT, {"precision": "float32"})
    book = journal.Journal(tmp_path, 0)
    book.scalars(1, "train", {"loss": 1.0})
    book.close()
    workdir.claim(tmp_path, EXPERIMENT, {"precision": "bfloat16"})
    settled = workdir.settled(tmp_path, EXPERIMENT)
    assert settled["precision"] == "float32" and settled["commit"]
    other = dataclasses.replace(
        EXPERIMENT, method=Config(width=5), save_every=9
    )
    with pytest.raises(ValueError) as caught:
        workdir.claim(tmp_path, other, {})
    assert "method.width: 4 in the folder, 5 asked for" in str(caught.value)
    assert "save_every: 4" in str(caught.value)
    assert "log_every" not in str(caught.value)


def test_fields_that_came_later_have_their_defaults(tmp_path):
    workdir.claim(tmp_path, EXPERIMENT, {})
    path = tmp_path / workdir.CONFIG_FILE
    older = json.loads(path.read_text())
    del older["method"]["crop_scale"], older["data"]["warp"], older["optim"]
    path.write_text(json.dumps(older))
    workdir.settled(tmp_path, EXPERIMENT)
    other = dataclasses.replace(EXPERIMENT, method=Config(crop_scale=1.5))
    with pytest.raises(ValueError, match="crop_scale: 1.2 in the folder"):
        workdir.settled(tmp_path, other)
