"""What goes wrong around the steps: damaged files, failing evaluations."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.support import toy_method
from training.engine import (
    best_model,
    checkpoints,
    loop,
    model_selection,
    run_log,
    workdir,
    write_errors,
)


def test_a_damaged_checkpoint_takes_no_intact_one_s_place(stopped, body):
    assert workdir.saved_steps(stopped) == [8, 9]
    folder = stopped / checkpoints.FOLDER
    (data,) = folder.glob("ckpt-9.data-*")
    data.write_bytes(data.read_bytes()[:100])
    toy_method.run(stopped, body)
    assert workdir.saved_steps(stopped) == [8, 12]
    assert list(folder.glob("damaged-ckpt-9.*"))


def test_a_failing_evaluation_is_told_as_what_it_is(tmp_path, body):
    def evaluate(model):
        raise OSError("val-00001.tfrecord is gone")

    experiment = dataclasses.replace(toy_method.EXPERIMENT, eval_every=4)
    with pytest.raises(OSError, match="is gone") as caught:
        toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
    assert not isinstance(caught.value, write_errors.UnwrittenError)
    # Nothing but the evaluation is lost.
    assert workdir.saved_steps(tmp_path) == [4]


@pytest.mark.parametrize("step", [4, 12])
def test_an_evaluation_that_was_cut_off_is_made_up_for(tmp_path, body, step):
    measured = []

    def evaluate(model):
        measured.append(len(measured))
        if len(measured) == {4: 1, 12: 3}[step]:
            raise KeyboardInterrupt
        return model_selection.Evaluation(
            float(len(measured)), {"mpjpe_mm": 1.0}
        )

    experiment = dataclasses.replace(toy_method.EXPERIMENT, eval_every=4)
    with pytest.raises(KeyboardInterrupt):
        toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
    for _ in range(2):  # the second finds nothing left to do
        toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
        lines = toy_method.losses(tmp_path)
        evaluated = [
            line["step"]
            for line in lines
            if line["kind"] == model_selection.EVALUATION
        ]
        assert evaluated == [4, 8, 12]
        assert len(measured) == 4
    assert (tmp_path / best_model.FOLDER).is_dir()


def test_a_score_that_is_no_number_does_not_end_the_search(tmp_path, body):
    scores = [float("nan"), float("nan"), 2.0, 1.0]

    def evaluate(model):
        return model_selection.Evaluation(scores.pop(0), {"mpjpe_mm": 1.0})

    experiment = dataclasses.replace(toy_method.EXPERIMENT, eval_every=4)
    first, second = toy_method.STAGES
    part = dataclasses.replace(
        experiment, stages=(first, dataclasses.replace(second, steps=2))
    )
    toy_method.run(tmp_path, body, part, evaluate=evaluate)
    assert not (tmp_path / best_model.FOLDER).exists()
    toy_method.run(tmp_path, body, experiment, evaluate=evaluate)
    assert (tmp_path / best_model.FOLDER).is_dir()


def events_of_a_stage(tmp_path, body, stopped: bool) -> list[str]:
    """What a stage does around its fourth step, in order."""
    events = []

    class Log(run_log.NullRunLog):
        def flush(self):
            events.append("flush")

    def evaluate(model):
        events.append("evaluate")
        return model_selection.Evaluation(1.0, {"mpjpe_mm": 1.0})

    def take(batches, count, stop):
        return {"loss": np.ones(count, np.float32)}, stopped

    take.strategy = tf.distribute.get_strategy()
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    log = Log(tmp_path, 0)
    run = loop.TrainingRun(
        experiment=dataclasses.replace(
            toy_method.EXPERIMENT, eval_every=4, save_every=4, log_every=0
        ),
        method=model,
        make_dataset=toy_method.make_dataset(),
        selection=model_selection.ModelSelection(
            model, evaluate, tmp_path, log, chief=True
        ),
        workdir=tmp_path,
        saved=types.SimpleNamespace(
            save=lambda step: events.append(f"save {step}")
        ),
        log=log,
        mean=run_log.Mean(),
        stop_requested=lambda: stopped,
        chief=True,
    )
    assert run.stage("one", take, 3, 4) == 4
    assert run.stopped == stopped
    return events


def test_the_log_is_on_the_disk_before_the_checkpoint(tmp_path, body):
    """A run that continues from a checkpoint has the lines of its steps."""
    events = events_of_a_stage(tmp_path, body, stopped=False)
    assert events == ["flush", "save 4", "evaluate", "flush"]


def test_a_run_that_is_to_stop_does_not_evaluate(tmp_path, body):
    """An evaluation may take longer than a scheduler waits after SIGTERM."""
    events = events_of_a_stage(tmp_path, body, stopped=True)
    assert events == ["flush", "save 4"]
