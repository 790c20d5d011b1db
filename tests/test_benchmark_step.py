"""The benchmark of training steps, on a case of seconds."""

import json

from training import config, warp
from training.benchmarks import step
from training.data import pipeline

TINY = step.Case("small", "float32", "cpu", 64, 4)


def test_made_up_batches_are_as_the_pipeline_gives_them(tiny_records):
    source = config.Source(str(tiny_records / "synthetic"))
    data = config.Data(
        sources=(source,), batch_size=4, prior=str(tiny_records / "synthetic")
    )
    real = next(iter(pipeline.train_dataset((source,), data, 64)))
    real = warp.finish(real, 64)
    made = step.made_up(TINY, 1)
    assert made.keys() == real.keys() - {"example_id"}
    for name, value in made.items():
        assert value.shape == real[name].shape, name
        assert value.dtype == real[name].dtype, name


def test_a_row_compares_the_loop_with_the_bare_step(monkeypatch, tmp_path):
    asked = []

    def here(case, options):
        asked.append(case)
        return step.measure(TINY, options)

    monkeypatch.setattr(step, "_in_its_own_process", here)
    path = tmp_path / "step.json"
    options = step.Options(("small",), ("float32",), rounds=1, json=path)
    (row,) = step.run(options)
    assert asked == [step.Case("small", "float32", "auto", 96, 32)]
    assert json.loads(path.read_text()) == [row]
    # Both do the same work: neither is off by a multiple.
    assert 0.2 < row["loop"] / row["bare"] < 2
    assert row["memory_mib"] > 100
