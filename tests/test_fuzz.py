"""A short run of the fuzz, and readers that it has to find out."""

import numpy as np
import pytest

from tests.fuzz import engine, mutations
from tests.fuzz.__main__ import FORMATS, TABLES

FEW = 4  # damaged files of each format; `make fuzz` takes 1,000


def test_a_few_damaged_files_of_each_format():
    """Other seeds than 1 are for the full run."""
    cases = [
        engine.Case(name, number) for name in FORMATS for number in range(FEW)
    ]
    outcomes = list(engine.run(TABLES, cases, seed=1))
    assert [outcome.case for outcome in outcomes] == cases
    assert [
        outcome for outcome in outcomes if outcome.kind == "forbidden"
    ] == []
    kinds = {outcome.kind for outcome in outcomes}
    assert kinds == {"clean", "skipped", "error"}


WORDS = {
    "_dies": "crash: the process ended with -11",
    "_hangs": "hangs: no answer after 2 s",
    "_fills_the_memory": "MemoryError",
    "_takes_much_memory": "takes 3",
    "_raises_a_key_error": "KeyError: 'poses'",
    "_raises_namelessly": "an error that names no file: ValueError: Expected",
    "_writes_elsewhere": "changes files elsewhere: open",
    "_starts_a_program": "runs something: os.system",
}


def test_bad_readers_are_refused_and_the_next_case_goes_on():
    """Only the one that hangs is waited for as short as 2 s."""
    last = engine.Case("_raises_a_key_error", 0)
    hanging, *other_cases = (
        engine.Case(name, 0) for name in ("_hangs", *WORDS.keys() - {"_hangs"})
    )
    tables = ("tests.fuzz.bad_readers:BAD",)
    for cases, seconds in (([hanging, last], 2), ([*other_cases, last], 30)):
        outcomes = list(engine.run(tables, cases, 1, seconds))
        for outcome in outcomes:
            assert outcome.kind == "forbidden"
            assert outcome.words.startswith(WORDS[outcome.case.format])
            assert outcome.damage.startswith("a.pkl, ")
        assert [outcome.case for outcome in outcomes] == cases


def test_code_in_a_file_is_seen_when_it_runs():
    cases = [engine.Case("_runs_the_file", number) for number in range(40)]
    outcomes = list(engine.run(("tests.fuzz.bad_readers:BAD",), cases, 1))
    ran = [outcome for outcome in outcomes if "code" in outcome.damage]
    assert len(ran) > 3
    assert {outcome.words for outcome in ran} == {"ran code of the file"}


def test_a_format_whose_good_files_are_not_good_stops_the_fuzz():
    with pytest.raises(RuntimeError, match="not good to begin with"):
        list(
            engine.run(
                ("tests.fuzz.bad_readers:NONE",), [engine.Case("n", 0)], 1
            )
        )


def test_a_case_damages_the_same_again(tmp_path):
    path = tmp_path / "a.json"
    damaged = set()
    for number in range(30):
        twice = set()
        for _ in range(2):
            path.write_text('{"people": [1, 2.5, {"x": "y"}]}')
            rng = np.random.default_rng(number)
            how = mutations.damage(rng, path, tmp_path / "canary")
            twice.add((how, path.read_bytes()))
        assert len(twice) == 1
        damaged |= twice
    assert len(damaged) > 20
