"""Which operators of a network bear int8: each is tried alone.

Rounding errors of single operators are nearly independent, so their squares
add up. Where the plain recipe of a precision is beyond its budget, the
operator that adds most is raised to a better format, until what is left is
predicted to fit; then all together is measured, and the aim corrected.

All of this looks at the crops that ranges are measured on; the check of the
export looks at other ones.
"""

import logging
import sys
from typing import NamedTuple

import numpy as np
import tqdm

from edge import lint
from edge.conversion import compare, quantize
from tf_hmr import method

AIM = 0.8
"""Share of the budget that is aimed at, as other crops will differ."""

ATTEMPTS = 4
"""How often the aim is corrected. The last recipe is taken as it is, within
its budget or not: the check of the export decides, on crops of its own."""

_log = logging.getLogger(__name__)


class Unit(NamedTuple):
    """Operators that share their weights, or one without any.

    Attributes:
        pattern: regular expression of their names.
        formats: that it may have, the cheapest first.
    """

    pattern: str
    formats: tuple[str, ...]


def search(
    content: bytes,
    model: method.Method,
    precision: str,
    inputs: dict[str, np.ndarray],
) -> dict[str, str]:
    """Formats, by pattern, of the operators that need a better one.

    Args:
        content: the float32 .tflite of `model`.
        model: says which layers are its encoder and its regressor.
        precision: "w8" or "int8".
        inputs: of calibration.Images.
    """
    trial = _Trial(content, inputs)
    plain = quantize.Recipe(model, precision)
    aim = AIM * compare.MEAN_MM[precision]
    ranges = quantize.ranges(content, plain, inputs)
    found = trial.error_mm(quantize.apply(content, plain, ranges))
    if found <= aim:
        return {}
    _log.warning(
        "%s is %.1f mm off, its budget is %g mm: trying each operator, which "
        "takes minutes for a large network (--latency-only does not)",
        *(precision, found, compare.MEAN_MM[precision]),
    )
    alone = _errors_alone(content, plain, ranges, trial)
    for _ in range(ATTEMPTS):
        better = raised(alone, aim)
        recipe = quantize.Recipe(model, precision, better)
        found = trial.error_mm(quantize.apply(content, recipe, ranges))
        if found <= AIM * compare.MEAN_MM[precision]:
            break
        aim *= 0.9 * AIM * compare.MEAN_MM[precision] / found
    return better


def raised(alone: dict[Unit, list[float]], aim: float) -> dict[str, str]:
    """Raises what adds most until the squares add up to the aim's.

    Args:
        alone: error of each unit in each of its formats, mm.
        aim: what all together may add, mm.

    Returns:
        Formats, by pattern, of the units that are raised.
    """
    level = dict.fromkeys(alone, 0)
    while True:
        errors = {unit: alone[unit][level[unit]] for unit in alone}
        if np.sum(np.square(list(errors.values()))) <= aim**2:
            break
        worst = max(errors, key=errors.get)
        level[worst] += 1
    return {
        unit.pattern: unit.formats[chosen]
        for unit, chosen in level.items()
        if chosen
    }


class _Trial:
    """The mean vertex error of quantized files over the same crops."""

    def __init__(self, content: bytes, inputs: dict[str, np.ndarray]):
        self._inputs = inputs
        self._expected = compare.run_tflite(content, inputs)["vertices"]

    def error_mm(self, content: bytes) -> float:
        found = compare.run_tflite(content, self._inputs)["vertices"]
        away = np.linalg.norm(found - self._expected, axis=-1).mean()
        return 1000 * float(away) if np.isfinite(away) else np.inf


def _errors_alone(content, plain, ranges, trial) -> dict[Unit, list[float]]:
    """Error in mm of each unit in each of its formats, all else float32."""
    units = _units(content, plain)
    found = {}
    for unit in tqdm.tqdm(
        units, desc="operators", disable=not sys.stderr.isatty()
    ):
        errors = []
        for form in unit.formats[:-1]:
            only = quantize.Only(unit.pattern, form)
            errors.append(trial.error_mm(quantize.apply(content, only, ranges)))
        # Float16 alone is far below what int8 does.
        found[unit] = [*errors, 0.0]
    return found


def _units(content: bytes, plain: quantize.Recipe) -> list[Unit]:
    """The operators that a recipe gives int8, those of one weight together."""
    names: dict[object, list[str]] = {}
    formats: dict[object, tuple[str, ...]] = {}
    for operator in lint.operators(content):
        form = plain.format_of(operator.kind, operator.name)
        if form not in ("static", "dynamic"):
            continue
        weighted = operator.kind in quantize.WEIGHTED
        key = operator.indices[1] if weighted else operator.name
        names.setdefault(key, []).append(operator.name)
        formats[key] = (form, "float16")
        if form == "static" and weighted:
            formats[key] = ("static", "dynamic", "float16")
    return [
        Unit(quantize.pattern_of(names[key]), formats[key]) for key in names
    ]
