"""The loop on a small made-up method: stages, resume, stops."""

import dataclasses
import itertools
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support import toy_method
from tests.support.closeness import assert_close
from tests.training.engine.conftest import STOPPED
from tf_hmr import method as methods
from training.engine import (
    best_model,
    checkpoints,
    loop,
    model_selection,
    run_log,
    workdir,
)


def test_stages_train_what_they_name(tmp_path, body):
    only_first = dataclasses.replace(
        toy_method.EXPERIMENT, stages=toy_method.STAGES[:1]
    )
    model, before = toy_method.run(tmp_path, body, only_first)
    after = {v.path: v.numpy() for v in model.trainable_variables}
    first, second, adversary = 0, 0, 0
    for (path, value), old in zip(after.items(), before, strict=True):
        has_changed = bool(np.abs(value - old).max() > 0)
        first += has_changed and "first" in path
        second += has_changed and "second" in path
        adversary += has_changed and "adversary" in path
    assert first == 2 and second == 0 and adversary == 2
    assert [line["step"] for line in toy_method.losses(tmp_path)] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_both_stages_follow_each_other(uninterrupted):
    lines = toy_method.losses(uninterrupted)
    assert [line["kind"] for line in lines] == ["one"] * 6 + ["two"] * 6
    assert {"fit", "fool", "loss", "gradient_norm", "adversary/fake"} <= set(
        lines[0]
    )


def test_a_run_killed_before_its_first_save_starts_anew(
    tmp_path, stopped, body, uninterrupted
):
    """Its folder is claimed already, and lines are logged."""
    folder = tmp_path / "killed"
    workdir.claim(folder, toy_method.EXPERIMENT, {"precision": "float32"})
    without_saves = shutil.ignore_patterns(checkpoints.FOLDER)
    shutil.copytree(stopped, folder, dirs_exist_ok=True, ignore=without_saves)
    workdir.claim(folder, toy_method.EXPERIMENT, {"precision": "another"})
    settled = workdir.settled(folder, toy_method.EXPERIMENT)
    assert settled["precision"] == "float32"
    assert len(toy_method.losses(folder)) == 9
    toy_method.run(folder, body)
    assert toy_method.losses(folder) == toy_method.losses(uninterrupted)


def continue_from_step_8(folder, body, experiment):
    """As a kill between two saves leaves it: lines after the last save."""
    saves = folder / checkpoints.FOLDER
    for path in [*saves.glob("ckpt-9.*"), saves / "checkpoint"]:
        path.unlink()
    assert toy_method.losses(folder)[-1]["step"] == 9
    toy_method.run(folder, body, experiment)


def test_stopped_and_continued_is_as_uninterrupted(
    stopped, body, uninterrupted, caplog
):
    """Dropout, both optimisers, the stages: every loss to the last bit."""
    caplog.set_level("INFO")
    continue_from_step_8(stopped, body, toy_method.EXPERIMENT)
    assert "at step 8 of 12" in caplog.text
    assert toy_method.losses(stopped) == toy_method.losses(uninterrupted)


def test_a_logged_mean_reaches_over_a_save(tmp_path, body, caplog):
    """Lines of 3 steps and saves of 4, to the last bit after a kill."""
    threes = dataclasses.replace(toy_method.EXPERIMENT, log_every=3)
    nine_steps = dataclasses.replace(STOPPED, log_every=3)
    toy_method.run(tmp_path / "uninterrupted", body, threes)
    toy_method.run(tmp_path / "parts", body, nine_steps)
    caplog.set_level("INFO")
    continue_from_step_8(tmp_path / "parts", body, threes)
    assert "at step 8 of 12" in caplog.text
    assert toy_method.losses(tmp_path / "parts") == toy_method.losses(
        tmp_path / "uninterrupted"
    )


