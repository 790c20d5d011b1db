"""Genders as datasets write them."""

import numpy as np
import pytest

from training.data.readers import genders


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("m", "male"), ("F", "female"), ("Male", "male"), (" f ", "female")),
        *((b"female", "female"), (np.bytes_("M"), "male"), ("N", "neutral")),
        *(("neutral", "neutral"), ("", "neutral"), (b"", "neutral")),
        *((-1, "neutral"), ("-1", "neutral"), (np.float32(-1), "neutral")),
        *((np.array("male"), "male"), (np.array([[b"f"]]), "female")),
    ],
)
def test_words_letters_and_bytes(value, expected):
    assert genders.read(value) == expected


@pytest.mark.parametrize(
    "value", ["x", "unknown", "femal", 0, 1, None, np.nan, b"\xff", "man"]
)
def test_anything_else_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"^the gender '.*' is not known$"):
        genders.read(value)


@pytest.mark.parametrize("value", [[], ["m", "f"]])
def test_a_person_has_one(value):
    with pytest.raises(ValueError, match="genders of one person"):
        genders.read(value)


def test_numbers_of_a_dataset_that_numbers_them():
    codes = ("female", "male")
    assert genders.read(np.uint8(0), codes) == "female"
    assert genders.read(np.float64(1), codes) == "male"
    for value in (2, 0.5, np.nan, -1):
        with pytest.raises(ValueError, match="is not known"):
            genders.read(value, codes)
