"""Precisions of exported files: formats of their parts, and the error allowed.

A file without quantization is float32 and no row of the table.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Precision(NamedTuple):
    """How a network is stored.

    Attributes:
        parts: formats, as in quantize.py, of the method's attributes; the rest
            of the network is float16.
        mean_mm: budget of the mean vertex error, in millimetres.
    """

    parts: Mapping[str, str]
    mean_mm: float


PRECISIONS = {
    "float16": Precision({}, mean_mm=0.3),
    "w8": Precision({"encoder": "dynamic"}, mean_mm=2.0),
    "int8": Precision(
        {"encoder": "static", "regressor": "dynamic"}, mean_mm=4.0
    ),
}
