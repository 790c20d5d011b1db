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
    content = json_files.loads(
        '[{"a": 1}]', object_hook=lambda record: list(record)
    )
    assert content == [["a"]]


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_that_no_computer_counts_with(digits):
    content = json_files.loads("[" + "9" * digits + ", -" + "9" * digits + "]")
    assert content == [math.inf, -math.inf]


def test_long_numbers_become_floats():
    assert json_files.loads("1" + "0" * 30) == 1e30


@pytest.mark.parametrize("text", ["", "{", "[1,]", "[" * 100_000])
def test_damage_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"Expecting|deeply|trailing"):
        json_files.loads(text)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_files_are_read_in_the_encodings_of_editors(tmp_path, encoding):
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "Zoë"}'.encode(encoding))
    assert json_files.read(path) == {"name": "Zoë"}
    assert json_files.read(path, object_hook=list) == ["name"]


def test_a_byte_order_mark_in_text_is_passed_over():
    assert json_files.loads("\ufeff[1]") == [1]


def test_bytes_that_are_no_text_are_a_value_error(tmp_path):
    (tmp_path / "a.json").write_bytes(b'["\xff"]')
    with pytest.raises(ValueError, match="decode"):
        json_files.read(tmp_path / "a.json")
