"""The benchmark of .tflite files: what it measures, and how it says so."""

import json
import time

import cv2
import numpy as np
import pytest
import tensorflow as tf

from edge import benchmark
from edge import run as device
from edge.benchmarks import parts
from edge.benchmarks import process as benchmark_process
from tests.support.closeness import assert_close


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A .tflite of somebody else: other names, an int32 input."""

    class Table(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec((1, 4), name="x"),
                tf.TensorSpec((1, 2), tf.int32, name="k"),
            ]
        )
        def __call__(self, x, k):
            return {"y": 2 * x, "z": k + 1}

    folder = tmp_path_factory.mktemp("foreign")
    module = Table()
    tf.saved_model.save(module, str(folder / "m"), module.__call__)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "m"))
    path = folder / "foreign.tflite"
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def result(tflite, foreign, tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark")
    args = benchmark.Args((tflite, foreign), rounds=4, starts=1, out=out)
    assert benchmark.main(args) == 0
    return out, json.loads((out / "benchmark.json").read_text())


def test_every_figure_is_there(result, tflite):
    out, report = result
    ours, foreign_model = (
        report["models"][name] for name in ("small", "foreign")
    )
    assert ours["mb"] == pytest.approx(tflite.stat().st_size / 1e6)
    for model in (ours, foreign_model):
        assert model["cold_ms"] > 0 and model["cached_ms"] > 0
        for threads in ("threads_1", "threads_2"):
            assert 0 < model[threads]["median_ms"] <= model[threads]["p95_ms"]
            assert model[threads]["cpu_ms"] <= model[threads]["p95_ms"]
    assert set(ours["stages"]) == set(benchmark.parts.STAGES)
    assert foreign_model["stages"] == {}
    # The body's arrays are most of the file; they are read, and packed.
    assert ours["peak_mb"] > foreign_model["peak_mb"] + 0.5 * ours["mb"]
    assert report["cpu"] == benchmark.cpu_name() != ""
    picture = cv2.imread(str(out / "benchmark.png"))
    assert picture.shape[1] > 600 and picture.std() > 10


def test_table_has_a_line_per_model(result):
    title, head, *lines = benchmark.table(result[1]).splitlines()
    assert title.startswith(benchmark.cpu_name())
    assert [line.split()[0] for line in lines] == ["small", "foreign"]
    assert head.split()[-5:] == list(benchmark.parts.STAGES)
    body = result[1]["models"]["small"]["stages"]["body"]["cpu_ms"]
    column = head.split().index("body") - len(head.split())
    assert lines[0].split()[column] == f"{body:.2f}"


def test_models_take_turns():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    times = benchmark.in_turns(runs, 3, "")
    assert order == list("ab" + "ab" * 3), "one unmeasured, then in turns"
    assert {name: len(run_times) for name, run_times in times.items()} == {
        "a": 3,
        "b": 3,
    }


def test_a_slow_model_reads_slow():
    runs = {"a": lambda: time.sleep(0.02), "b": lambda: None}
    times = benchmark.in_turns(runs, 3, "")
    slow, fast = (benchmark.figures(times[name]) for name in "ab")
    assert slow["median_ms"] > 19 > 5 > fast["median_ms"]
    assert slow["cpu_ms"] < 10, "asleep, not at work"


def test_parts_one_after_the_other_are_the_whole(tflite, tmp_path, rng):
    from ai_edge_litert.interpreter import Interpreter

    part_paths = parts.write(tflite, tmp_path)
    assert tuple(part_paths) == parts.NAMES
    crop = rng.integers(0, 256, (1, 64, 64, 3), np.uint8)
    tensors = {}
    for path in part_paths.values():
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        inputs = interpreter.get_input_details()
        for details in inputs:
            value = (
                crop
                if details["dtype"] is np.uint8
                else tensors[details["name"]]
            )
            interpreter.set_tensor(details["index"], value)
        interpreter.invoke()
        for details in interpreter.get_output_details():
            tensors[details["name"]] = interpreter.get_tensor(details["index"])
    vertices = [v for v in tensors.values() if v.shape == (1, 6890, 3)]
    expected = device.Model(tflite)(crop[0])["vertices"]
    assert_close("tflite_metres", vertices[-1][0], expected)
    sizes = {name: path.stat().st_size for name, path in part_paths.items()}
    assert sizes["body"] > 15e6 > sizes["encoder"]
    assert sum(sizes.values()) < 1.1 * tflite.stat().st_size


def test_a_foreign_model_has_no_parts(foreign, tmp_path):
    assert parts.write(foreign, tmp_path) == {}


def test_memory_is_of_the_process_alone(tflite):
    # A parent with a large peak must not count.
    ballast = np.ones(40_000_000)
    costs = benchmark.start_costs(tflite, 1)
    del ballast
    assert 10 < costs["peak_mb"] < 250


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ()}, "Expected at least one"),
        ({"rounds": 0}, "are 1 or more"),
        ({"threads": (0,)}, "are 1 or more"),
    ],
)
def test_wrong_requests_are_one_line(
    foreign, tmp_path, caplog, change, message
):
    args = {"models": (foreign,), "out": tmp_path, **change}
    assert benchmark.main(benchmark.Args(**args)) == 1
    assert message in caplog.text and len(caplog.records) == 1


def test_unreadable_models_are_one_line(foreign, tmp_path, caplog):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(foreign.read_bytes()[:200])
    for path, message in (
        (cut, "LiteRT cannot run it"),
        (tmp_path / "none.tflite", "no such model"),
    ):
        caplog.clear()
        args = benchmark.Args((path,), out=tmp_path)
        assert benchmark.main(args) == 1
        assert f"{path}: {message}" in caplog.text and len(caplog.records) == 1
    with pytest.raises(ValueError):
        benchmark_process.load(str(cut))
