"""The benchmark of training steps, on a case of seconds."""

import json
import pathlib
import pickle
import time
import types
from concurrent.futures import process

import keras
import numpy as np
import pytest
import tensorflow as tf

from training import config
from training.benchmarks import step
from training.data.pipeline import batches
from training.engine import run_log

TINY = step.Case("small", "float32", "cpu", 64, 4)


def test_made_up_batches_are_as_the_pipeline_gives_them(tiny_records):
    source = config.Source(str(tiny_records / "synthetic"))
    data = config.Data(
        sources=(source,), batch_size=4, prior=str(tiny_records / "synthetic")
    )
    real = next(iter(batches.train_dataset((source,), data, 64)))
    batch = step.random_batch(TINY, 1)
    assert batch.keys() == real.keys() - {"example_id"}
    for name, value in batch.items():
        assert value.shape == real[name].shape, name
        assert value.dtype == real[name].dtype, name


@pytest.fixture
def steps_as_seconds(monkeypatch):
    """Clocks of the bare step and of the loop that count steps."""
    adams = []

    class Counted(keras.optimizers.Adam):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            adams.append(self)

    def lines(events: pathlib.Path) -> list[float]:
        rows = run_log.read_metrics(events.parent / run_log.METRICS_FILE)
        return [row["step"] for row in rows if row["kind"] == "train"]

    def clock() -> int:
        return int(adams[0].iterations.numpy())

    monkeypatch.setattr(keras.optimizers, "Adam", Counted)
    monkeypatch.setattr(step, "_times", lines)
    counted = types.SimpleNamespace(perf_counter=clock)
    monkeypatch.setattr(step, "time", counted)


@pytest.mark.usefixtures("steps_as_seconds")
def test_a_row_compares_the_loop_with_the_bare_step(monkeypatch, tmp_path):
    cases, loop, measured_seconds = [], step.loop_seconds, []

    def once(*arguments):
        """Compiled for the first time; the second is as the first."""
        measured_seconds.append(
            measured_seconds[0] if measured_seconds else loop(*arguments)
        )
        return list(measured_seconds[0])

    monkeypatch.setattr(step, "loop_seconds", once)

    def measure_in_process(case, options):
        cases.append(case)
        return step.measure(TINY, options)

    monkeypatch.setattr(step, "_measure_in_subprocess", measure_in_process)
    path = tmp_path / "step.json"
    options = step.Options(("small",), ("float32",), rounds=1, json=path)
    (row,) = step.run(options)
    assert cases == [step.Case("small", "float32", "auto", 96, 32)]
    assert json.loads(path.read_text()) == [row]
    # Of either clock a step takes a second.
    assert row["loop"] == row["bare"] == TINY.batch
    assert row["memory_mib"] > 100


@pytest.mark.slow  # Runs alone: beside other work it would tell of that.
def test_the_loop_and_the_bare_step_do_the_same_work():
    options = step.Options(("small",), ("float32",), rounds=1)
    figures = step.measure(TINY, options)
    # Neither is off by a multiple.
    assert 0.2 < figures.loop / figures.bare < 2


def test_a_round_lasts_from_line_to_line(tmp_path):
    book = run_log.RunLog(tmp_path, 0)
    for number in range(12):
        time.sleep(0.3 if number == 5 else 0.01)
        book.scalars(number, "train", {"loss": 1.0})
    book.close()
    rounds = np.diff(step._times(tmp_path / run_log.EVENTS_FOLDER))
    assert len(rounds) == 11 and rounds.argmax() == 4
    assert 0.29 < rounds[4] < 5


def test_memory_is_read_before_the_bare_step(monkeypatch):
    order = []
    for name, figure in (
        ("loop_seconds", [1.0]),
        ("peak_mib", 7.0),
        ("_bare", [2.0]),
    ):

        def noted(*arguments, name=name, figure=figure):
            order.append(name)
            return figure

        monkeypatch.setattr(step, name, noted)
    figures = step.measure(TINY, step.Options(devices=("cpu",)))
    assert order == ["loop_seconds", "peak_mib", "_bare", "loop_seconds"]
    assert (figures.memory_mib, figures.loop / figures.bare) == (7, 2)


@pytest.mark.parametrize("how", ["told", "killed"])
def test_a_row_that_does_not_fit_leaves_the_others(
    how, monkeypatch, tmp_path, capsys
):
    path = tmp_path / "step.json"
    written = []

    def too_large(case, options):
        raise tf.errors.ResourceExhaustedError(None, None, "no 9 GiB\nmore")

    def instead(case, options):
        written.append(path.exists() and len(json.loads(path.read_text())))
        if case.batch != 32:
            return step.Figures(2.0, 1.0, 5.0, "a device")
        if how == "killed":
            raise process.BrokenProcessPool("ended abruptly")
        with pytest.raises(step.DoesNotFit) as caught:
            step.measure_if_it_fits(case, options)
        raise pickle.loads(pickle.dumps(caught.value))

    monkeypatch.setattr(step, "measure", too_large)
    monkeypatch.setattr(step, "_measure_in_subprocess", instead)
    encoders = ("mobilenet_v3", "small", "resnet50")
    rows = step.run(step.Options(encoders, ("float32",), json=path))
    causes = {"told": "ResourceExhaustedError: no 9 GiB", "killed": "abruptly"}
    (line,) = (x for x in capsys.readouterr().out.splitlines() if "fit" in x)
    assert line.startswith("small") and line.endswith(causes[how])
    assert written == [False, 1, 2]
    assert ["loop" in row for row in rows] == [True, False, True]
    assert json.loads(path.read_text()) == rows
