"""Entries that are left out are counted by cause, and named."""

import logging

from tf_hmr.formats import left_out


def test_entries_are_counted_by_cause(caplog):
    problems = left_out.LeftOut()
    assert not problems
    for number in range(7):
        problems.add(f"person {number}", "it is empty")
    problems.add("person 9", "it is no object")
    assert len(problems) == 8
    problems.log(logging.getLogger("tests"), "a.json")
    names = ", ".join(f"person {number}" for number in range(5))
    assert caplog.messages == [
        f"a.json: 7 left out, it is empty: {names} and 2 more.",
        "a.json: 1 left out, it is no object: person 9.",
    ]
