"""The benchmark of part maps runs, and says what it measured."""

from training.benchmarks import _peers, part_maps


def test_a_tiny_run_prints_milliseconds(monkeypatch, capsys):
    # Its settings must precede TensorFlow's start.
    monkeypatch.setattr(_peers, "one_core", lambda: None)
    options = part_maps.Options(batch=2, count=60, side=12, rounds=1)
    milliseconds = part_maps.run(options)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("60 points, 12 x 12, batch 2")
    assert last == f"part_maps {milliseconds:.2f} ms" and milliseconds > 0
