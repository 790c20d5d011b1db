"""Finds the operators of a network that tolerate int8, by testing each alone.

Rounding errors of single operators are nearly independent, so their squares
add up. If the plain recipe of a precision exceeds its budget, the operator
with the largest error is raised to a better format, until the predicted error
of all operators fits the aim. Then the whole file is measured and the aim
corrected.

The search uses the crops of the calibration; the check of the export uses
other crops.
"""

import logging
from typing import NamedTuple

import numpy as np

from edge import operators
from edge.conversion import compare, quantize
from edge.conversion.precisions import PRECISIONS
from tf_hmr import method, progress

AIM = 0.8
"""Share of the budget to aim at, because errors on other crops differ."""

ATTEMPTS = 4
"""Number of corrections of the aim. The last recipe is returned even if it
exceeds the budget, because the export checks it on other crops."""

_log = logging.getLogger(__name__)


class Unit(NamedTuple):
    """Operators that share their weights, or one without weights.

    Attributes:
        pattern: regular expression of their names.
        formats: formats to choose from, the cheapest first.
    """

    pattern: str
    formats: tuple[str, ...]


def search(
    content: bytes,
    model: method.Method,
    precision: str,
    inputs: dict[str, np.ndarray],
) -> dict[str, str]:
    """Finds the operators that need a better format; returns it by pattern.

    Args:
        content: the float32 .tflite of `model`.
        model: says which layers are its encoder and its regressor.
        precision: "w8" or "int8".
        inputs: `inputs` of calibration.Images.
    """
    trial = _Trial(content, inputs)
    plain_recipe = quantize.Recipe(model, precision)
    aim = AIM * PRECISIONS[precision].mean_mm
    ranges = quantize.ranges(content, plain_recipe, inputs)
    error_mm = trial.error_mm(quantize.apply(content, plain_recipe, ranges))
    if error_mm <= aim:
        return {}
    _log.warning(
        "%s is %.1f mm off, its budget is %g mm: trying each operator, which "
        "takes minutes for a large network (--latency-only does not)",
        precision,
        error_mm,
        PRECISIONS[precision].mean_mm,
    )
    unit_errors = _errors_alone(content, plain_recipe, ranges, trial)
    for _ in range(ATTEMPTS):
        raised_formats = raised(unit_errors, aim)
        recipe = quantize.Recipe(model, precision, raised_formats)
        error_mm = trial.error_mm(quantize.apply(content, recipe, ranges))
        if error_mm <= AIM * PRECISIONS[precision].mean_mm:
            break
        aim *= 0.9 * AIM * PRECISIONS[precision].mean_mm / error_mm
    return raised_formats


def raised(unit_errors: dict[Unit, list[float]], aim: float) -> dict[str, str]:
    """Raises the worst units until the squared errors sum to at most aim^2.

    Args:
        unit_errors: error of each unit in each of its formats, mm.
        aim: error that all units together may add, mm.

    Returns:
        Formats, by pattern, of the units that are raised.
    """
    levels = dict.fromkeys(unit_errors, 0)
    while True:
        errors = {unit: unit_errors[unit][levels[unit]] for unit in unit_errors}
        if np.sum(np.square(list(errors.values()))) <= aim**2:
            break
        worst = max(errors, key=errors.get)
        levels[worst] += 1
    return {
        unit.pattern: unit.formats[level]
        for unit, level in levels.items()
        if level
    }


class _Trial:
    """The mean vertex error of quantized files over the same crops."""

    def __init__(self, content: bytes, inputs: dict[str, np.ndarray]):
        self._inputs = inputs
        self._expected = compare.run_tflite(content, inputs)["vertices"]

    def error_mm(self, content: bytes) -> float:
        vertices = compare.run_tflite(content, self._inputs)["vertices"]
        distance = np.linalg.norm(vertices - self._expected, axis=-1).mean()
        return 1000 * float(distance) if np.isfinite(distance) else np.inf


def _errors_alone(
    content, plain_recipe, ranges, trial
) -> dict[Unit, list[float]]:
    """Error in mm of each unit in each format, all else in float32."""
    units = _units(content, plain_recipe)
    unit_errors = {}
    for unit in progress.bar(units, "operators"):
        errors = []
        for form in unit.formats[:-1]:
            only = quantize.Only(unit.pattern, form)
            errors.append(trial.error_mm(quantize.apply(content, only, ranges)))
        # The error of float16 is far below that of int8.
        unit_errors[unit] = [*errors, 0.0]
    return unit_errors


def _units(content: bytes, plain_recipe: quantize.Recipe) -> list[Unit]:
    """The operators that a recipe makes int8, grouped by shared weights."""
    names: dict[object, list[str]] = {}
    formats: dict[object, tuple[str, ...]] = {}
    for operator in operators.read(content):
        form = plain_recipe.format_of(operator.kind, operator.name)
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
