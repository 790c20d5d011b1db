"""The best model and its score, whatever a run lost before it goes on."""

import dataclasses
import json

import numpy as np
import pytest

from tests.support import toy_method
from tf_hmr import method as methods
from training.engine import best_model, model_selection, run_log, workdir

EXPERIMENT = dataclasses.replace(toy_method.EXPERIMENT, eval_every=4)


@pytest.fixture
def method(body):
    model = toy_method.Model(toy_method.Config(), body)
    model.build_all()
    return model


def fill(method, value: float) -> None:
    method.second.kernel.assign(np.full((4, 2), value, np.float32))


def score_of_kernel(method) -> model_selection.Evaluation:
    """Measures the second layer's first weight, which tells models apart."""
    score = float(method.second.kernel.numpy()[0, 0])
    return model_selection.Evaluation(score, {"mpjpe_mm": score})


def best_kernel(folder, method) -> float:
    """The first weight of the second layer in best/; leaves `method` alone."""
    before = method.get_weights()
    method.load_weights(folder / best_model.FOLDER / methods.WEIGHTS_FILE)
    value = score_of_kernel(method).score
    method.set_weights(before)
    return value


@pytest.fixture
def folder(tmp_path, method):
    """A run at step 8, whose best model, of step 4, scored 5."""
    log = run_log.RunLog(tmp_path, 0)
    log.scalars(4, model_selection.EVALUATION, {"score": 5.0})
    log.scalars(8, model_selection.EVALUATION, {"score": 7.0})
    log.close()
    fill(method, 5.0)
    best_model.save(method, tmp_path)
    best_model.save_score(tmp_path, 5.0, 4)
    fill(method, 7.0)
    return tmp_path


def run_from(
    folder, method, step=8, evaluate=score_of_kernel, next_evaluation=None
):
    """The selection of a run that continues from `step`."""
    log = run_log.RunLog(folder, step)
    selection = model_selection.ModelSelection(
        method, evaluate, folder, log, chief=True
    )
    due = step % EXPERIMENT.eval_every == 0
    selection.recover(step, due, trained_s=0.0)
    if next_evaluation is not None:
        selection.evaluate(next_evaluation, trained_s=0.0)
    log.close()
    return selection


def damage_journal(folder, step: int) -> None:
    path = folder / run_log.METRICS_FILE
    texts = path.read_text().splitlines()
    path.write_text(
        "".join(
            (text[:10] if json.loads(text)["step"] == step else text) + "\n"
            for text in texts
        )
    )


def make_older(folder) -> None:
    """As a version without scores and checksums left it."""
    path = folder / best_model.FOLDER / methods.CONFIG_FILE
    content = json.loads(path.read_text())
    del content["weights_sha256"]
    path.write_text(json.dumps(content))
    best_model.forget_score(folder)


def test_nothing_lost_changes_nothing(folder, method):
    before = {p: p.read_bytes() for p in (folder / "best").iterdir()}
    assert run_from(folder, method).best == 5.0
    assert before == {p: p.read_bytes() for p in (folder / "best").iterdir()}


@pytest.mark.parametrize("older", [False, True])
def test_a_worse_model_does_not_replace_the_best_where_its_line_is_lost(
    folder, method, older, caplog
):
    if older:
        make_older(folder)
    damage_journal(folder, 4)
    run = run_from(folder, method, next_evaluation=12)
    assert run.best == 5.0
    assert score_of_kernel(method).score == 7.0  # It goes on with its own.
    assert best_kernel(folder, method) == 5.0
    assert best_model.score(folder) == 5.0
    assert ("was lost; it is 5.0" in caplog.text) == older


def test_the_score_survives_without_any_journal(folder, method):
    (folder / run_log.METRICS_FILE).unlink()
    run = run_from(folder, method)
    assert run.best == 5.0 and best_kernel(folder, method) == 5.0


def test_a_kill_between_model_and_score_is_measured(folder, method):
    """The journal has no score of that model."""
    fill(method, 3.0)
    best_model.save(method, folder)
    fill(method, 7.0)
    assert run_from(folder, method).best == 3.0
    assert best_model.score(folder) == 3.0


def test_a_model_that_is_being_replaced_has_no_score(
    folder, method, monkeypatch
):
    """A kill in the middle would leave it beside the new model."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(methods, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        best_model.save(method, folder)
    assert best_model.score(folder) is None


@pytest.mark.parametrize("text", ["", "[]", '{"score": "x"}', '{"score": NaN}'])
def test_a_damaged_score_is_measured_anew(folder, method, text, caplog):
    path = folder / best_model.FOLDER / best_model.SCORE_FILE
    path.write_text(text)
    damage_journal(folder, 4)
    assert run_from(folder, method).best == 5.0
    assert str(path) in caplog.text


def spoil(folder, kind: str) -> None:
    path = folder / best_model.FOLDER / methods.WEIGHTS_FILE
    if kind == "gone":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "config":
        path.with_name(methods.CONFIG_FILE).write_text("")
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize("kind", ["gone", "cut", "config", "bit"])
def test_a_best_model_that_does_not_load_is_written_again(
    folder, method, kind, caplog
):
    spoil(folder, kind)
    run = run_from(folder, method)
    assert "The model of step 8 is kept" in caplog.text
    assert best_model.damage(folder) == ""
    assert best_kernel(folder, method) == run.best == 7.0
    assert best_model.score(folder) == 7.0
    # The journal is as if nothing had been lost.
    scores = [line["score"] for line in toy_method.losses(folder)]
    assert scores == [5.0, 7.0]


def test_it_is_measured_where_the_step_was_not(folder, method):
    spoil(folder, "cut")
    log = run_log.RunLog(folder, 6)
    log.close()
    assert run_from(folder, method, step=6).best == 7.0
    assert best_model.score(folder) == 7.0
    assert len(toy_method.losses(folder)) == 1


def test_a_kill_before_the_evaluation_that_would_replace_it(folder, method):
    """The step is evaluated, as it was due, and its model takes the place."""
    spoil(folder, "cut")
    log = run_log.RunLog(folder, 7)  # The line of step 8 was never written.
    log.close()
    assert run_from(folder, method, step=8).best == 7.0
    assert best_model.damage(folder) == ""
    assert best_kernel(folder, method) == best_model.score(folder) == 7.0


def test_without_an_evaluation_the_current_model_is_written(folder, method):
    spoil(folder, "cut")
    run_from(folder, method, evaluate=None)
    assert best_model.damage(folder) == ""
    assert best_kernel(folder, method) == 7.0
    assert best_model.score(folder) is None


def test_a_new_run_does_not_believe_the_score_of_another(folder):
    (folder / run_log.METRICS_FILE).unlink()
    workdir.claim(folder, EXPERIMENT, {})
    assert best_model.score(folder) is None


def test_a_model_better_than_what_replaced_a_damaged_one_is_kept(
    folder, method
):
    """The journal still has the score of the model that was damaged."""
    (folder / best_model.FOLDER / methods.WEIGHTS_FILE).write_bytes(b"cut")
    assert run_from(folder, method).best == 7.0
    fill(method, 6.0)
    run_from(folder, method, next_evaluation=12)
    assert best_kernel(folder, method) == 6.0
