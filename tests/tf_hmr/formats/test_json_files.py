"""Json that would raise something else than a ValueError, or too late."""

import math

import pytest

from tf_hmr.formats import json_files


def test_plain_json_is_as_it_is():
    text = b'{"a": [1, -9223372036854775807, 2.5, null, "x"]}'
    numbers = [1, -9223372036854775807, 2.5, None, "x"]
    assert json_files.loads(text) == {"a": numbers}
    assert isinstance(json_files.loads("7"), int)


def test_objects_may_be_changed_while_they_are_read():
    found = json_files.loads('[{"a": 1}]', object_hook=lambda each: list(each))
    assert found == [["a"]]


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_that_no_computer_counts_with(digits):
    found = json_files.loads("[" + "9" * digits + ", -" + "9" * digits + "]")
    assert found == [math.inf, -math.inf]


def test_long_numbers_become_floats():
    assert json_files.loads("1" + "0" * 30) == 1e30


@pytest.mark.parametrize("text", ["", "{", "[1,]", "[" * 100_000])
def test_damage_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"Expecting|deeply|trailing"):
        json_files.loads(text)
