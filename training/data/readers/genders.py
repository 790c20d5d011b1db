"""Genders as datasets write them, by the names that records store."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data.formats import texts

_NAMES = {
    "m": "male",
    "male": "male",
    "f": "female",
    "female": "female",
    "n": "neutral",
    "neutral": "neutral",
    # The dataset does not say.
    "": "neutral",
    "-1": "neutral",
    "-1.0": "neutral",
}


def read(value: Any, codes: Sequence[str] = ()) -> str:
    """Reads a gender: "male", "female" or "neutral".

    Args:
        value: m, f, n, a whole word in any case, an empty text or -1; text,
            bytes, or an array of one of them.
        codes: genders that a dataset numbers, by number: then the value is
            such a number.

    Raises:
        ValueError: it is something else.
    """
    if np.size(value) != 1:
        raise ValueError(f"{np.size(value)} genders of one person")
    value = np.ravel(value)[0]
    for code, gender in enumerate(codes):
        if value == code:
            return gender
    name = texts.text(value).strip().lower()
    if codes or name not in _NAMES:
        raise ValueError(f"the gender {name[:20]!r} is not known")
    return _NAMES[name]
