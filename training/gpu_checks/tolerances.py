"""How far a device may be off, with the reason.

Differences are shares: of a value, of its own size or a hundredth of the
loss, whichever is larger; of a gradient, of the norm of the variable's own or
a thousandth of all variables' norm together. So a variable that all but stands
still does not decide.
"""

from typing import NamedTuple


class Tolerance(NamedTuple):
    """Largest accepted differences, as shares."""

    values: float
    """Of a term, a loss or the norm of the gradients."""
    gradients: float
    """Of the gradient of a variable."""
    reason: str


TOLERANCES = {
    "float32": Tolerance(
        1e-4,
        2e-3,
        "float32 sums in another order: 1e-6 of a term; a gradient is what "
        "remains of terms that all but cancel, and batch statistics divide by "
        "the deviation of a few numbers",
    ),
    "bfloat16": Tolerance(
        0.1,
        0.6,
        "8 bits of each product, through every layer and back: 0.3 of the "
        "first layers' gradients on a CPU, 0.5 in SMPLR's hourglass; a lost or "
        "doubled gradient is 1",
    ),
    "tf32": Tolerance(
        2e-2,
        0.2,
        "10 bits of each product of float32, a quarter of bfloat16's error",
    ),
    "replicas": Tolerance(
        1e-4,
        2e-3,
        "as float32; the doubled gradient of one of two replicas is 0.3 and "
        "more",
    ),
    "copies": Tolerance(
        0.0,
        float("inf"),
        "the largest difference of two copies of a weight: every replica "
        "applies the same sum",
    ),
    "later": Tolerance(
        2e-2,
        float("inf"),
        "losses after the first step: Adam turns the sign of a gradient near "
        "0 into a whole step",
    ),
}