def test_damaged_checkpoint_falls_back(stopped, body, uninterrupted, caplog):
    newest = Path(tf.train.latest_checkpoint(str(stopped / checkpoints.FOLDER)))
    data = newest.with_name(newest.name + ".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    toy_method.run(stopped, body)
    assert "cannot be read" in caplog.text and newest.name in caplog.text
    assert toy_method.losses(stopped) == toy_method.losses(uninterrupted)


def test_no_intact_checkpoint_is_an_error(stopped, body):
    for data in (stopped / checkpoints.FOLDER).glob("*.data-*"):
        data.write_bytes(b"")
    with pytest.raises(RuntimeError, match="None of the checkpoints"):
        toy_method.run(stopped, body)


def test_non_finite_term_stops_and_is_named(tmp_path, body):
    with pytest.raises(loop.NonFiniteError) as caught:
        toy_method.run(tmp_path, body, spoil=5)
    message = str(caught.value)
    assert "fit" in message and "step 6" in message
    assert "row5-0" in message
    # What was saved is from before it.
    assert tf.train.latest_checkpoint(
        str(tmp_path / checkpoints.FOLDER)
    ).endswith("ckpt-4")


def test_best_is_the_best_and_survives_a_restart(tmp_path, body):
    scores = iter([3.0, 1.0, 2.0])
    kernels = []

    def evaluate(model):
        score = next(scores)
        # The second stage trains `second`, so it tells the last two apart.
        kernels.append(model.second.kernel.numpy())
        return model_selection.Evaluation(score, {"mpjpe_mm": score})

    experiment = dataclasses.replace(toy_method.EXPERIMENT, eval_every=4)
    part = dataclasses.replace(
        experiment,
        stages=(
            toy_method.STAGES[0],
            dataclasses.replace(toy_method.STAGES[1], steps=2),
        ),
    )
    toy_method.run(tmp_path, body, part, evaluate=evaluate)
    assert len(kernels) == 2
    toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
    assert len(kernels) == 3
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    best = tmp_path / best_model.FOLDER
    model.load_weights(best / methods.WEIGHTS_FILE)
    assert_close("exact", model.second.kernel, kernels[1])
    assert json.loads((best / methods.CONFIG_FILE).read_text())["topology"]


def test_targets_made_in_the_step_push_nothing(tmp_path, body, monkeypatch):
    """A target that follows the prediction leaves a loss without gradient."""

    def follow(self, batch, prediction, fits):
        return batch | {"y": prediction.rotmats + 1.0}

    monkeypatch.setattr(toy_method.Model, "targets", follow)
    monkeypatch.setattr(
        toy_method.Model,
        "terms",
        lambda self, batch, prediction: {
            "fit": methods.Term(
                tf.reduce_sum(tf.square(prediction.rotmats - batch["y"]), 1),
                tf.ones_like(batch["y"][:, 0]),
                1.0,
            )
        },
    )
    toy_method.run(
        tmp_path,
        body,
        dataclasses.replace(
            toy_method.EXPERIMENT, stages=toy_method.STAGES[:1]
        ),
    )
    # d/dp (p - stop(p + 1))^2 = -2; without the stop it would be 0.
    assert toy_method.losses(tmp_path)[0]["gradient_norm"] > 0.1


def test_journal_is_cut_at_a_restore(tmp_path):
    book = run_log.RunLog(tmp_path, 0)
    for step in range(1, 7):
        book.scalars(step, "train", {"loss": float(step)})
    book.close()
    with open(tmp_path / run_log.METRICS_FILE, "a") as file:
        file.write('{"step": 7, "ki')  # A killed writer's last line.
    run_log.RunLog(tmp_path, 4).close()
    lines = run_log.read_metrics(tmp_path / run_log.METRICS_FILE)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    steps = []
    for path in (tmp_path / run_log.EVENTS_FOLDER).iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            event = run_log.event_pb2.Event.FromString(record.numpy())
            steps += [event.step] * len(event.summary.value)
    assert sorted(steps) == [1, 2, 3, 4]


def test_workdir_refuses_another_configuration(tmp_path):
    workdir.claim(tmp_path, toy_method.EXPERIMENT, {"precision": "float32"})
    book = run_log.RunLog(tmp_path, 0)
    book.scalars(1, "train", {"loss": 1.0})
    book.close()
    workdir.claim(tmp_path, toy_method.EXPERIMENT, {"precision": "bfloat16"})
    settled = workdir.settled(tmp_path, toy_method.EXPERIMENT)
    assert settled["precision"] == "float32" and settled["commit"]
    other_experiment = dataclasses.replace(
        toy_method.EXPERIMENT, method=toy_method.Config(width=5), save_every=9
    )
    with pytest.raises(ValueError) as caught:
        workdir.claim(tmp_path, other_experiment, {})
    assert "method.width: 4 in the folder, 5 asked for" in str(caught.value)
    assert "save_every: 4" in str(caught.value)
    assert "log_every" not in str(caught.value)


def test_fields_that_came_later_have_their_defaults(tmp_path):
    workdir.claim(tmp_path, toy_method.EXPERIMENT, {})
    path = tmp_path / workdir.CONFIG_FILE
    older = json.loads(path.read_text())
    del older["method"]["crop_scale"], older["data"]["warp"], older["optim"]
    path.write_text(json.dumps(older))
    workdir.settled(tmp_path, toy_method.EXPERIMENT)
    other_experiment = dataclasses.replace(
        toy_method.EXPERIMENT, method=toy_method.Config(crop_scale=1.5)
    )
    with pytest.raises(ValueError, match="crop_scale: 1.2 in the folder"):
        workdir.settled(tmp_path, other_experiment)


def test_a_call_of_several_steps_ends_where_something_is_due(tmp_path, body):
    """Lines of 5, 10, saves of 4, 8 and evaluations of 7; a stage ends at 6."""
    measured = []

    def evaluate(model):
        measured.append(len(measured))
        return model_selection.Evaluation(1.0, {"mpjpe_mm": 1.0})

    experiment = dataclasses.replace(
        toy_method.EXPERIMENT,
        log_every=5,
        save_every=4,
        eval_every=7,
        steps_per_call=10,
    )
    toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
    lines = toy_method.losses(tmp_path)
    trained = [
        r["step"] for r in lines if r["kind"] != model_selection.EVALUATION
    ]
    assert trained == [5, 6, 7, 10, 12]
    scored = [
        r["step"] for r in lines if r["kind"] == model_selection.EVALUATION
    ]
    assert scored == [7, 12]
    assert workdir.saved_steps(tmp_path) == [8, 12]


def test_a_line_counts_the_seconds_of_all_starts_up_to_it(
    tmp_path, body, monkeypatch
):
    """By a clock on which each call of steps takes a second."""
    clock = types.SimpleNamespace(monotonic=itertools.count().__next__)
    monkeypatch.setattr(loop, "time", clock)
    first, second = toy_method.STAGES
    full_experiment = dataclasses.replace(toy_method.EXPERIMENT, log_every=3)
    part = dataclasses.replace(
        full_experiment, stages=(first, dataclasses.replace(second, steps=3))
    )
    for experiment in (part, full_experiment):
        toy_method.run(tmp_path, body, experiment)
    lines = run_log.read_metrics(tmp_path / run_log.METRICS_FILE)
    seconds = {line["step"]: line["trained_s"] for line in lines}
    assert seconds == {3: 3, 6: 6, 9: 9, 12: 12}
    assert [line["images_per_s"] for line in lines] == (
        4 * [toy_method.EXPERIMENT.data.batch_size]
    )
