"""Differences between two runs of the same steps."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from training.gpu_checks import tolerances


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the report's table of agreements."""

    label: str
    """What was compared."""
    values: float
    """Largest difference of a term or loss, as a share."""
    gradients: float
    """Largest difference of a variable's gradient, as a share."""
    worst: str
    """Name of the value or variable that is off the most."""
    tolerance: str
    """Row of tolerances.TOLERANCES."""
    expected_different: bool = False
    """Whether an error was planted, which must be noticed."""
    skipped: bool = False
    """Whether the device cannot do it, as `note` says."""
    note: str = ""
    """Further facts, or why there is no difference to show."""

    @property
    def within(self) -> bool:
        """Whether both are within the tolerance; not where one is nan."""
        limits = tolerances.TOLERANCES[self.tolerance]
        return (
            self.values <= limits.values and self.gradients <= limits.gradients
        )

    @property
    def passed(self) -> bool:
        """Whether it is as it must be."""
        return self.skipped or self.within != self.expected_different


def skipped(label: str, tolerance: str, cause: str) -> Row:
    """The row of a comparison that the device refuses, with the cause."""
    return Row(label, np.nan, np.nan, "", tolerance, skipped=True, note=cause)


def failed(label: str, tolerance: str, cause: str) -> Row:
    """The row of a comparison that could not be made."""
    return Row(label, np.nan, np.nan, "", tolerance, note=cause)


def compare(
    label: str,
    tolerance: str,
    actual: tuple[Mapping[str, float], Mapping[str, np.ndarray]],
    expected: tuple[Mapping[str, float], Mapping[str, np.ndarray]],
    **fields,
) -> Row:
    """Compares the values and gradients of two steps.

    Args:
        label: of the row.
        tolerance: row of tolerances.TOLERANCES.
        actual: values and gradients by name.
        expected: those of the reference.
        **fields: further fields of the row.

    Raises:
        ValueError: they do not have the same names.
    """
    for a, b in zip(actual, expected, strict=True):
        if a.keys() != b.keys():
            names = sorted(a.keys() ^ b.keys())
            raise ValueError(f"{label}: only one side has {', '.join(names)}")
    values = _value_differences(actual[0], expected[0])
    gradients = _gradient_differences(actual[1], expected[1])
    limits = tolerances.TOLERANCES[tolerance]
    excess = {name: share / limits.values for name, share in values.items()}
    excess |= {
        name: share / limits.gradients for name, share in gradients.items()
    }
    return Row(
        label,
        _largest(values),
        _largest(gradients),
        max(excess, key=lambda name: np.nan_to_num(excess[name], nan=np.inf)),
        tolerance,
        **fields,
    )


def _largest(shares: Mapping[str, float]) -> float:
    """The largest share; nan if one is nan."""
    return float(np.max(list(shares.values()), initial=0.0))


def _value_differences(actual, expected) -> dict[str, float]:
    loss = abs(expected["loss"])
    return {
        name: abs(actual[name] - value) / max(abs(value), 1e-2 * loss, 1e-30)
        for name, value in expected.items()
    }


def _gradient_differences(actual, expected) -> dict[str, float]:
    norms = {name: np.linalg.norm(value) for name, value in expected.items()}
    least = 1e-3 * np.sqrt(sum(norm**2 for norm in norms.values())) + 1e-30
    return {
        name: float(np.linalg.norm(actual[name] - value))
        / max(norms[name], least)
        for name, value in expected.items()
    }
