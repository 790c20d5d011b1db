"""Ranges of the numbers that several runs of a benchmark print."""

import itertools

import pytest

from training.benchmarks import repeat

RUNS = [
    "100000 poses of 14 joints\npa_mpjpe 0.81 s  (0.80 s)\nresnet50 5.5 4\n",
    "100000 poses of 14 joints\npa_mpjpe 0.79 s  (0.8 s)\nwarned 3 times\n"
    "resnet50    10.5 4",
]


def test_numbers_that_differ_are_ranges_and_the_rest_is_as_it_was():
    assert repeat.ranges(RUNS) == [
        "100000 poses of 14 joints",
        "pa_mpjpe 0.79 to 0.81 s (0.80 s)",
        "resnet50 5.5 to 10.5 4",
        "warned 3 times (in 1 of 2 runs)",
    ]


def test_a_sign_belongs_to_its_number():
    texts = ["overhead -8.2 %, part-12", "overhead 7.3 %, part-12"]
    assert repeat.ranges(texts) == ["overhead -8.2 to 7.3 %, part-12"]


def test_of_one_run_nothing_changes():
    assert repeat.ranges(["float16 0.5\n\n1.2 x"]) == ["float16 0.5", "1.2 x"]


def test_benchmarks_take_turns(monkeypatch, tmp_path, capsys):
    calls, texts = [], itertools.cycle(["a 1", "b 2", "a 3", "b 4"])

    def output(command):
        calls.append(command)
        return next(texts)

    monkeypatch.setattr(repeat, "_output", output)
    out = tmp_path / "ranges.txt"
    options = repeat.Options(("first", "second -x"), 2, out)
    assert repeat.run(options) == {
        "first": ["a 1 to 3"],
        "second -x": ["b 2 to 4"],
    }
    assert calls == ["first", "second -x"] * 2
    assert "second -x\nb 2 to 4" in out.read_text()
    assert out.read_text() in capsys.readouterr().out


def test_the_others_go_on_after_one_has_failed(monkeypatch, tmp_path):
    """And what they have printed is there before the last has ended."""
    out, calls = tmp_path / "ranges.txt", []

    def output(command):
        calls.append(command)
        if command == "bad":
            raise ValueError("bad: ended with -11. ")
        if len(calls) > 2:
            assert "good\na 1" in out.read_text()
        return f"a {len(calls)}"

    monkeypatch.setattr(repeat, "_output", output)
    with pytest.raises(ValueError, match="bad: ended with -11"):
        repeat.run(repeat.Options(("good", "bad"), 3, out))
    assert calls == ["good", "bad", "good", "good"]
    assert out.read_text() == "python -m training.benchmark good\na 1 to 4\n"


def test_a_benchmark_that_fails_is_named():
    with pytest.raises(ValueError, match=r"metrics --poses: ended with 2\. "):
        repeat._output("metrics --poses")
    with pytest.raises(ValueError, match="--runs 0"):
        repeat.run(repeat.Options(runs=0))
